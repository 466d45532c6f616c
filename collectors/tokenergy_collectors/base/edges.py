"""The instants to come at which everything is to be read: edges of jobs, of hours, of the run.

In: edges as they become known (monotonic microseconds). Out: the next one.
"""

from __future__ import annotations

import heapq


class Edges:
    """Edges to come, for a clock that does not go back."""

    def __init__(self) -> None:
        self._heap: list[int] = []

    def add(self, at_us: int) -> None:
        """Take note of an edge."""
        heapq.heappush(self._heap, at_us)

    def next_us(self, now_us: int) -> int | None:
        """Return the first edge after now; None if none is known."""
        while self._heap and self._heap[0] <= now_us:
            heapq.heappop(self._heap)
        return self._heap[0] if self._heap else None
