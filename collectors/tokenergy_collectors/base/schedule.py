"""What is due when: periodic tasks and single instants on the monotonic clock.

In: tasks. Out: calls, in the order of their times. A task that comes late is run once and its
schedule goes on from the grid it was given, so that a slow call never makes the rate drift.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass

from tokenergy_collectors.base.clock import Clock

LATE_US = 5_000
"""A run that begins more than this after its time is late."""


@dataclass(slots=True)
class Pace:
    """How well a periodic task keeps its times.

    Attributes:
        runs: how often it ran.
        late: how many of these runs began late.
        worst_us: how long after its time the latest of them began.
        left_out: periods without a run, because an earlier one had not ended, or began too late.
    """

    runs: int = 0
    late: int = 0
    worst_us: int = 0
    left_out: int = 0

    @property
    def missed(self) -> int:
        """How many times were not kept: late runs, and periods without one."""
        return self.late + self.left_out

    def begin(self, behind_us: int) -> None:
        """Count a run that begins so long after its time."""
        self.runs += 1
        if behind_us > self.worst_us:
            self.worst_us = behind_us
        if behind_us > LATE_US:
            self.late += 1

    def lateness(self, since: Pace) -> str | None:
        """Return what came late after an earlier state, in words; None if nothing did."""
        late, left_out = self.late - since.late, self.left_out - since.left_out
        if not late and not left_out:
            return None
        runs, worst_ms = self.runs - since.runs, self.worst_us / 1_000
        return (
            f"{late} of {runs} ticks began more than {LATE_US // 1_000} ms after their time, "
            f"{left_out} were left out; the latest so far by {worst_ms:.1f} ms"
        )


@dataclass(slots=True)
class _Task:
    """What is to be run; a period of 0 is once."""

    run: Callable[[], None]
    period_us: int
    pace: Pace


_Due = tuple[int, bool, int, _Task]
"""On the heap: time (us), whether it is periodic, in which order it came (never equal), what."""


class Schedule:
    """A heap of tasks; of those due at one instant single ones run first, then as they came."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[_Due] = []
        self._order = itertools.count()

    def every(self, period_us: int, task: Callable[[], None], first_us: int) -> Pace:
        """Run a task at `first_us` and every period after it (monotonic microseconds).

        Returns:
            How it keeps its times, up to date at any moment.
        """
        planned = _Task(task, period_us, Pace())
        heapq.heappush(self._heap, (first_us, True, next(self._order), planned))
        return planned.pace

    def once(self, at_us: int, task: Callable[[], None]) -> None:
        """Run a task at one instant (monotonic microseconds)."""
        heapq.heappush(self._heap, (at_us, False, next(self._order), _Task(task, 0, Pace())))

    def run(self, until_us: int | None, stop: threading.Event) -> None:
        """Run what is due until an instant (itself included) or until `stop` is set."""
        clock, heap = self._clock, self._heap
        while heap and not stop.is_set():
            at_us, periodic, order, task = heap[0]
            if until_us is not None and at_us > until_us:
                clock.sleep_until(until_us, stop)
                return
            clock.sleep_until(at_us, stop)
            if stop.is_set():
                return
            heapq.heappop(heap)
            task.pace.begin(clock.monotonic_us() - at_us)
            task.run()
            if periodic:
                missed = max(0, (clock.monotonic_us() - at_us) // task.period_us)
                task.pace.left_out += missed
                next_us = at_us + (missed + 1) * task.period_us
                heapq.heappush(heap, (next_us, True, order, task))
