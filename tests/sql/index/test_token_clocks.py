"""Token counters over runs of the collector, and over clocks that were set between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.counting import GROWTH, counted, every_ten
from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tokenergy_sql.index.tokens import Usage


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    found = LakeBuilder(tmp_path / "lake")
    found.job("j", "A", T0, T0 + 60 * S)
    return found


def test_runs_whose_stamps_overlap_are_read_one_after_the_other(builder: LakeBuilder) -> None:
    """The clock was set back by 30 s between two runs of the collector; the server went on."""
    first = [(T0 + 10 * S * n, 100 * n) for n in range(6)]
    second = [(T0 + 20 * S + 10 * S * n, 600 + 100 * n) for n in range(5)]
    builder.tokens("j", first, run=7)
    builder.tokens("j", second, run=8)
    assert counted(builder) == (1000, 1000, 1000, None)


def test_bounds_hold_both_values_of_a_stamp_that_two_runs_read(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.job("j", "A", T0, T0 + 30 * S)
    builder.tokens("j", [(T0 + 10 * S * n, 100 * n) for n in range(6)], run=7)
    builder.tokens("j", [(T0 + 20 * S + 10 * S * n, 600 + 100 * n) for n in range(5)], run=8)
    _, low, high, _ = counted(builder)
    assert low <= 300
    assert high >= 700


def test_a_start_that_moves_with_the_clock_is_one_process(builder: LakeBuilder) -> None:
    """The wall clock was set forward by 5 s, and the collector was started again."""
    points = [(T0 + 5 * S * n, 50 * n) for n in range(13)]
    builder.tokens("j", [(ts - 5 * S, n) for ts, n in points[1:7]], since_us=T0 - 20 * S, run=1)
    builder.tokens("j", points[7:], since_us=T0 - 15 * S, run=2)
    # 5 s of the job passed before the first reading.
    assert counted(builder) == (550, 550, 600, "token_anomaly")


@pytest.mark.parametrize("runs", [(1, 2), (None, None)])
@pytest.mark.parametrize("step_s", [5, 20, -5])
def test_stamps_move_with_a_start_that_moved(
    builder: LakeBuilder, runs: tuple[int | None, int | None], step_s: int
) -> None:
    """The wall clock was off until a server started in the job; a later run shows it right."""
    points = [(T0 + 5 * S * n, 50 * n) for n in range(1, 13)]
    early = [(ts - step_s * S, n) for ts, n in points[:6]]
    builder.tokens("j", early, since_us=T0 + (3 - step_s) * S, run=runs[0])
    builder.tokens("j", points[6:], since_us=T0 + 3 * S, run=runs[1])
    assert counted(builder) == (600, 600, 600, "token_anomaly")


def test_stamps_that_would_move_into_those_of_the_later_run_are_of_two_processes(
    builder: LakeBuilder,
) -> None:
    """Real time passed between two runs: no clock that was set leaves such stamps."""
    points = every_ten([n + 1000 for n in GROWTH])
    builder.tokens("j", points[:3], since_us=T0 - 60 * S, run=1)
    builder.tokens("j", points[3:], since_us=T0 - 45 * S, run=2)
    # Each may have gone on at 10 tokens a second while the other was read: a code says so.
    assert counted(builder) == (200 + 300, 500, 500 + 400 + 300, "token_anomaly")


@pytest.mark.parametrize(("began_s", "more"), [(-900, 0), (1700, 10_810)])
def test_two_servers_that_follow_each_other_are_never_subtracted(
    tmp_path: Path, began_s: int, more: int
) -> None:
    """Rows have no run; the second server was up before the last reading of the first."""
    builder = LakeBuilder(tmp_path / "lake")
    builder.job("j", "A", T0, T0 + HOUR_US)
    first = [(T0 + t * S, 1000 + t) for t in range(0, 1801, 10)]
    second = [(T0 + t * S, 9000 + t) for t in range(1810, 3601, 10)]
    builder.tokens("j", first, since_us=T0 - 5000 * S)
    builder.tokens("j", second, since_us=T0 + began_s * S)
    tokens, low, high, _ = counted(builder)
    assert (tokens, low) == (1800 + 1790 + more, 1800 + 1790 + more)
    assert high >= tokens + 1800


@pytest.mark.parametrize(("began_s", "one", "two"), [(300, 23_600, 24_200), (-500, 13_600, 2_200)])
def test_a_standby_that_took_over_is_held_by_the_bounds(
    tmp_path: Path, began_s: int, one: int, two: int
) -> None:
    """It began before the last reading of the other; its count is too high to go on from there."""
    builder = LakeBuilder(tmp_path / "lake")
    builder.job("j", "A", T0, T0 + 2 * HOUR_US)
    first = [(T0 + t * S, 10_000 + t) for t in range(0, 601, 10)]
    second = [(T0 + t * S, 20_000 + t) for t in range(2000, 3601, 10)]
    builder.tokens("j", first, since_us=T0 - 1000 * S, run=1)
    builder.tokens("j", second, since_us=T0 + began_s * S, run=2)
    tokens, low, high, reasons = counted(builder)
    assert (tokens, reasons) == (one, "token_anomaly")
    # Two processes, and what the first one made after its last reading.
    assert low <= min(one, two)
    assert high >= max(one, two) + 3000
    found = Usage.of(builder.lake)
    (of_job,) = found.of_jobs.to_pylist()
    assert of_job["low"] <= min(one, two)
    assert of_job["high"] >= max(one, two) + 3000
    # An hour that it did not touch has no code; the first server may have made tokens in it.
    (later,) = [row for row in found.rows.to_pylist() if row["hour_us"] > T0]
    assert later["reasons"] is None
    assert later["high"] >= 3600


def test_rows_without_a_run_whose_starts_take_turns_are_two_processes(builder: LakeBuilder) -> None:
    points = every_ten(GROWTH)
    for part, since_us in ((points[:2], 0), (points[2:4], 5), (points[4:], 0)):
        builder.tokens("j", part, since_us=T0 - HOUR_US + since_us * S)
    assert counted(builder)[0] == 600 + 100
