"""The clocks of this host with a wall clock that can be set, for emulated hosts in real time.

In: the clocks of this host. Out: the same ones, with UTC shifted by the profile's clock jumps.
"""

from __future__ import annotations

from tokenergy_collectors.base.clock import BeatingClock


class SteppableClock(BeatingClock):
    """Real time with a wall clock of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._step_us = 0

    def realtime_us(self) -> int:
        """Return CLOCK_REALTIME with all jumps so far."""
        return super().realtime_us() + self._step_us

    def step_realtime(self, by_us: int) -> None:
        """Set the wall clock ahead (us), or back."""
        self._step_us += by_us
