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
from typing import NamedTuple

from tokenergy_collectors.clock import Clock

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

    def begin(self, behind_us: int) -> None:
        """Count a run that begins so long after its time."""
        self.runs += 1
        if behind_us > LATE_US:
            self.late += 1
        self.worst_us = max(self.worst_us, behind_us)

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


class _Due(NamedTuple):
    """A task on the heap; compared from the left, and `order` never ties."""

    at_us: int
    periodic: bool
    order: int
    period_us: int
    task: Callable[[], None]
    pace: Pace


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
        pace = Pace()
        due = _Due(first_us, True, next(self._order), period_us, task, pace)
        heapq.heappush(self._heap, due)
        return pace

    def once(self, at_us: int, task: Callable[[], None]) -> None:
        """Run a task at one instant (monotonic microseconds)."""
        heapq.heappush(self._heap, _Due(at_us, False, next(self._order), 0, task, Pace()))

    def run(self, until_us: int | None, stop: threading.Event) -> None:
        """Run what is due until an instant (itself included) or until `stop` is set."""
        while self._heap and not stop.is_set():
            due = self._heap[0]
            if until_us is not None and due.at_us > until_us:
                self._clock.sleep_until(until_us, stop)
                return
            self._clock.sleep_until(due.at_us, stop)
            if stop.is_set():
                return
            heapq.heappop(self._heap)
            due.pace.begin(self._clock.monotonic_us() - due.at_us)
            due.task()
            if due.periodic:
                missed = max(0, (self._clock.monotonic_us() - due.at_us) // due.period_us)
                due.pace.left_out += missed
                next_us = due.at_us + (missed + 1) * due.period_us
                heapq.heappush(self._heap, due._replace(at_us=next_us))
