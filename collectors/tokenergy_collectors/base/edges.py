"""Future instants at which everything is read: the edges of jobs, of hours and of the run.

In: edges as they become known (monotonic microseconds). Out: the next one.
"""

from __future__ import annotations

import heapq


class Edges:
    """Future edges, for a clock that never goes back."""

    def __init__(self) -> None:
        self._heap: list[int] = []

    def add(self, at_us: int) -> None:
        """Add an edge."""
        heapq.heappush(self._heap, at_us)

    def next_us(self, now_us: int) -> int | None:
        """Return the first edge after now; None if there is none."""
        while self._heap and self._heap[0] <= now_us:
            heapq.heappop(self._heap)
        return self._heap[0] if self._heap else None
