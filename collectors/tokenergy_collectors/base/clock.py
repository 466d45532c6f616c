"""Clocks, real or virtual. Schedules run on the monotonic clock; UTC is derived from it once.

Every stamp is an integer number of microseconds. A virtual clock does not wait: sleeping moves it
forward, so that an emulated hour takes only as long as the work done in it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

_SHORT_US = 100_000


class Clock(Protocol):
    """The host's clocks, and a sleep that ends early when a stop is requested."""

    def monotonic_us(self) -> int:
        """CLOCK_MONOTONIC: never jumps; stops while the host is suspended."""

    def boottime_us(self) -> int:
        """CLOCK_BOOTTIME: like monotonic, but also runs while the host is suspended."""

    def realtime_us(self) -> int:
        """CLOCK_REALTIME: UTC since 1970; may jump."""

    def sleep_until(self, monotonic_us: int, stop: threading.Event) -> None:
        """Wait until the monotonic clock shows a stamp, or until `stop` is set."""


class SystemClock:
    """The clocks of this host."""

    def monotonic_us(self) -> int:
        """Return CLOCK_MONOTONIC."""
        return time.monotonic_ns() // 1000

    def boottime_us(self) -> int:
        """Return CLOCK_BOOTTIME."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000

    def realtime_us(self) -> int:
        """Return CLOCK_REALTIME."""
        return time.clock_gettime_ns(time.CLOCK_REALTIME) // 1000

    def sleep_until(self, monotonic_us: int, stop: threading.Event) -> None:
        """Wait; a stop ends a long wait at once, a short one when its time is over."""
        left_us = monotonic_us - self.monotonic_us()
        if left_us > _SHORT_US:
            stop.wait(left_us / 1_000_000)
        elif left_us > 0:
            time.sleep(left_us / 1_000_000)  # costs half as much CPU as waiting on an event


class VirtualClock:
    """A clock that moves only when a caller sleeps on it.

    Args:
        realtime_us: UTC at which it starts; monotonic and boottime start at one second.
    """

    def __init__(self, realtime_us: int) -> None:
        self._now_us = 1_000_000
        self._offset_us = realtime_us - self._now_us

    def monotonic_us(self) -> int:
        """Return the virtual monotonic time."""
        return self._now_us

    def boottime_us(self) -> int:
        """Return the virtual boot time (the host is never suspended)."""
        return self._now_us

    def realtime_us(self) -> int:
        """Return the virtual UTC."""
        return self._now_us + self._offset_us

    def sleep_until(self, monotonic_us: int, stop: threading.Event) -> None:
        """Move the clock forward at once, unless a stop is requested."""
        if not stop.is_set() and monotonic_us > self._now_us:
            self._now_us = monotonic_us

    def step_realtime(self, by_us: int) -> None:
        """Set the virtual UTC forward or back; monotonic and boot time do not change."""
        self._offset_us += by_us


class BeatingClock(SystemClock):
    """The clocks of this host, with a callback before waits: a sign that the schedule still runs.

    Attributes:
        beat: called before a wait with the monotonic time (us); returns the time of its next call.
    """

    def __init__(self) -> None:
        self.beat: Callable[[int], int] = lambda now_us: now_us
        self._next_us = 0

    def sleep_until(self, monotonic_us: int, stop: threading.Event) -> None:
        """Call the beat if it is due, then wait."""
        now_us = self.monotonic_us()
        if now_us >= self._next_us:
            self._next_us = self.beat(now_us)
        if now_us < monotonic_us:
            super().sleep_until(monotonic_us, stop)
