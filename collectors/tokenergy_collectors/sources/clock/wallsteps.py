"""Turns wall-clock times that others tell into stamps, across steps of the wall clock.

In: the steps as they are noticed. Out: stamps. Stamps are monotonic time plus an offset found once.
A server's start, however, is what the wall clock showed then: after a step, that is another time.
"""

from __future__ import annotations

_SLACK_US = 2_000_000
"""A step is noticed up to a second late."""


class WallSteps:
    """The steps of a host's wall clock since its stamps began."""

    def __init__(self) -> None:
        self._steps: list[tuple[int, int]] = []

    def add(self, ts_us: int, off_us: int) -> None:
        """Take note that from a stamp on the wall clock is `off_us` ahead of the stamps."""
        self._steps.append((ts_us, off_us))

    def stamp_us(self, wall_us: int, now_us: int) -> int:
        """Return the stamp of a wall-clock time first heard of now, the latest that it can be.

        A clock set back shows some times twice. Who is first heard of after the step is taken to
        have begun after it, if that is possible: before it there was time to hear of him.
        """
        for from_us, off_us in reversed(self._steps):
            ts_us = wall_us - off_us
            if from_us - _SLACK_US <= ts_us <= now_us + _SLACK_US:
                return ts_us
        return wall_us
