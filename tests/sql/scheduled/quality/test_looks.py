"""Each look finds what was planted, and nothing in a lake that is well."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import Finding
from tokenergy_sql.scheduled.quality.limits import limits_of
from tokenergy_sql.scheduled.quality.looking import (
    LOOKS,
    Scope,
    look,
    reason_of_findings,
    scope_of,
)

END = T0 + 2 * HOUR_US
NOW = END + 600 * S
NODES = ("n1", "n2")


def clock(builder: LakeBuilder, node: str, stamps: range, off_us: int = 0) -> None:
    boot = T0 - 24 * HOUR_US
    rows = [
        {
            "ts_us": ts,
            "node": node,
            "monotonic_us": ts - boot,
            "boottime_us": ts - boot,
            "realtime_us": ts + off_us,
            "run": 1,
        }
        for ts in stamps
    ]
    builder.add("clock", rows, node)


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two nodes for two hours, with clocks and books."""
    builder = LakeBuilder(tmp_path_factory.mktemp("well") / "lake")
    for node in NODES:
        builder.device(f"{node} A", node=node)
        for hour_us in (T0, T0 + HOUR_US):
            last_us = hour_us + HOUR_US - S
            builder.power(f"{node} A", level(100_000, hour_us, last_us, S), node=node)
            clock(builder, node, range(hour_us, hour_us + HOUR_US, 60 * S))
    return builder.build().root


@pytest.fixture
def builder(well: Path, tmp_path: Path) -> LakeBuilder:
    return LakeBuilder(shutil.copytree(well, tmp_path / "lake"))


def scope(lake: Lake, now_us: int = NOW, hours: int = 2, **limits: object) -> Scope:
    return scope_of(lake, hours, limits_of(limits), now_us)


def taken(name: str, within: Scope) -> tuple[list[dict[str, Any]], str | None]:
    """Take a look; return the rows of its breaches, and the reason."""
    found = look(name, within)
    rows = [
        dict(zip(one.columns, row, strict=True)) for one in found if one.breach for row in one.rows
    ]
    return rows, reason_of_findings(found)


@pytest.mark.parametrize("name", LOOKS)
def test_a_lake_that_is_well_has_no_finding(name: str, builder: LakeBuilder) -> None:
    assert taken(name, scope(builder.lake)) == ([], None)
    assert [one.rows for one in look(name, scope(builder.lake))] in ([[]], [[], []], [[], [], []])


def test_a_silent_node_is_named_with_its_last_reading(builder: LakeBuilder) -> None:
    builder.power("n1 A", level(100_000, END, END + 3 * HOUR_US, 60 * S))
    clock(builder, "n1", range(END, END + 3 * HOUR_US, 60 * S))
    within = scope(builder.lake, END + 3 * HOUR_US, silent="150m")
    rows, why = taken("freshness", within)
    assert {name: rows[0][name] for name in ("node", "last_reading", "silent_h")} == {
        "node": "n2",
        "last_reading": "2026-01-15T09:59:59Z",
        "silent_h": 3.0,
    }
    assert rows[0]["collector"] == "silent"
    assert why
    assert why.startswith("freshness: No node is without readings for longer than 2.5 h. node=n2 ")
    assert "\n" not in why


def test_a_limit_is_a_limit(builder: LakeBuilder) -> None:
    last_us = END - S
    at_limit = scope(builder.lake, last_us + 2 * HOUR_US)
    assert taken("freshness", at_limit) == ([], None)
    beyond = scope(builder.lake, last_us + 2 * HOUR_US + S)
    assert [row["node"] for row in taken("freshness", beyond)[0]] == [*NODES]


def test_a_node_that_is_gone_is_forgotten_to_the_second(builder: LakeBuilder) -> None:
    last_us = END + 600 * S
    builder.power("n2 A", level(100_000, END, last_us, S), node="n2")
    builder.power("n1 A", level(100_000, END, END + 25 * HOUR_US, 600 * S))
    for now_us, nodes in ((last_us + 24 * HOUR_US, ["n2"]), (last_us + 24 * HOUR_US + S, [])):
        rows, _ = taken("freshness", scope(builder.lake, now_us, forget="24h"))
        assert [row["node"] for row in rows if "node" in row] == nodes


def test_that_every_node_is_gone_is_a_finding(builder: LakeBuilder, tmp_path: Path) -> None:
    rows, why = taken("freshness", scope(builder.lake, END + 30 * HOUR_US, forget="24h"))
    assert rows == [
        {
            "node": "every node",
            "last_reading": "2026-01-15T09:59:59Z",
            "silent_h": 30.0,
            "collector": "silent",
        }
    ]
    assert why
    rows, _ = taken("freshness", scope(Lake(tmp_path / "other", create=True)))
    assert [row["node"] for row in rows] == ["every node"]


def test_of_files_that_overlap_the_one_that_ends_last_counts(builder: LakeBuilder) -> None:
    """The file of a second board begins later and ends earlier."""
    builder.power("n1 B", level(50_000, END + 60 * S, END + 120 * S, S))
    builder.power("n1 A", level(100_000, END, END + 1200 * S, S))
    within = scope(builder.lake, END + 1200 * S + 2 * HOUR_US)
    assert "n1" not in [row.get("node") for row in taken("freshness", within)[0]]


def test_a_host_that_only_reads_meters_is_not_silent(builder: LakeBuilder) -> None:
    """One with boards is, whatever its meters say, and so is one whose meters are silent."""
    for node, until_us in (("n2", END + 3 * HOUR_US), ("m1", END + 3 * HOUR_US), ("m2", END)):
        clock(builder, node, range(END, END + 3 * HOUR_US, 60 * S))
        last = {"ts_us": until_us, "meter_id": "m", "node": node, "source": "modbus"}
        builder.add("meter", [{**last, "value_n": 1}], node)
    rows, _ = taken("freshness", scope(builder.lake, END + 3 * HOUR_US, forget="179m"))
    found = {row["node"]: row["collector"] for row in rows}
    assert "m1" not in found
    assert {found["n2"], found["m2"]} == {"runs"}


def test_a_collector_that_runs_without_readings_is_told_apart(builder: LakeBuilder) -> None:
    clock(builder, "n2", range(END, END + 3 * HOUR_US, 60 * S))
    clock(builder, "n3", range(END, END + 3 * HOUR_US, 60 * S))  # no board that can be read
    rows, _ = taken("freshness", scope(builder.lake, END + 3 * HOUR_US))
    assert {row["node"]: row["collector"] for row in rows} == {
        "n1": "silent",
        "n2": "runs",
        "n3": "runs",
    }


def test_books_that_do_not_follow_are_found(builder: LakeBuilder) -> None:
    builder.power("n1 A", level(100_000, END, END + 4 * HOUR_US, 60 * S))
    builder.power("n2 A", level(100_000, END, END + 4 * HOUR_US, 60 * S), node="n2")
    rows, why = taken("freshness", scope(builder.lake, END + 4 * HOUR_US))
    assert rows == [
        {"booked_until": "2026-01-15T10:00:00Z", "newest_reading": "2026-01-15T14:00:00Z"}
    ]
    assert why
    assert "books: The books follow the readings. " in why


def test_a_lake_without_books_says_so(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("GPU-1")
    builder.power("GPU-1", level(100_000, T0, T0 + 60 * S, S))
    rows, _ = taken("freshness", scope(builder.lake, T0 + 60 * S))
    assert rows[0]["booked_until"] == "nothing"
    assert taken("coverage", scope(builder.lake)) == ([], None)


def holes(root: Path) -> Lake:
    """A board that is known all the time, one that has half an hour, one that misses an hour."""
    builder = LakeBuilder(root)
    for node in ("whole", "half", "hole"):
        builder.device(f"{node} A", node=node)
    for number in range(3):
        begin_us = T0 + number * HOUR_US
        builder.power("whole A", level(100_000, begin_us, begin_us + HOUR_US - S, S), node="whole")
        if number != 1:
            rows = level(100_000, begin_us, begin_us + HOUR_US - S, S)
            builder.power("hole A", rows, node="hole")
    for begin_us in (T0, T0 + HOUR_US + 1800 * S):
        rows = level(100_000, begin_us, begin_us + 1800 * S, S)
        builder.power("half A", rows, node="half")
    return builder.build()


def test_too_little_coverage_is_found_also_where_the_books_have_no_rows(tmp_path: Path) -> None:
    within = scope(holes(tmp_path / "lake"), T0 + 3 * HOUR_US, hours=3)
    rows, why = taken("coverage", within)
    assert [(row["node"], row["worst_hour"]) for row in rows] == [
        ("half", "2026-01-15T08:00Z"),
        ("hole", "2026-01-15T09:00Z"),
    ]
    assert rows[1]["coverage"] == pytest.approx(2 / 3, abs=0.001)
    assert rows[1]["unknown_h"] == pytest.approx(1, abs=0.01)
    assert why
    assert why.startswith("coverage: At least 90% of each node's device time has known power. ")
    assert taken("coverage", scope(within.lake, T0 + 3 * HOUR_US, 3, coverage=0.4)) == ([], None)


def test_only_the_latest_hours_are_looked_at(tmp_path: Path) -> None:
    within = scope(holes(tmp_path / "lake"), T0 + 3 * HOUR_US, hours=1)
    assert [*within.hours] == [T0 + 2 * HOUR_US]
    assert taken("coverage", within) == ([], None)


def test_a_broken_law_is_found(builder: LakeBuilder) -> None:
    lake = builder.lake
    rows = lake.read("ledger", [T0])
    first = pa.array([number == 0 for number in range(rows.num_rows)])
    more = pc.if_else(first, pc.add(rows["energy_nj"], 1), rows["energy_nj"])
    place = rows.column_names.index("energy_nj")
    (path,) = lake.files("ledger", [T0])
    pq.write_table(rows.set_column(place, "energy_nj", more), path)
    found, why = taken("law", scope(lake))
    assert [row["difference_nj"] for row in found] == [1]
    assert why
    assert why.startswith("law: The ledger adds up to the meter")
    later = scope(lake, NOW, hours=1)
    assert taken("law", later) == ([], None)


def changed(path: Path, rows: pa.Table) -> None:
    pq.write_table(rows, path)


def newest(lake: Lake, table: str, node: str) -> Path:
    return lake.files(table, [T0 + HOUR_US], node)[-1]


def test_columns_that_drift_are_found(builder: LakeBuilder) -> None:
    lake = builder.lake
    path = newest(lake, "power", "n1")
    rows = pq.read_table(path, partitioning=None)
    changed(path, rows.append_column("power_w", pa.array([1.0] * rows.num_rows)))
    path = newest(lake, "clock", "n2")
    rows = pq.read_table(path, partitioning=None)
    place = rows.column_names.index("monotonic_us")
    changed(path, rows.set_column(place, "monotonic_us", rows["monotonic_us"].cast(pa.float64())))
    found, why = taken("columns", scope(lake))
    assert [(row["table"], row["column"], row["what"], row["some"]) for row in found] == [
        ("clock", "monotonic_us", "is double, not int64", "n2"),
        ("power", "power_w", "is not in the contract: double", "n1"),
    ]
    assert why
    assert "table=power column=power_w" in why


def test_what_is_read_all_the_same_is_only_said(builder: LakeBuilder) -> None:
    lake = builder.lake
    path = newest(lake, "power", "n1")
    rows = pq.read_table(path, partitioning=None).drop_columns(["energy_mj"])
    place = rows.column_names.index("power_mw")
    changed(path, rows.set_column(place, "power_mw", rows["power_mw"].cast(pa.int64())))
    assert taken("columns", scope(lake)) == ([], None)
    (variants,) = [one for one in look("columns", scope(lake)) if one.name == "variants"]
    assert [row[1:3] for row in variants.rows] == [
        ("energy_mj", "is missing"),
        ("power_mw", "is int64, not int32"),
    ]
    assert variants.lines(5)[0].startswith("warn variants: ")


def test_a_column_that_must_be_there_is_missed(builder: LakeBuilder) -> None:
    path = newest(builder.lake, "power", "n1")
    changed(path, pq.read_table(path, partitioning=None).drop_columns(["sensor"]))
    found, _ = taken("columns", scope(builder.lake))
    assert [(row["column"], row["what"]) for row in found] == [("sensor", "is missing")]


def test_files_in_quarantine_are_found_with_their_reason(builder: LakeBuilder) -> None:
    lake = builder.lake
    newest(lake, "power", "n2").write_bytes(b"PAR1")
    assert lake.quarantine_damaged(["power"])
    found, why = taken("columns", scope(lake))
    assert [(row["table"], row["hour"]) for row in found] == [("power", "2026-01-15T09")]
    assert why
    assert why.startswith("quarantine: No new file is in quarantine. table=power ")


def test_a_clock_that_was_set_is_found(builder: LakeBuilder) -> None:
    clock(builder, "n1", range(END, END + 300 * S, 60 * S), off_us=5 * S)
    rows, why = taken("clocks", scope(builder.lake, END + 600 * S))
    assert [(row["node"], row["why"], row["off_s"]) for row in rows] == [
        ("n1", "wall clock set", 5.0)
    ]
    assert why
    assert why.startswith("clocks: No clock is off or was set by more than 1 s. node=n1 ")
    assert taken("clocks", scope(builder.lake, END + 600 * S, clock="10s")) == ([], None)


def test_a_small_offset_is_found_if_it_is_asked_for(builder: LakeBuilder) -> None:
    clock(builder, "n1", range(END, END + 300 * S, 60 * S), off_us=200_000)
    assert taken("clocks", scope(builder.lake, END + 600 * S)) == ([], None)
    rows, _ = taken("clocks", scope(builder.lake, END + 600 * S, clock="0.1s"))
    assert [(row["node"], row["why"], row["notes"]) for row in rows] == [("n1", "stamps drift", 5)]


def test_stamps_of_the_future_are_found(builder: LakeBuilder) -> None:
    rows, why = taken("clocks", scope(builder.lake, END - 3 * S))
    assert [(row["node"], row["ahead_s"]) for row in rows] == [("n1", 2.0), ("n2", 2.0)]
    assert why
    assert why.startswith("future: No stamp is later than now. ")


def test_a_reason_names_the_first_rows_and_counts_the_rest() -> None:
    finding = Finding("law", "It holds.", True, ["node"], [(f"n{number}",) for number in range(5)])
    passed = Finding("coverage", "Enough.", True, ["node"], [])
    warning = Finding("variants", "All.", False, ["node"], [("n1",)])
    why = reason_of_findings([passed, finding, warning])
    assert why == "law: It holds. node=n0; node=n1; node=n2; and 2 more"
    assert reason_of_findings([passed, warning]) is None
