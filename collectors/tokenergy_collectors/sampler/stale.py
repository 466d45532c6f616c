"""Tells a reading that stands still from a board whose power does not change.

In: one board's readings as NVML tells them. Out: those that are measurements; None for the others,
and the events `stale` and `stale_over`.

A power reading that stays exactly equal for 20 update periods, and at least 5 s (2 s on a board
without a counter whose period is known), is stale if the energy counter tells another power over
the same time (by more than a tenth), if the counter has come to a stand as well, or if the board
was busy all the while. An idle board's reading that stands still for good is not stale: its counter
agrees, and nothing runs on it. What is stale is not known, so it is None until it moves again.

A counter that stands still although power is drawn tells nothing new, so a value that is repeated
after two periods of the counter is left out: the next one that moved bridges the time in between,
whole.
"""

from __future__ import annotations

from tokenergy_collectors.sources.source import TellOf

LEAST_US = 5_000_000
_PERIODS = 20
_OFF = 0.1
_ALONE_US = 2_000_000
"""Instead of 5 s where there is no counter, which could correct what is told meanwhile."""

_BUSY_PERCENT = 5
_MOVES_NJ = 1_000_000_000
"""A counter of whole millijoules that has not moved over a joule stands still."""

_LEAST_RENEWAL_US = 100_000
"""A counter may always be renewed as seldom as this."""

_BLIND_US = 1_000_000
"""With no power reading to go by, a counter that has not moved for so long stands still."""


class StaleFilter:
    """Judges the readings of one board, in the order of time.

    Args:
        update_us: update period of its power reading; None if unknown.
        tell: takes events.
        counter_us: period in which its energy counter is renewed; None if unknown.
    """

    def __init__(self, update_us: int | None, tell: TellOf, counter_us: int | None = None) -> None:
        # Two edges may lie within one period of the counter: that is no standing still.
        self._renewed_us = 2 * max(counter_us or 0, update_us or 0, _LEAST_RENEWAL_US)
        self._need_us = max(_PERIODS * (update_us or 0), LEAST_US)
        self._need_alone_us = max(_PERIODS * update_us, _ALONE_US) if update_us else LEAST_US
        self._tell = tell
        self.reset()

    def reset(self) -> None:
        """Forget what was read: the board was lost, or its reading is another one now."""
        self._power_mw: int | None = None
        self._since_us = 0
        self._stale = False
        self._busy_us: int | None = None
        self._base: tuple[int, int] | None = None
        self._counter: tuple[int, int] | None = None
        self._counter_moves = False
        self._counter_told = False

    def busy(self, ts_us: int, sm_util: int | None) -> None:
        """Take note of how busy the board is (percent; None if it does not tell)."""
        if sm_util is None or sm_util < _BUSY_PERCENT:
            self._busy_us = None
        elif self._busy_us is None:
            self._busy_us = ts_us

    def filter(
        self, ts_us: int, power_mw: int | None, energy_mj: int | None
    ) -> tuple[int | None, int | None]:
        """Return a reading without what stands still: power (mW), counter (mJ)."""
        energy_mj = self._moved(ts_us, power_mw, energy_mj)
        return self._alive(ts_us, power_mw, energy_mj), energy_mj

    def _moved(self, ts_us: int, power_mw: int | None, energy_mj: int | None) -> int | None:
        if energy_mj is None:
            return None
        if self._counter is None or energy_mj != self._counter[1]:
            if self._counter_told:
                self._counter_told = False
                self._tell("stale_over", f"the energy counter moves again, to {energy_mj} mJ")
            self._counter_moves = self._counter is not None
            self._counter = (ts_us, energy_mj)
            return energy_mj
        still_us = ts_us - self._counter[0]
        known = power_mw is not None and not self._stale
        stands = power_mw * still_us >= _MOVES_NJ if known and power_mw else still_us >= _BLIND_US
        if not stands or still_us <= self._renewed_us:
            return energy_mj
        if still_us >= LEAST_US and not self._counter_told:
            self._counter_told = True
            seconds = still_us / 1e6
            self._tell("stale", f"the energy counter stands at {energy_mj} mJ for {seconds:.1f} s")
        return None

    def _alive(self, ts_us: int, power_mw: int | None, energy_mj: int | None) -> int | None:
        if power_mw is None:
            return None
        if power_mw != self._power_mw:
            if self._stale:
                self._stale = False
                self._tell("stale_over", f"the power reading moves again, to {_watts(power_mw)}")
            self._power_mw, self._since_us = power_mw, ts_us
            self._base = None if energy_mj is None else (ts_us, energy_mj)
            return power_mw
        if not self._stale:
            why = self._contradicted(ts_us, power_mw, energy_mj)
            if why is not None:
                self._stale = True
                seconds = (ts_us - self._since_us) / 1e6
                self._tell(
                    "stale", f"power stands at {_watts(power_mw)} for {seconds:.1f} s; {why}"
                )
        return None if self._stale else power_mw

    def _contradicted(self, ts_us: int, power_mw: int, energy_mj: int | None) -> str | None:
        """Return what says that a reading that stands still is wrong; None if nothing does."""
        if energy_mj is not None:
            told_mw = self._told_by_counter(ts_us, energy_mj)
            if told_mw is not None and abs(told_mw - power_mw) > _OFF * max(told_mw, power_mw):
                return f"the energy counter tells {_watts(told_mw)}"
        elif self._counter is not None and self._counter_moves:
            since_us = max(self._counter[0], self._since_us)
            if ts_us - since_us >= self._need_us:
                return "the energy counter stands still too"
        if self._busy_us is None:
            return None
        since_us = max(self._busy_us, self._since_us)
        need_us = self._need_us if self._counter is not None else self._need_alone_us
        return "the board is busy" if ts_us - since_us >= need_us else None

    def _told_by_counter(self, ts_us: int, energy_mj: int) -> int | None:
        """Return the mean power (mW) by the counter once enough time has passed, and begin anew."""
        if self._base is None or energy_mj < self._base[1]:
            self._base = (ts_us, energy_mj)
            return None
        base_us, base_mj = self._base
        if ts_us - base_us < self._need_us:
            return None
        self._base = (ts_us, energy_mj)
        return round((energy_mj - base_mj) * 1_000_000 / (ts_us - base_us))


def _watts(power_mw: int) -> str:
    return f"{power_mw / 1e3:.3f} W"
