"""Checks that start from the raw rows: each fires on books that left something out, else passes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_sql.checks import checking
from tokenergy_sql.checks.checking import Finding, run_checks
from tokenergy_transforms.loadprofile.profile import profile_hour

EDGE = T0 + HOUR_US


def boards(root: Path) -> LakeBuilder:
    """Two boards of 100 W for a minute; a job holds one of them, named by its index."""
    builder = LakeBuilder(root)
    for number, name in enumerate("AB"):
        builder.device(name, index=number)
        builder.power(name, level(100_000, T0, T0 + 60 * S, S))
    builder.job("j", "0", T0, T0 + 60 * S)
    clock(builder, [(T0, 100, 0), (T0 + 60 * S, 160, 0)])
    return builder


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Books that close: nobody who takes them changes them."""
    return boards(tmp_path_factory.mktemp("sound") / "lake").build()


@pytest.fixture
def builder(sound: Lake, tmp_path: Path) -> LakeBuilder:
    """A copy of them."""
    return LakeBuilder(shutil.copytree(sound.root, tmp_path / "lake"))


@pytest.fixture
def lake(builder: LakeBuilder) -> Lake:
    return builder.lake


@pytest.fixture(scope="module")
def moved_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a board that n2 reads from 61 s to 90 s, after n1 did."""
    builder = boards(tmp_path_factory.mktemp("moved") / "lake")
    builder.device("A", node="n2", ts_us=T0 + 61 * S)
    builder.power("A", level(100_000, T0 + 61 * S, T0 + 90 * S, S), node="n2")
    return builder.build().root


@pytest.fixture
def moved(moved_once: Path, tmp_path: Path) -> Lake:
    """A copy of it."""
    return Lake(shutil.copytree(moved_once, tmp_path / "moved"))


def found(lake: Lake, name: str) -> Finding:
    (finding,) = run_checks(lake, only=[name])
    return finding


def alter(lake: Lake, table: str, rows: list[dict[str, Any]]) -> None:
    schema = TABLES[table].schema()
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


def test_sound_books_pass(sound: Lake) -> None:
    assert [f.name for f in run_checks(sound) if f.rows] == []


def test_readings_newer_than_their_segments(builder: LakeBuilder) -> None:
    lake = builder.lake
    builder.power("A", level(100_000, T0 + 61 * S, T0 + 70 * S, S))
    finding = found(lake, "readings_are_booked")
    assert finding.breach
    assert finding.rows == [("A", "2026-01-15T08:00Z", 71, 60, 10)]


def test_an_hour_that_was_never_aggregated(builder: LakeBuilder) -> None:
    lake = builder.lake
    builder.power("A", level(100_000, EDGE, EDGE + 10 * S, S))
    finding = found(lake, "readings_are_booked")
    assert finding.rows == [("A", "2026-01-15T09:00Z", 11, 0, 11)]


def test_readings_that_the_segments_left_out(lake: Lake) -> None:
    (path,) = lake.files("segment")
    rows = lake.read("segment").to_pylist()
    rows[3]["readings"] -= 1
    path.unlink()
    alter(lake, "segment", rows)  # into a file of another name: the segments' own is gone
    assert found(lake, "readings_are_booked").rows == [("A", "2026-01-15T08:00Z", 61, 59, 0)]


def test_time_that_the_books_left_out(lake: Lake) -> None:
    rows = lake.read("ledger_hour").to_pylist()
    (row,) = [row for row in rows if row["job_id"] == "j"]
    row["device_us"] -= 20 * S
    alter(lake, "ledger_hour", rows)
    finding = found(lake, "claims_are_booked")
    assert finding.rows == [("j", "n1", "A", 60.0, 40.0, "no segments for a part of the time")]


def test_a_board_that_had_another_index_then(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    held = allocations(lake)
    boards = pa.array(["B"] * len(held), pa.string())
    wrong = held.set_column(held.schema.get_field_index("device_id"), "device_id", boards)
    monkeypatch.setattr(checking, "allocations", lambda *_: wrong)
    finding = found(lake, "indices_as_then")
    assert finding.breach
    assert finding.rows == [("j", "n1", 0, "2026-01-15T08:00:00Z", "A", "B")]


def test_a_job_counted_twice_in_the_load_profile(lake: Lake) -> None:
    profile_hour(lake, T0, ["job"], S, "cpu")
    assert found(lake, "profile_agrees").rows == []
    rows = lake.read("load_profile").to_pylist()
    rows[0]["energy_nj"] *= 2
    schema = lake.read("load_profile").schema
    table = pa.Table.from_pylist(rows, schema=schema)
    lake.replace("load_profile", table, T0, "load_profile")
    finding = found(lake, "profile_agrees")
    assert finding.rows == [("j", "2026-01-15T08:00Z", 12_000.0, 6_000.0)]


def test_a_hole_between_segments(lake: Lake) -> None:
    (path,) = lake.files("segment")
    rows = [row for row in lake.read("segment").to_pylist() if not taken(row)]
    path.unlink()
    alter(lake, "segment", rows)
    (path,) = lake.files("ledger")
    of_b = [row for row in lake.read("ledger").to_pylist() if row["device_id"] == "B"]
    others = [row for row in lake.read("ledger").to_pylist() if row["device_id"] != "B"]
    path.unlink()
    left = of_b[0] | {"end_us": T0 + 10 * S, "device_us": 10 * S}
    right = of_b[0] | {"start_us": T0 + 11 * S, "device_us": 19 * S}
    alter(lake, "ledger", [*others, left, right, *of_b[1:]])
    finding = found(lake, "ledger_is_complete")
    assert finding.breach
    assert finding.rows == [("B", "n1", "2026-01-15T08:00:10.000000Z", S, 0)]


SPOILED = {
    "longer by 1 us": lambda rows: [rows[0] | {"device_us": 30 * S + 1}, *rows[1:]],
    "1 us moved to the next": lambda rows: [
        rows[0] | {"device_us": 30 * S - 1},
        rows[1] | {"device_us": 30 * S + 1},
        *rows[2:],
    ],
    "left out": lambda rows: rows[1:],
    "booked twice": lambda rows: [rows[0], *rows],
    "of another node": lambda rows: [rows[0] | {"node": "n9"}, *rows[1:]],
    "of another slot": lambda rows: [rows[0] | {"start_us": T0 + 90 * S}, *rows[1:]],
    "ends too late": lambda rows: [rows[0] | {"end_us": T0 + 30 * S + 1}, *rows[1:]],
    "begins too late": lambda rows: [rows[0] | {"start_us": T0 + 1}, *rows[1:]],
}
"""What a fault may do to the ledger of a board, whose first row is a run of 30 s."""

NAMED = {"1 us moved to the next": 2, "of another node": 4, "of another slot": 3}
"""How many slots and edges are named; of others one."""


@pytest.mark.parametrize("fault", SPOILED)
def test_a_segment_that_is_not_booked_once(lake: Lake, fault: str) -> None:
    (path,) = lake.files("ledger")
    rows = lake.read("ledger").to_pylist()
    of_b = [row for row in rows if row["device_id"] == "B"]
    path.unlink()
    alter(lake, "ledger", [*(r for r in rows if r["device_id"] != "B"), *SPOILED[fault](of_b)])
    finding = found(lake, "ledger_is_complete")
    assert finding.breach
    assert {row[0] for row in finding.rows} == {"B"}
    assert len(finding.rows) == NAMED.get(fault, 1)


def test_a_hole_on_one_of_two_nodes(moved: Lake) -> None:
    lake = moved
    rows = lake.read("segment", node="n2").to_pylist()
    (path,) = (path for path in lake.files("segment") if "n2" in path.name)
    path.unlink()
    alter(lake, "segment", [row for row in rows if row["start_us"] != T0 + 70 * S])
    start = "2026-01-15T08:01:10.000000Z"
    assert found(lake, "ledger_is_complete").rows == [
        ("A", "n2", "2026-01-15T08:01:01.000000Z", 28 * S, 29 * S),
        ("A", "n2", start, S, 0),
    ]
    # The reading on the edge of the hole ends a segment: the hole is the other check's.
    assert found(lake, "readings_are_booked").rows == []


@pytest.mark.parametrize("node", ["n1", "n2"])
def test_readings_of_one_of_two_nodes_that_no_segment_has(moved: Lake, node: str) -> None:
    lake = moved
    (path,) = (path for path in lake.files("segment") if node in path.name)
    path.unlink()
    assert found(lake, "readings_are_booked").breach


def taken(row: dict[str, Any]) -> bool:
    return row["device_id"] == "B" and row["start_us"] == T0 + 10 * S
