"""Checks that start from the raw rows: each fires on books that left something out, else passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_sql.checks import checking
from tokenergy_sql.checks.checking import Finding, run_checks
from tokenergy_transforms.loadprofile.profile import profile_hour

EDGE = T0 + HOUR_US


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    """Two boards of 100 W for a minute; a job holds one of them, named by its index."""
    builder = LakeBuilder(tmp_path / "lake")
    for number, name in enumerate("AB"):
        builder.device(name, index=number)
        builder.power(name, level(100_000, T0, T0 + 60 * S, S))
    builder.job("j", "0", T0, T0 + 60 * S)
    return builder


def found(lake: Lake, name: str) -> Finding:
    (finding,) = run_checks(lake, only=[name])
    return finding


def alter(lake: Lake, table: str, rows: list[dict[str, Any]]) -> None:
    schema = lake.read(table).schema
    lake.replace(table, pa.Table.from_pylist(rows, schema=schema), T0, table)


def clock(builder: LakeBuilder, notes: list[tuple[int, int, int]]) -> None:
    """Notes of the clocks: stamp, seconds since boot, and how far UTC is from the stamp."""
    builder.add(
        "clock",
        [
            {
                "ts_us": ts,
                "node": "n1",
                "monotonic_us": boot * S,
                "boottime_us": boot * S,
                "realtime_us": ts + off,
            }
            for ts, boot, off in notes
        ],
    )


def test_sound_books_pass(builder: LakeBuilder) -> None:
    clock(builder, [(T0, 100, 0), (T0 + 60 * S, 160, 0)])
    assert [f.name for f in run_checks(builder.build()) if f.rows] == []


def test_readings_newer_than_their_segments(builder: LakeBuilder) -> None:
    lake = builder.build()
    builder.power("A", level(100_000, T0 + 61 * S, T0 + 70 * S, S))
    finding = found(lake, "readings_are_booked")
    assert finding.breach
    assert finding.rows == [("A", "2026-01-15T08:00Z", 71, 60, 10)]


def test_an_hour_that_was_never_aggregated(builder: LakeBuilder) -> None:
    lake = builder.build()
    builder.power("A", level(100_000, EDGE, EDGE + 10 * S, S))
    finding = found(lake, "readings_are_booked")
    assert finding.rows == [("A", "2026-01-15T09:00Z", 11, 0, 11)]


def test_a_reading_on_the_edge_of_an_hour_has_no_time_of_its_own(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A")
    builder.power("A", level(100_000, EDGE - 10 * S, EDGE, S))
    assert found(builder.build(), "readings_are_booked").rows == []


def test_readings_that_the_segments_left_out(builder: LakeBuilder) -> None:
    lake = builder.build()
    (path,) = lake.files("segment")
    rows = lake.read("segment").to_pylist()
    rows[3]["readings"] -= 1
    path.unlink()
    alter(lake, "segment", rows)  # into a file of another name: the segments' own is gone
    assert found(lake, "readings_are_booked").rows == [("A", "2026-01-15T08:00Z", 61, 59, 0)]


def test_a_board_that_never_reported(builder: LakeBuilder) -> None:
    builder.job("j", "C", T0, T0 + 60 * S, node="n2")
    finding = found(builder.build(), "claims_are_booked")
    assert not finding.breach
    assert finding.rows == [("j", "n2", "C", 60.0, 0.0, "no readings of this device")]


def test_time_that_the_books_left_out(builder: LakeBuilder) -> None:
    lake = builder.build()
    rows = lake.read("ledger_hour").to_pylist()
    (row,) = [row for row in rows if row["job_id"] == "j"]
    row["device_us"] -= 20 * S
    alter(lake, "ledger_hour", rows)
    finding = found(lake, "claims_are_booked")
    assert finding.rows == [("j", "n1", "A", 60.0, 40.0, "no segments for a part of the time")]


def test_one_id_from_two_schedulers(builder: LakeBuilder) -> None:
    builder.job("17", "A", T0, T0 + 10 * S, scheduler="slurm")
    builder.job("17", "B", T0 + 20 * S, T0 + 30 * S, scheduler="kubernetes")
    finding = found(builder.build(), "one_scheduler_a_job")
    assert finding.rows == [("17", "kubernetes+slurm", 2)]


@pytest.mark.parametrize(
    ("notes", "why"),
    [
        ([(T0, 100, 0), (T0 + 10 * S, 110, 5 * S)], "wall clock set"),
        ([(T0, 100, 0), (T0 + 10 * S, 130, 0)], "suspended"),
        ([(T0, 100, 0), (T0 + 30 * S, 130, 0), (T0 + 20 * S, 150, 0)], "runs overlap"),
    ],
)
def test_clocks_that_disagree(
    builder: LakeBuilder, notes: list[tuple[int, int, int]], why: str
) -> None:
    if why == "suspended":  # the monotonic clock stops, the time since boot goes on
        builder.add(
            "clock",
            [
                {
                    "ts_us": ts,
                    "node": "n1",
                    "monotonic_us": (ts - T0) + 100 * S,
                    "boottime_us": boot * S,
                    "realtime_us": ts,
                }
                for ts, boot, _ in notes
            ],
        )
    else:
        clock(builder, notes)
    finding = found(builder.build(), "clocks_agree")
    assert [row[:2] for row in finding.rows] == [("n1", why)]


def test_a_reboot_is_no_step(builder: LakeBuilder) -> None:
    clock(builder, [(T0, 90_000, 0), (T0 + 20 * S, 90_020, 0), (T0 + 70 * S, 40, 0)])
    assert found(builder.build(), "clocks_agree").rows == []


def test_a_board_that_had_another_index_then(
    builder: LakeBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = builder.build()
    held = allocations(lake)
    boards = pa.array(["B"] * len(held), pa.string())
    wrong = held.set_column(held.schema.get_field_index("device_id"), "device_id", boards)
    monkeypatch.setattr(checking, "allocations", lambda _: wrong)
    finding = found(lake, "indices_as_then")
    assert finding.breach
    assert finding.rows == [("j", "n1", 0, "2026-01-15T08:00:00Z", "A", "B")]


def test_a_job_counted_twice_in_the_load_profile(builder: LakeBuilder) -> None:
    lake = builder.build()
    profile_hour(lake, T0, ["job"], S, "cpu")
    assert found(lake, "profile_agrees").rows == []
    rows = lake.read("load_profile").to_pylist()
    rows[0]["energy_nj"] *= 2
    schema = lake.read("load_profile").schema
    table = pa.Table.from_pylist(rows, schema=schema)
    lake.replace("load_profile", table, T0, "load_profile")
    finding = found(lake, "profile_agrees")
    assert finding.rows == [("j", "2026-01-15T08:00Z", 12_000.0, 6_000.0)]


def test_a_hole_between_segments(builder: LakeBuilder) -> None:
    lake = builder.build()
    for table in ("segment", "ledger"):
        (path,) = lake.files(table)
        rows = [row for row in lake.read(table).to_pylist() if not taken(row)]
        path.unlink()
        alter(lake, table, rows)
    finding = found(lake, "ledger_is_complete")
    assert finding.breach
    assert finding.rows == [("B", "n1", "2026-01-15T08:00:10.000000Z", S, 0)]


def moved(builder: LakeBuilder, first_us: int) -> Lake:
    """Return a lake with a board that n2 reads from `first_us` to T0 + 90 s, after n1 did."""
    builder.device("A", node="n2", ts_us=first_us)
    builder.power("A", level(100_000, first_us, T0 + 90 * S, S), node="n2")
    return builder.build()


@pytest.mark.parametrize("pause_us", [0, 1, S, 20 * S])
def test_a_board_that_changes_its_node_leaves_no_hole(builder: LakeBuilder, pause_us: int) -> None:
    lake = moved(builder, T0 + 60 * S + pause_us)
    assert found(lake, "ledger_is_complete").rows == []
    assert found(lake, "readings_are_booked").rows == []


def test_a_lone_reading_on_the_next_node_has_no_time_of_its_own(builder: LakeBuilder) -> None:
    assert found(moved(builder, T0 + 90 * S), "readings_are_booked").rows == []


def test_a_hole_on_one_of_two_nodes(builder: LakeBuilder) -> None:
    lake = moved(builder, T0 + 61 * S)
    rows = lake.read("segment", node="n2").to_pylist()
    (path,) = (path for path in lake.files("segment") if "n2" in path.name)
    path.unlink()
    alter(lake, "segment", [row for row in rows if row["start_us"] != T0 + 70 * S])
    start = "2026-01-15T08:01:10.000000Z"
    assert found(lake, "ledger_is_complete").rows == [
        ("A", "n2", start, S, 0),
        ("A", "n2", start, None, S),
    ]
    # The reading on the edge of the hole ends a segment: the hole is the other check's.
    assert found(lake, "readings_are_booked").rows == []


@pytest.mark.parametrize("node", ["n1", "n2"])
def test_readings_of_one_of_two_nodes_that_no_segment_has(builder: LakeBuilder, node: str) -> None:
    lake = moved(builder, T0 + 61 * S)
    (path,) = (path for path in lake.files("segment") if node in path.name)
    path.unlink()
    assert found(lake, "readings_are_booked").breach


def taken(row: dict[str, Any]) -> bool:
    return row["device_id"] == "B" and row["start_us"] == T0 + 10 * S


def test_a_job_recorded_twice_contends_with_nobody(builder: LakeBuilder) -> None:
    builder.job("j", "A", T0 + 10 * S, T0 + 60 * S)
    assert found(builder.build(), "jobs_do_not_contend").rows == []


def test_two_jobs_on_a_board_without_readings_contend(builder: LakeBuilder) -> None:
    builder.job("k", "C", T0, T0 + 60 * S)
    builder.job("l", "C", T0 + 30 * S, T0 + 60 * S)
    (row,) = found(builder.build(), "jobs_do_not_contend").rows
    assert row == ("C", "2026-01-15T08:00:30.000000Z", 1, 2)


@pytest.mark.parametrize("held_us", [0, 1])
def test_time_that_nobody_held_outside_of_the_readings_is_no_hole(
    tmp_path: Path, held_us: int
) -> None:
    """Read from 30 s to 50 s; held until just after the hour begins, and again from 60 s on."""
    builder = LakeBuilder(tmp_path / "unheld")
    builder.device("A")
    builder.power("A", level(100_000, T0 + 30 * S, T0 + 50 * S, S))
    builder.job("before", "A", T0 - 10 * S, T0 + held_us)
    builder.job("after", "A", T0 + 60 * S, T0 + 70 * S)
    lake = builder.build()
    rows = lake.read("ledger_hour", [T0]).to_pylist()
    assert sum(row["device_us"] for row in rows) == 30 * S + held_us
    assert sum(row["device_us"] for row in rows if row["job_id"] is None) == 20 * S
    for check in ("ledger_is_complete", "readings_are_booked", "law"):
        assert found(lake, check).rows == []


def test_two_files_with_different_readings_of_one_time(builder: LakeBuilder) -> None:
    builder.power("A", level(300_000, T0 + 50 * S + 7, T0 + 110 * S + 7, S))
    lake = builder.build()
    finding = found(lake, "records_take_turns")
    assert not finding.breach
    ((device, *files, first, last),) = finding.rows
    assert device == "A"
    assert {*files} < {path.name for path in lake.files("power")}
    assert files[1].startswith(f"n1-{T0 + 50 * S + 7}-")
    assert (first, last) == ("2026-01-15T08:00:50.000007Z", "2026-01-15T08:01:00.000000Z")


@pytest.mark.parametrize("same_s", [0, 30, 60])
def test_the_same_readings_in_two_files_are_no_fault(builder: LakeBuilder, same_s: int) -> None:
    builder.power("A", level(100_000, T0 + same_s * S, T0 + 70 * S, S))
    assert found(builder.build(), "records_take_turns").rows == []


def test_a_late_file_that_fills_a_hole_is_no_fault(builder: LakeBuilder) -> None:
    hole = [*level(1_000, T0 + 70 * S, T0 + 80 * S, S), *level(1_000, T0 + 90 * S, T0 + 99 * S, S)]
    builder.power("A", hole)
    builder.power("A", level(2_000, T0 + 81 * S, T0 + 89 * S, S))
    assert found(builder.build(), "records_take_turns").rows == []
