"""One board in the last minute: freshness, energy curve, restarts, gaps; stamps are made up."""

import pytest

from tokenergy_collectors.live.board import Limits, LiveBoard
from tokenergy_collectors.live.curve import difference
from tokenergy_collectors.sources.nvml.boards import Board

S = 1_000_000
T0 = 1_768_464_000_000_000
LIMITS = Limits(2 * S, 3 * S, 15 * S, 3 * S, 300_000)


@pytest.fixture
def live():
    board = Board(None, "GPU-0", 0, "H100", None, 700_000, None)
    live = LiveBoard(board)
    live.follow(board, LIMITS)
    return live


def feed(live, seconds, power_mw=100_000, *, first_s=0.0, counter=None, every_s=0.1):
    """Readings every 100 ms; `counter(seconds)` is read once a second."""
    for step in range(round(seconds / every_s) + 1):
        at_s = first_s + step * every_s
        whole = abs(at_s - round(at_s)) < 1e-9
        mj = counter(at_s) if counter and whole else None
        power = power_mw(at_s) if callable(power_mw) else power_mw
        live.reading(T0 + round(at_s * S), power, mj)


def test_a_value_disappears_when_it_is_older_than_its_limit(live):
    assert live.fresh_mw(T0) is None
    live.reading(T0, 123_456, 5_000)
    live.set_state(T0, {"sm_util": 7}, 3)
    assert live.fresh_mw(T0 + 2 * S) == 123_456
    assert live.fresh_mw(T0 + 2 * S + 1) is None
    assert live.fresh_gauges(T0 + 3 * S) == {"sm_util": 7}
    assert live.fresh_gauges(T0 + 3 * S + 1) == {}
    assert live.fresh_processes(T0 + 15 * S) == 3
    assert live.fresh_processes(T0 + 15 * S + 1) is None
    assert live.counter_mj(T0 + 3 * S) == 5_000
    assert live.counter_mj(T0 + 3 * S + 1) is None
    live.set_state(T0 + S, {"sm_util": 8}, None)
    assert live.fresh_processes(T0 + 15 * S) == 3, "a list that was not asked for says nothing"


def test_the_minutes_energy_is_the_counters_where_there_is_one(live):
    feed(live, 59, counter=lambda at_s: 1_000_000 + round(90_000 * at_s))
    assert live.minute_mj(T0 + 59 * S) is None, "there is no minute yet"
    feed(live, 31, first_s=59.1, counter=lambda at_s: 1_000_000 + round(90_000 * at_s))
    assert live.minute_mj(T0 + 90 * S) == pytest.approx(60 * 90_000)
    assert live.minute_mj(T0 + 93 * S + 100_001) is None
    assert live.counter_mj(T0 + 90 * S) == 1_000_000 + 90 * 90_000
    assert live.energy_mj(T0 + 60 * S + S // 2, T0 + 62 * S) == pytest.approx(135_000)


@pytest.mark.parametrize("counter", [None, lambda _: 77], ids=["none", "frozen"])
def test_without_a_counter_that_moves_it_is_the_trapezoids(live, counter):
    # A ramp: every trapezoid counts, not only the readings at the marks.
    feed(live, 80, lambda at_s: 100_000 + round(at_s * 1_000), counter=counter)
    assert live.minute_mj(T0 + 80 * S) == pytest.approx(60 * 150_000)


def test_a_gap_leaves_the_integral_unknown_and_the_counter_known(live):
    bare = LiveBoard(live.board)
    bare.follow(live.board, LIMITS)
    for one, counter in ((live, lambda at_s: round(90_000 * at_s)), (bare, None)):
        feed(one, 40, counter=counter)
        feed(one, 50, first_s=42, counter=counter)
        assert one.gaps == 1
    assert live.minute_mj(T0 + 92 * S) == pytest.approx(60 * 90_000)
    assert bare.minute_mj(T0 + 92 * S) is None
    feed(bare, 20, first_s=92.1)
    assert bare.minute_mj(T0 + 112 * S) == pytest.approx(60 * 100_000)
    assert bare.gaps == 1


def test_a_counter_that_restarts_goes_on_and_readings_bridge_the_second(live):
    feed(live, 30, counter=lambda at_s: 5_000_000 + round(100_000 * at_s))
    feed(live, 50, first_s=30.1, counter=lambda at_s: round(100_000 * (at_s - 30.5)))
    assert live.counter_mj(T0 + 80 * S) == pytest.approx(5_000_000 + 80 * 100_000, abs=10_001)
    assert live.minute_mj(T0 + 80 * S) == pytest.approx(60 * 100_000, abs=10_001)
    values = [mark.counter_mj for mark in live.marks if mark.counter_mj is not None]
    assert values == sorted(values)


def test_what_is_kept_stays_small(live):
    feed(live, 600, counter=lambda at_s: round(at_s), every_s=0.5)
    assert live.readings == 1201
    assert len(live.marks) <= 66
    live.forget()
    assert live.fresh_mw(T0 + 600 * S) is None
    assert live.span() is None
    assert live.readings == 1201


def test_a_reading_without_power_or_out_of_order_is_no_power(live):
    live.reading(T0, None, 1_000)
    assert (live.fresh_mw(T0), live.counter_mj(T0), live.gaps) == (None, 1_000, 0)
    live.reading(T0 + S, 5_000, None)
    live.reading(T0 + S, 6_000, None)
    assert live.fresh_mw(T0 + S) == 6_000
    live.reading(T0 + S // 2, 7_000, None)
    assert (live.fresh_mw(T0 + S), live.gaps) == (7_000, 0)


def test_a_curve_tells_nothing_outside_its_points_or_inside_a_wide_gap():
    points = [(0, 0), (10, 100), (50, 100), (60, 200)]
    assert difference(points, 5, 55) == 100
    assert difference(points, 0, 60) == 200
    assert difference(points, -1, 60) is None
    assert difference(points, 0, 61) is None
    assert difference(points, 20, 60, widest_us=39) is None
    assert difference(points, 10, 50, widest_us=39) == 0
    assert difference([], 0, 1) is None
