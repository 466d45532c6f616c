"""Keeps one slow board from holding up all others.

In: how long its calls took. Out: when it rests, and the events `slow` and `slow_over`.

All boards are read in turn, so a board whose calls take long makes the others late. It is read at
edges and with the energy counter as ever, so about once a second, and rests otherwise.
"""

from __future__ import annotations

from tokenergy_collectors.sources.source import TellOf

SLOW_US = 100_000
"""A call that takes this long is slow: NVML's take 10 to 1,000 times less."""

_LONGEST_REST_US = 1_000_000
_REST = 3
_QUICK_US = 5_000_000


class SlowCalls:
    """How long the calls on one board take.

    Args:
        tell: takes events.

    Attributes:
        call_us: what a call takes; 0 while they are quick.
    """

    def __init__(self, tell: TellOf) -> None:
        self._tell = tell
        self.call_us = 0
        self._rests_until_us = 0
        self._slow_until_us = 0

    def rests(self, now_us: int) -> bool:
        """Tell whether the board is better left alone now."""
        return now_us < self._rests_until_us

    def took(self, before_us: int, after_us: int) -> None:
        """Take note of a call (monotonic stamps before and after it)."""
        call_us = after_us - before_us
        if call_us >= SLOW_US:
            if not self.call_us:
                self._tell("slow", f"a call took {call_us / 1e6:.3f} s")
            self.call_us = call_us
            self._rests_until_us = after_us + min(_REST * call_us, _LONGEST_REST_US)
            self._slow_until_us = after_us + _QUICK_US
        elif self.call_us and after_us >= self._slow_until_us:
            self.call_us = 0
            self._tell("slow_over", f"calls have been quick for {_QUICK_US // 1_000_000} s")
