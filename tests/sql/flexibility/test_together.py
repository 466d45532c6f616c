"""Many jobs under limits: never above them, never worse than staying, bounded by each alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.sql.flexibility import brute
from tests.sql.flexibility.test_shifting import course, jobs, signal_of, signals
from tokenergy_sql.flexibility.movable import steps_of, summed
from tokenergy_sql.flexibility.room import Room, Steps
from tokenergy_sql.flexibility.shifting import starts_of
from tokenergy_sql.flexibility.together import Mover, arrange

ENDS = range(60)


def spans(steps: Steps) -> list[tuple[int, int, int]]:
    edges, levels = steps.edges_us.tolist(), steps.level.tolist()
    return [*zip(edges, edges[1:], levels, strict=False)]


def moved(span: list[tuple[int, int, int]], shift: int) -> list[tuple[int, int, int]]:
    return [(begin + shift, end + shift, level) for begin, end, level in span]


@given(
    st.lists(jobs(), min_size=1, max_size=4),
    signals(),
    st.integers(0, 12),
    st.integers(0, 120_000),
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 4), st.integers(0, 90_000)), max_size=4),
)
def test_limits_hold_and_nothing_is_lost(
    many: list[brute.Cells],
    intervals: brute.Intervals,
    most: int,
    limit: int,
    base: list[tuple[int, int, int]],
) -> None:
    signal = signal_of(intervals)
    movers = []
    for job in many:
        one = course(job)
        starts = starts_of(one, signal, most)
        if not np.isnan(starts.cost[0]):
            movers.append(Mover(starts, (steps_of(one),)))
    others = [(start, start + length, level) for start, length, level in base]
    before = others + [span for one in movers for span in spans(one.loads[0])]
    places = arrange(movers, [Room(limit, summed(before))])
    after, saved, alone = [*others], 0.0, 0.0
    for mover, place in zip(movers, places, strict=True):
        shift = int(mover.starts.shift_us[place])
        assert not np.isnan(mover.starts.cost[place])
        after += moved(spans(mover.loads[0]), shift)
        gain = float(mover.starts.cost[0] - mover.starts.cost[place])
        assert gain >= 0
        saved += gain
        alone += float(mover.starts.cost[0] - np.nanmin(mover.starts.cost))
    assert saved <= alone + 1e-20
    for moment in ENDS:
        was, now = brute.level_at(before, moment), brute.level_at(after, moment)
        assert now <= max(limit, was)


def test_without_a_limit_that_binds_every_job_gets_its_best() -> None:
    signal = signal_of([(0, 10, 100), (10, 20, 1), (20, 30, 50)])
    movers = [
        Mover(starts_of(one, signal, 15), (steps_of(one),))
        for one in (course([(0, 5, 100)]), course([(2, 8, 300)]))
    ]
    load = movers[0].loads[0].plus(movers[1].loads[0])
    places = arrange(movers, [Room(10**9, load)])
    assert [int(m.starts.shift_us[p]) for m, p in zip(movers, places, strict=True)] == [10, 8]


def test_a_limit_keeps_two_jobs_apart_and_the_dearer_one_moves() -> None:
    signal = signal_of([(0, 10, 100), (10, 20, 1), (20, 40, 100)])
    small, large = course([(0, 10, 100)]), course([(0, 10, 300)])
    movers = [Mover(starts_of(one, signal, 10), (steps_of(one),)) for one in (small, large)]
    load = movers[0].loads[0].plus(movers[1].loads[0])
    rooms = [Room(30, load)]
    places = arrange(movers, rooms)
    assert [int(m.starts.shift_us[p]) for m, p in zip(movers, places, strict=True)] == [0, 10]
    assert rooms[0].most() == 30


def test_room_that_a_job_leaves_is_used_in_the_next_pass() -> None:
    # The first job can only go to where the second one is, which leaves it later in the order.
    signal = signal_of([(0, 10, 100), (10, 20, 50), (20, 30, 40), (30, 50, 200)])
    large, small = course([(0, 10, 900)]), course([(10, 20, 100)])
    movers = [
        Mover(starts_of(large, signal, 10), (steps_of(large),)),
        Mover(starts_of(small, signal, 10), (steps_of(small),)),
    ]
    load = movers[0].loads[0].plus(movers[1].loads[0])
    places = arrange(movers, [Room(95, load)])
    assert [int(m.starts.shift_us[p]) for m, p in zip(movers, places, strict=True)] == [10, 10]


def test_a_site_above_its_limit_may_stay_where_it_was_and_no_higher() -> None:
    was = summed([(0, 10, 100), (10, 20, 50)])
    room = Room(60, was)
    job = summed([(0, 10, 20)])
    room.take(job)
    assert room.fits(job)
    assert not room.fits(job.later(10))
    assert room.fits(summed([(10, 20, 10)]))


def test_a_moment_in_the_middle_of_a_job_counts() -> None:
    room = Room(100, summed([(4, 6, 95)]))
    assert not room.fits(summed([(0, 10, 10)]))
    assert room.fits(summed([(0, 4, 10), (6, 10, 10)]))
    # What the site drew before may be drawn again, and for no longer.
    room = Room(100, summed([(0, 5, 150)]))
    room.take(summed([(0, 5, 150)]))
    assert room.fits(summed([(0, 5, 150)]))
    assert not room.fits(summed([(0, 6, 150)]))
