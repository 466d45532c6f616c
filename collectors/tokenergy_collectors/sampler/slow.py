"""Keeps one slow board from delaying all others.

In: how long its calls took. Out: whether it rests, and the events `slow` and `slow_over`.

All boards are read in turn, so slow calls on one board make the others late. A slow board is still
read at edges and with the energy counters, about once a second; otherwise it rests.
"""

from __future__ import annotations

from tokenergy_collectors.sources.source import EmitBoardEvent

SLOW_US = 100_000
"""A call that takes this long is slow: usual NVML calls take a tenth to a thousandth of it."""

_LONGEST_REST_US = 1_000_000
_REST = 3
"""A slow board rests this many times as long as its call took."""

_QUICK_US = 5_000_000


class SlowCalls:
    """How long the calls on one board take.

    Args:
        emit: takes events.

    Attributes:
        call_us: duration of the latest slow call; 0 while calls are quick.
    """

    def __init__(self, emit: EmitBoardEvent) -> None:
        self._emit = emit
        self.call_us = 0
        self._rests_until_us = 0
        self._slow_until_us = 0

    def rests(self, now_us: int) -> bool:
        """Return whether the board should not be read now."""
        return now_us < self._rests_until_us

    def took(self, before_us: int, after_us: int) -> None:
        """Note a call (monotonic stamps before and after it)."""
        call_us = after_us - before_us
        if call_us >= SLOW_US:
            if not self.call_us:
                self._emit("slow", f"a call took {call_us / 1e6:.3f} s")
            self.call_us = call_us
            self._rests_until_us = after_us + min(_REST * call_us, _LONGEST_REST_US)
            self._slow_until_us = after_us + _QUICK_US
        # Slow calls come in bursts: only some quick seconds end the state.
        elif self.call_us and after_us >= self._slow_until_us:
            self.call_us = 0
            self._emit("slow_over", f"calls have been quick for {_QUICK_US // 1_000_000} s")
