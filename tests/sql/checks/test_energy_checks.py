"""Checks of what is booked as energy, from raw rows: each is seen to fire on books made wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import Finding, run_checks

HOUR = "2026-01-15T08:00Z"
Row = dict[str, Any]


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    return LakeBuilder(tmp_path / "lake")


def found(lake: Lake, name: str) -> Finding:
    (finding,) = run_checks(lake, only=[name])
    return finding


def alter(lake: Lake, table: str, change: Callable[[Row], Row | None]) -> None:
    """Change each row, or leave it out."""
    before = lake.read(table)
    rows = [changed for row in before.to_pylist() if (changed := change(row)) is not None]
    lake.replace(table, pa.Table.from_pylist(rows, schema=before.schema), T0, table)


def test_known_time_that_is_not_booked_breaks_the_law(builder: LakeBuilder) -> None:
    builder.device("A", update_us=100_000)
    builder.power("A", level(100_000, T0, T0 + 90 * S))
    lake = builder.build()
    assert not found(lake, "law").rows
    alter(lake, "ledger", lambda row: None if row["start_us"] == T0 + 30 * S else row)
    assert found(lake, "law").rows == [("A", HOUR, 30 * S, None, None, None)]
    assert found(lake, "law").breach


def test_different_powers_of_one_stamp_are_named(builder: LakeBuilder) -> None:
    builder.device("A", update_us=S)
    builder.power("A", level(100_000, T0, T0 + 9 * S, S))
    lake = builder.build()
    assert not found(lake, "one_value_a_stamp").rows
    builder.power("A", [(T0 + 3 * S, 300_000), (T0 + 4 * S, 100_000), (T0 + 5 * S, 50_000)])
    builder.build()
    finding = found(lake, "one_value_a_stamp")
    assert finding.rows == [("A", HOUR, 2, 200_000)]
    assert not finding.breach


def test_more_than_the_board_can_draw_is_named(builder: LakeBuilder) -> None:
    builder.device("A", limit_mw=320_000, update_us=100_000)
    builder.power("A", level(300_000, T0, T0 + 9 * S))
    lake = builder.build()
    assert not found(lake, "limits").rows
    # 9 s in one slot, and the second of a counter's step.
    most_nj = 480_000 * 10 * S

    def booked(energy_nj: int) -> Callable[[Row], Row]:
        return lambda row: {**row, "energy_nj": energy_nj} if row["start_us"] == T0 else row

    alter(lake, "ledger", booked(most_nj))
    assert not found(lake, "limits").rows
    alter(lake, "ledger", booked(most_nj + 1))
    assert found(lake, "limits").rows == [("A", HOUR, 1, 4_800_000 * S + 1, 533_333, 480_000)]


def test_narrow_bounds_between_sparse_readings_are_named(builder: LakeBuilder) -> None:
    builder.device("A", update_us=60 * S)
    builder.power("A", level(300_000, T0, T0 + 600 * S, 60 * S))
    lake = builder.build()
    assert not found(lake, "sparse_bounds").rows
    alter(lake, "ledger", lambda row: {**row, "low_nj": 1, "high_nj": row["high_nj"] + 7})
    (row,) = found(lake, "sparse_bounds").rows
    assert row[:4] == ("A", HOUR, 20, 1)
    alter(lake, "ledger", lambda row: {**row, "low_nj": 0, "high_nj": 300_000 * S})
    assert found(lake, "sparse_bounds").breach


@pytest.mark.parametrize("share_ppm", [1_000_000, 300_000])
def test_narrow_bounds_of_a_row_that_is_sparse_in_part(
    builder: LakeBuilder, share_ppm: int
) -> None:
    """Of a segment of 30 s, 10 were read every second and 20 every fifth."""
    builder.device("A", update_us=5 * S, limit_mw=320_000)
    readings = [
        *level(300_000, T0, T0 + 10 * S, S),
        *level(300_000, T0 + 15 * S, T0 + 30 * S, 5 * S),
    ]
    builder.power("A", readings)
    builder.job("j", "A", T0, T0 + 30 * S, share_ppm=share_ppm)
    lake = builder.build(window_us=30 * S)
    rows = lake.read("ledger").to_pylist()
    part = len(rows)
    assert part == (1 if share_ppm == 1_000_000 else 2)
    assert not found(lake, "sparse_bounds").rows
    least_nj = 320_000 * 20 * S

    def high(high_nj: int) -> Callable[[Row], Row]:
        return lambda row: {**row, "low_nj": 0, "high_nj": high_nj // part}

    alter(lake, "ledger", high(least_nj))
    assert not found(lake, "sparse_bounds").rows
    alter(lake, "ledger", high(least_nj - 2))
    assert found(lake, "sparse_bounds").rows == [("A", HOUR, 1, 0, least_nj - 2)]


@pytest.mark.parametrize(
    ("readings", "seconds", "watts"),
    [
        ([(T0 + k * S, 100_000 + k * 1_000 + k % 2) for k in range(200)], True, False),
        ([(T0 + k * S + 7, 100_000 + k * 1_000) for k in range(200)], False, True),
    ],
)
def test_a_resolution_that_is_not_noted_is_named(
    builder: LakeBuilder, readings: list[tuple[int, int]], seconds: bool, watts: bool
) -> None:
    builder.device("A", update_us=S)
    builder.power("A", readings)
    lake = builder.build()
    assert found(lake, "resolution").rows == [("A", HOUR, 200, seconds, watts)]
    builder.device("A", update_us=S, stamp_step_us=S, power_step_mw=1_000, ts_us=T0 + 1)
    builder.build()
    assert not found(lake, "resolution").rows


def test_readings_that_are_left_out_are_named(builder: LakeBuilder) -> None:
    builder.device("A", limit_mw=320_000, update_us=100_000)
    builder.power("A", level(300_000, T0, T0 + 9 * S))
    lake = builder.build()
    assert not found(lake, "readings_are_plausible").rows
    builder.power("A", [(T0 + 3 * S + 1, 3_704_110), (T0 + 4 * S + 1, 480_001)])
    builder.build()
    assert found(lake, "readings_are_plausible").rows == [("A", HOUR, 2, 3_704_110)]
    assert not found(lake, "readings_are_booked").rows
