"""One job against one signal: the best start is that of a brute force in plain Python."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sql.flexibility import brute
from tokenergy_sql.flexibility.course import Course, Piece, course_of, joined
from tokenergy_sql.flexibility.shifting import best_of, exact_cost, saved_bounds, starts_of
from tokenergy_sql.flexibility.signal import BILLION, NJ_PER_KWH, Signal

UNIT = BILLION * NJ_PER_KWH


@st.composite
def signals(draw: st.DrawFn) -> brute.Intervals:
    """A few intervals from 0 on, some without a value, some with a gap before."""
    at, found = 0, []
    for _ in range(draw(st.integers(1, 6))):
        at += draw(st.sampled_from([0, 0, 0, 2]))
        until = at + draw(st.integers(1, 7))
        values = st.one_of(st.integers(-50, 400), st.integers(-50, 400), st.none())
        found.append((at, until, draw(values)))
        at = until
    return found


@st.composite
def jobs(draw: st.DrawFn) -> brute.Cells:
    """Spans of one or two boards, which need not begin together."""
    found = []
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, 4))
        for _ in range(draw(st.integers(1, 3))):
            until = at + draw(st.integers(1, 5))
            found.append((at, until, draw(st.integers(0, 60)) * 2520))
            at = until
    return found


def signal_of(intervals: brute.Intervals) -> Signal:
    starts, ends, values = zip(*intervals, strict=True)
    return Signal(starts, ends, values, "carbon_average", "gCO2e/kWh", "test")


def course(job: brute.Cells) -> Course:
    found = course_of(Piece(begin, end, nj, nj, nj) for begin, end, nj in job)
    assert found is not None
    return found


@given(jobs(), signals(), st.integers(0, 12))
def test_the_best_start_is_that_of_a_brute_force(
    job: brute.Cells, intervals: brute.Intervals, most: int
) -> None:
    signal, moved = signal_of(intervals), course(job)
    found = best_of(moved, signal, starts_of(moved, signal, most))
    expected = brute.best(job, intervals, most)
    assert found == expected
    if expected is not None:
        cost = brute.cost(job, intervals, expected)
        assert cost is not None
        assert exact_cost(moved, signal, expected) == cost / UNIT


@given(jobs(), signals(), st.integers(0, 12))
def test_every_start_costs_what_a_brute_force_says(
    job: brute.Cells, intervals: brute.Intervals, most: int
) -> None:
    signal, moved = signal_of(intervals), course(job)
    starts = starts_of(moved, signal, most)
    assert int(starts.shift_us[0]) == 0
    for shift, cost in zip(starts.shift_us.tolist(), starts.cost.tolist(), strict=True):
        expected = brute.cost(job, intervals, shift)
        if expected is None:
            assert cost != cost  # NaN: a hole is never offered
        else:
            assert cost == pytest.approx(float(expected / UNIT), rel=1e-9, abs=1e-25)


@given(jobs(), signals(), st.integers(0, 9), st.lists(st.integers(-9, 9), min_size=18, max_size=18))
def test_bounds_hold_whatever_each_cell_used(
    job: brute.Cells, intervals: brute.Intervals, shift: int, errors: list[int]
) -> None:
    signal, moved = signal_of(intervals), course(job)
    most = 10 * 2520
    wide = Course(
        moved.edges_us,
        moved.nj,
        tuple(max(0, nj - most) for nj in moved.nj),
        tuple(nj + most for nj in moved.nj),
    )
    both = (moved.start_us, moved.start_us + shift)
    if not all(signal.knows(at, at + moved.end_us - moved.start_us) for at in both):
        with pytest.raises(ValueError, match="not known"):
            saved_bounds(wide, signal, shift)
        return
    low, high = saved_bounds(wide, signal, shift)
    cells = [*zip(moved.edges_us, moved.edges_us[1:], moved.nj, strict=False)]
    truth = [
        (begin, end, max(0, nj + 2520 * error))
        for (begin, end, nj), error in zip(cells, errors, strict=False)
    ]
    before, after = (brute.cost(truth, intervals, at) for at in (0, shift))
    assert before is not None
    assert after is not None
    saved = float((before - after) / UNIT)
    assert low - 1e-20 <= saved <= high + 1e-20


@given(jobs())
def test_cells_add_up_to_pieces(job: brute.Cells) -> None:
    found = course(job)
    assert found.total_nj == sum(nj for _, _, nj in job)
    assert [*found.edges_us] == sorted({*found.edges_us})
    scaled = found.scaled(Fraction(7, 3))
    assert scaled.total_nj == found.total_nj * 7 // 3


def test_courses_join_with_time_without_energy_between() -> None:
    one = Course((0, 10), (5,), (4,), (6,))
    two = Course((20, 30, 40), (7, 8), (7, 8), (7, 8))
    assert joined([one, two]) == Course(
        (0, 10, 20, 30, 40), (5, 0, 7, 8), (4, 0, 7, 8), (6, 0, 7, 8)
    )
    with pytest.raises(ValueError, match="overlap"):
        joined([two, one])


def test_power_is_rounded_up() -> None:
    assert Course((0, 3, 6), (10, 9), (0, 0), (0, 0)).power_mw() == (4, 3)


def test_two_intervals_may_not_overlap() -> None:
    with pytest.raises(ValueError, match="overlap"):
        signal_of([(0, 5, 1), (4, 6, 2)])
    with pytest.raises(ValueError, match="does not end"):
        signal_of([(5, 5, 1)])


def test_a_start_between_the_edges_of_the_grid_can_be_the_best() -> None:
    # Power is low, then high: the high part fits the cheap hour best when the low part is outside.
    signal = signal_of([(0, 10, 100), (10, 20, 1), (20, 40, 100)])
    moved = course([(0, 7, 7), (7, 17, 10_000)])
    assert best_of(moved, signal, starts_of(moved, signal, 20)) == 3
