"""What is due when: periodic tasks and single instants on the monotonic clock.

In: tasks. Out: calls, in the order of their times. A task that comes late is run once and its
schedule goes on from the grid it was given, so that a slow call never makes the rate drift.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from typing import NamedTuple

from tokenergy_collectors.clock import Clock


class _Due(NamedTuple):
    """A task on the heap; compared from the left, and `order` never ties."""

    at_us: int
    periodic: bool
    order: int
    period_us: int
    task: Callable[[], None]


class Schedule:
    """A heap of tasks; of those due at one instant single ones run first, then as they came."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[_Due] = []
        self._order = itertools.count()
        self.skipped = 0
        """Periods that were left out because a task came later than its next time."""

    def every(self, period_us: int, task: Callable[[], None], first_us: int) -> None:
        """Run a task at `first_us` and every period after it (monotonic microseconds)."""
        heapq.heappush(self._heap, _Due(first_us, True, next(self._order), period_us, task))

    def once(self, at_us: int, task: Callable[[], None]) -> None:
        """Run a task at one instant (monotonic microseconds)."""
        heapq.heappush(self._heap, _Due(at_us, False, next(self._order), 0, task))

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
            due.task()
            if due.periodic:
                late = max(0, (self._clock.monotonic_us() - due.at_us) // due.period_us)
                self.skipped += late
                next_us = due.at_us + (late + 1) * due.period_us
                heapq.heappush(self._heap, due._replace(at_us=next_us))
