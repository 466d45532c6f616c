"""Checks of what is added up from the ledger: they pass on sound books, and name an altered row."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.ledger import J
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import Finding, run_checks
from tokenergy_sql.index.site import Site

Row = dict[str, Any]
EDGE = T0 + HOUR_US


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two sites over two hours; at one of them a job holds one of two boards, across the edge.

    Nobody who takes it changes it.
    """
    builder = LakeBuilder(tmp_path_factory.mktemp("sound") / "lake")
    for number, (name, site) in enumerate((("A", "here"), ("B", "here"), ("C", "there"))):
        builder.device(name, index=number, site=site)
        builder.power(name, level(100_000, EDGE - 20 * S, EDGE + 20 * S, S))
    builder.job("j", "A", EDGE - 10 * S, EDGE + 5 * S)
    return builder.build(Site(1_250_000, 500_000, {}), 10 * S)


@pytest.fixture
def lake(sound: Lake, tmp_path: Path) -> Lake:
    """A copy of it."""
    return Lake(shutil.copytree(sound.root, tmp_path / "lake"))


def found(lake: Lake, name: str, hours: list[int] | None = None) -> Finding:
    (finding,) = run_checks(lake, hours, [name])
    return finding


def alter(
    lake: Lake, table: str, where: Callable[[Row], bool], change: Callable[[Row], Row | None]
) -> None:
    """Change, or leave out, the one row of the second hour that fits."""
    rows = lake.read(table, [EDGE]).to_pylist()
    (place,) = [k for k, row in enumerate(rows) if where(row)]
    changed = change(rows[place])
    rows[place : place + 1] = [] if changed is None else [changed]
    schema = lake.read(table, [EDGE]).schema
    lake.replace(table, pa.Table.from_pylist(rows, schema=schema), EDGE, table)


def test_sound_books_pass(lake: Lake) -> None:
    assert [(f.name, f.rows) for f in run_checks(lake) if f.breach] == []


@pytest.mark.parametrize("column", ["energy_nj", "low_nj", "high_nj", "device_us", "covered_us"])
def test_an_hour_off_by_one_unit_is_named(lake: Lake, column: str) -> None:
    alter(
        lake,
        "ledger_hour",
        lambda row: row["job_id"] == "j",
        lambda row: {**row, column: row[column] + 1},
    )
    finding = found(lake, "ledger_hour_adds_up")
    assert finding.breach
    booked = 500 * J
    assert finding.rows == [
        ("A", "2026-01-15T09:00Z", "active", "j", booked + (column == "energy_nj"), booked)
    ]
    assert not found(lake, "ledger_hour_adds_up", [T0]).rows
    assert found(lake, "ledger_hour_adds_up", [EDGE]).rows == finding.rows


def test_a_row_that_is_missing_is_named(lake: Lake) -> None:
    alter(lake, "ledger_hour", lambda row: row["device_id"] == "B", lambda _: None)
    (row,) = found(lake, "ledger_hour_adds_up").rows
    assert row == ("B", "2026-01-15T09:00Z", "free_idle", None, None, 2_000 * J)


def test_a_burden_off_by_one_unit_is_named(lake: Lake) -> None:
    """The job, and what no job bears, are what the ledger has: three boards of 100 W for 20 s."""
    assert not found(lake, "burden_adds_up").rows
    alter(
        lake,
        "job_hour_index",
        lambda row: row["job_id"] == "j",
        lambda row: {**row, "e_gpu_burdened_nj": row["e_gpu_burdened_nj"] - 1},
    )
    finding = found(lake, "burden_adds_up")
    assert finding.breach
    assert finding.rows == [("2026-01-15T09:00Z", 6_000 * J - 1, 6_000 * J, -1)]
    assert not found(lake, "burden_adds_up", [T0]).rows
    assert found(lake, "burden_adds_up", [EDGE]).rows == finding.rows


def test_a_burden_that_is_missing_is_named(lake: Lake) -> None:
    alter(lake, "job_hour_index", lambda row: row["job_id"] == "j", lambda _: None)
    # Of the site's 35 s of idle capacity 5 s are the job's part: 500 J of its own, and 437.5 J.
    missing = 500 * J + 3_500 * J * 5 // 40
    assert found(lake, "burden_adds_up").rows == [
        ("2026-01-15T09:00Z", 6_000 * J - missing, 6_000 * J, -missing)
    ]
    assert [row[0] for row in found(lake, "burden_is_proportionate").rows] == ["j"]


@pytest.mark.parametrize(
    ("table", "column", "check"),
    [
        ("job_hour_index", "e_gpu_burdened_nj", "burden_is_proportionate"),
        ("node_hour", "e_host_nj", "hosts_of_all_boards"),
        ("node_hour", "unborne_facility_nj", "hosts_of_all_boards"),
    ],
)
def test_a_part_of_the_burden_that_is_too_large_is_named(
    lake: Lake, table: str, column: str, check: str
) -> None:
    assert not found(lake, check).rows
    alter(lake, table, lambda row: True, lambda row: {**row, column: row[column] + 10})
    finding = found(lake, check)
    assert finding.breach
    assert len(finding.rows) == 1
    assert not found(lake, check, [T0]).rows


def test_a_place_that_was_recorded_later_is_named(lake: Lake) -> None:
    assert not found(lake, "as_then").rows
    alter(lake, "node_hour", lambda row: True, lambda row: {**row, "site": "there"})
    assert found(lake, "as_then").rows == [("2026-01-15T09:00Z", "n1", "there", "here")]


def test_a_board_that_changes_its_site_stays_where_it_was_in_earlier_hours(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    for number, name in enumerate("AB"):
        builder.device(name, index=number, site="here", ts_us=EDGE)
        builder.power(name, level(100_000, EDGE - 20 * S, EDGE + 20 * S, S))
    builder.device("B", index=1, site="there", ts_us=EDGE + HOUR_US)
    builder.device("B", index=1, site=None, ts_us=EDGE + 2 * HOUR_US)
    builder.power("B", level(100_000, EDGE + 2 * HOUR_US, EDGE + 2 * HOUR_US + 20 * S, S))
    builder.job("j", "A", EDGE - 10 * S, EDGE + 5 * S)
    lake = builder.build(window_us=10 * S)
    assert [(f.name, f.rows) for f in run_checks(lake) if f.breach] == []
    (job,) = lake.read("job_index", columns=["e_gpu_burdened_nj"]).to_pylist()
    # 500 J and 1,000 J of its own, and half and a quarter of the time of two boards in their hours.
    assert job["e_gpu_burdened_nj"] == 1_500 * J + 3_000 * J * 10 // 40 + 3_500 * J * 5 // 40
