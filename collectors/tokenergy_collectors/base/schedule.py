"""Runs tasks at their times: periodic tasks, and tasks for a single instant.

In: tasks with times on the monotonic clock. Out: calls, in the order of these times. A late task
runs once; its next run is again on its grid of times, so that a slow call never shifts the rate.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass

from tokenergy_collectors.base.clock import Clock

LATE_US = 5_000
"""A run that begins later than this after its time counts as late."""


@dataclass(slots=True)
class Pace:
    """How well a periodic task keeps its times.

    Attributes:
        runs: how often it ran.
        late: how many of these runs began late.
        worst_us: how long after its time the latest of them began.
        left_out: periods without a run, because an earlier run ended or began too late.
    """

    runs: int = 0
    late: int = 0
    worst_us: int = 0
    left_out: int = 0

    @property
    def missed(self) -> int:
        """How many runs came late or not at all."""
        return self.late + self.left_out

    def begin(self, behind_us: int) -> None:
        """Count a run that begins `behind_us` after its time."""
        self.runs += 1
        if behind_us > self.worst_us:
            self.worst_us = behind_us
        if behind_us > LATE_US:
            self.late += 1

    def lateness(self, since: Pace) -> str | None:
        """Return in words what was late since an earlier state; None if nothing was."""
        late, left_out = self.late - since.late, self.left_out - since.left_out
        if not late and not left_out:
            return None
        runs, worst_ms = self.runs - since.runs, self.worst_us / 1_000
        return (
            f"{late} of {runs} ticks began more than {LATE_US // 1_000} ms late, "
            f"{left_out} were skipped; the worst delay so far is {worst_ms:.1f} ms"
        )


@dataclass(slots=True)
class _Task:
    """A task on the schedule; a period of 0 means once."""

    run: Callable[[], None]
    period_us: int
    pace: Pace


_Due = tuple[int, bool, int, _Task]
"""An entry of the heap: time (us), whether it is periodic, order of arrival (unique), task."""


class Schedule:
    """A heap of tasks. Of tasks due at the same time, single ones run first, then by arrival."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[_Due] = []
        self._order = itertools.count()

    def every(self, period_us: int, task: Callable[[], None], first_us: int) -> Pace:
        """Run a task at `first_us` and every period after it (monotonic microseconds).

        Returns:
            How well it keeps its times; always up to date.
        """
        planned = _Task(task, period_us, Pace())
        heapq.heappush(self._heap, (first_us, True, next(self._order), planned))
        return planned.pace

    def once(self, at_us: int, task: Callable[[], None]) -> None:
        """Run a task at one instant (monotonic microseconds)."""
        heapq.heappush(self._heap, (at_us, False, next(self._order), _Task(task, 0, Pace())))

    def run(self, until_us: int | None, stop: threading.Event) -> None:
        """Run what is due up to an instant (inclusive) or until `stop` is set."""
        clock, heap = self._clock, self._heap
        while heap and not stop.is_set():
            at_us, periodic, order, task = heap[0]
            if until_us is not None and at_us > until_us:
                clock.sleep_until(until_us, stop)
                return
            # The task stays on the heap while waiting, so that a stop loses nothing.
            clock.sleep_until(at_us, stop)
            if stop.is_set():
                return
            heapq.heappop(heap)
            task.pace.begin(clock.monotonic_us() - at_us)
            task.run()
            if periodic:
                # Skip the periods that have passed meanwhile instead of catching up.
                missed = max(0, (clock.monotonic_us() - at_us) // task.period_us)
                task.pace.left_out += missed
                next_us = at_us + (missed + 1) * task.period_us
                heapq.heappush(heap, (next_us, True, order, task))
