"""The schedule: order, grids, late tasks, and stopping."""

import threading
import time
from dataclasses import replace

import pytest

from tokenergy_collectors.base.clock import SystemClock, VirtualClock
from tokenergy_collectors.base.schedule import Pace, Schedule


@pytest.fixture
def virtual():
    return VirtualClock(1_700_000_000_000_000)


def noting(clock, notes, name, busy_us=0):
    def task():
        notes.append((name, clock.monotonic_us()))
        if busy_us:
            clock.sleep_until(clock.monotonic_us() + busy_us, threading.Event())

    return task


def test_tasks_run_in_order_and_single_ones_first(virtual):
    start, notes = virtual.monotonic_us(), []
    schedule = Schedule(virtual)
    schedule.every(10, noting(virtual, notes, "a"), start)
    schedule.every(20, noting(virtual, notes, "b"), start)
    schedule.once(start + 20, noting(virtual, notes, "edge"))
    schedule.once(start + 5, noting(virtual, notes, "once"))
    schedule.run(start + 20, threading.Event())
    assert [(name, at - start) for name, at in notes] == [
        ("a", 0), ("b", 0), ("once", 5), ("a", 10), ("edge", 20), ("a", 20), ("b", 20),
    ]  # fmt: skip


def test_the_end_is_included_and_the_clock_stands_there(virtual):
    start, notes = virtual.monotonic_us(), []
    schedule = Schedule(virtual)
    schedule.every(10, noting(virtual, notes, "a"), start)
    schedule.run(start + 25, threading.Event())
    assert [at - start for _, at in notes] == [0, 10, 20]
    assert virtual.monotonic_us() == start + 25


def test_late_tasks_skip_on_their_grid_and_are_counted(virtual):
    start, notes = virtual.monotonic_us(), []
    schedule = Schedule(virtual)
    pace = schedule.every(10, noting(virtual, notes, "a"), start)
    schedule.once(start + 11, noting(virtual, notes, "slow", busy_us=34))
    schedule.run(start + 70, threading.Event())
    assert [at - start for name, at in notes if name == "a"] == [0, 10, 45, 50, 60, 70]
    assert (pace.runs, pace.left_out, pace.worst_us) == (6, 2, 25)


def test_runs_that_begin_more_than_five_milliseconds_late_are_counted(virtual):
    start, notes = virtual.monotonic_us(), []
    schedule = Schedule(virtual)
    pace = schedule.every(50_000, noting(virtual, notes, "a"), start)
    for at_us, busy_us in ((49_000, 6_000), (99_000, 6_001), (149_000, 60_000)):
        schedule.once(start + at_us, noting(virtual, notes, "slow", busy_us))
    schedule.run(start + 120_000, threading.Event())
    before = replace(pace)
    assert (pace.runs, pace.late, pace.left_out) == (3, 1, 0)
    assert pace.lateness(Pace()) == (
        "1 of 3 ticks began more than 5 ms late, 0 were skipped; the worst delay so far is 5.0 ms"
    )
    assert pace.lateness(before) is None
    schedule.run(start + 250_000, threading.Event())
    assert (pace.runs, pace.late, pace.left_out, pace.worst_us) == (5, 2, 1, 59_000)
    assert pace.lateness(before) == (
        "1 of 2 ticks began more than 5 ms late, 1 were skipped; the worst delay so far is 59.0 ms"
    )


def test_a_task_that_takes_exactly_its_period_loses_nothing_of_the_grid(virtual):
    start, notes = virtual.monotonic_us(), []
    schedule = Schedule(virtual)
    pace = schedule.every(10, noting(virtual, notes, "a", busy_us=10), start)
    schedule.run(start + 40, threading.Event())
    assert all((at - start) % 10 == 0 for _, at in notes)
    assert len(notes) + pace.left_out == 5 + 1


def test_a_task_may_plan_others(virtual):
    start, notes = virtual.monotonic_us(), []
    schedule = Schedule(virtual)
    schedule.once(start, lambda: schedule.once(start + 7, noting(virtual, notes, "late")))
    schedule.run(None, threading.Event())
    assert notes == [("late", start + 7)]


def test_stop_ends_a_virtual_run_at_once(virtual):
    stop, notes, start = threading.Event(), [], virtual.monotonic_us()
    schedule = Schedule(virtual)
    schedule.every(10, noting(virtual, notes, "a"), start)
    schedule.once(start + 30, stop.set)
    schedule.run(None, stop)
    assert len(notes) == 3


def test_stop_ends_a_real_wait_at_once():
    clock, stop = SystemClock(), threading.Event()
    schedule = Schedule(clock)
    schedule.once(clock.monotonic_us() + 60_000_000, lambda: None)
    threading.Timer(0.05, stop.set).start()
    began = time.monotonic()
    schedule.run(None, stop)
    assert time.monotonic() - began < 5


def test_clocks():
    clock, stop = SystemClock(), threading.Event()
    before = clock.monotonic_us()
    clock.sleep_until(before + 2_000, stop)
    assert clock.monotonic_us() >= before + 2_000
    clock.sleep_until(before, stop)
    assert abs(clock.realtime_us() - time.time_ns() // 1000) < 1_000_000
    assert clock.boottime_us() >= before
    virtual = VirtualClock(5_000_000)
    assert virtual.realtime_us() == 5_000_000
    virtual.sleep_until(0, stop)
    assert virtual.monotonic_us() == virtual.boottime_us() == 1_000_000
    stop.set()
    virtual.sleep_until(9_000_000, stop)
    assert virtual.monotonic_us() == 1_000_000
