"""Converts wall-clock times from other programs into stamps, across steps of the wall clock.

In: the steps as they are noticed. Out: stamps. A stamp is monotonic time plus an offset found once.
A server's start, however, is what the wall clock showed then, which a step makes differ from it.
"""

from __future__ import annotations

_SLACK_US = 2_000_000
"""A step is noticed up to a second late."""


class WallSteps:
    """The steps of a host's wall clock since its stamps began."""

    def __init__(self) -> None:
        self._steps: list[tuple[int, int]] = []

    def add(self, ts_us: int, off_us: int) -> None:
        """Note that from a stamp on the wall clock is `off_us` ahead of the stamps."""
        self._steps.append((ts_us, off_us))

    def stamp_us(self, wall_us: int, now_us: int) -> int:
        """Return the stamp of a wall-clock time that is first seen now: the latest one possible.

        A clock that is set back shows some times twice. A server first seen after the step is taken
        to have started after it, if that is possible: otherwise it would have been seen before.
        """
        # The newest step first, since the latest possible stamp counts.
        for from_us, off_us in reversed(self._steps):
            ts_us = wall_us - off_us
            if from_us - _SLACK_US <= ts_us <= now_us + _SLACK_US:
                return ts_us
        return wall_us
