"""Clocks on which a test says what happens when: time moves only where somebody waits for it."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from typing import Any

from tokenergy_collectors.base.clock import VirtualClock


class PlannedClock(VirtualClock):
    """A virtual clock that calls what a test planned, each at its time."""

    def __init__(self, realtime_us: int) -> None:
        super().__init__(realtime_us)
        self._planned: list[tuple[int, int, Callable[[], Any]]] = []
        self._order = itertools.count()

    def at(self, after_us: int, task: Callable[[], Any]) -> None:
        """Call a task so long from now, before anything else that is due then."""
        heapq.heappush(self._planned, (self.monotonic_us() + after_us, next(self._order), task))

    def sleep_until(self, monotonic_us: int, stop: threading.Event) -> None:
        """Move the clock forward, from one planned task to the next; a stop ends that."""
        while self._planned and self._planned[0][0] <= monotonic_us and not stop.is_set():
            at_us, _, task = heapq.heappop(self._planned)
            super().sleep_until(at_us, stop)
            task()
        super().sleep_until(monotonic_us, stop)


class SteppedClock:
    """A planned clock that passes for a real one: slow work runs in threads, learning learns."""

    def __init__(self, realtime_us: int) -> None:
        self._clock = PlannedClock(realtime_us)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)
