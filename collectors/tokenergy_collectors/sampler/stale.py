"""Distinguishes a frozen reading from a board whose power does not change.

In: one board's readings as NVML returns them. Out: the readings that are measurements, None for the
others, and the events `stale` and `stale_over`.

A power reading is stale if it stays exactly equal for 20 update periods and at least 5 s (2 s on a
board that has no counter and whose period is known), and one of these holds: the energy counter
gives another mean power over the same time (by more than a tenth), the counter has stopped as well,
or the board was busy all the time. An idle board may show one value forever and is not stale: its
counter agrees, and nothing runs on it. A stale reading is unknown, so it is None until it changes.

A counter that stops although the board draws power adds no information. Its repeated value is left
out after two periods of the counter; the next value that differs covers the whole time between.
"""

from __future__ import annotations

from tokenergy_collectors.sources.source import EmitBoardEvent

LEAST_US = 5_000_000
_PERIODS = 20
_OFF = 0.1
"""Counter and reading contradict each other if they differ by more than this share."""

_ALONE_US = 2_000_000
"""Instead of 5 s if there is no counter that could correct the energy of that time later."""

_BUSY_PERCENT = 5
_MOVES_NJ = 1_000_000_000
"""A counter of millijoules that has not moved while the board drew a joule has stopped."""

_LEAST_RENEWAL_US = 100_000
"""Shortest period assumed for a counter."""

_BLIND_US = 1_000_000
"""Without a known power, a counter that has not moved for this long has stopped."""


class StaleFilter:
    """Checks the readings of one board, in time order.

    Args:
        update_us: update period of its power reading; None if unknown.
        emit: takes events.
        counter_us: update period of its energy counter; None if unknown.
    """

    def __init__(
        self, update_us: int | None, emit: EmitBoardEvent, counter_us: int | None = None
    ) -> None:
        # Two edges within one period of the counter read the same value, though it has not stopped.
        self._renewed_us = 2 * max(counter_us or 0, update_us or 0, _LEAST_RENEWAL_US)
        self._need_us = max(_PERIODS * (update_us or 0), LEAST_US)
        self._need_alone_us = max(_PERIODS * update_us, _ALONE_US) if update_us else LEAST_US
        self._emit = emit
        self.reset()

    def reset(self) -> None:
        """Forget what was read, because the board was lost and is back."""
        self._power_mw: int | None = None
        self._since_us = 0
        self._stale = False
        self._busy_us: int | None = None
        self._base: tuple[int, int] | None = None
        self._counter: tuple[int, int] | None = None
        self._counter_moves = False
        self._counter_reported = False

    def busy(self, ts_us: int, sm_util: int | None) -> None:
        """Note how busy the board is (percent; None if it does not report that)."""
        if sm_util is None or sm_util < _BUSY_PERCENT:
            self._busy_us = None
        elif self._busy_us is None:
            self._busy_us = ts_us

    def filter(
        self, ts_us: int, power_mw: int | None, energy_mj: int | None
    ) -> tuple[int | None, int | None]:
        """Return power (mW) and counter (mJ), each None if it is stale or was not read."""
        energy_mj = self._moved(ts_us, power_mw, energy_mj)
        return self._alive(ts_us, power_mw, energy_mj), energy_mj

    def _moved(self, ts_us: int, power_mw: int | None, energy_mj: int | None) -> int | None:
        """Return the counter (mJ); None if it repeats its value although power is drawn."""
        if energy_mj is None:
            return None
        if self._counter is None or energy_mj != self._counter[1]:
            if self._counter_reported:
                self._counter_reported = False
                self._emit("stale_over", f"the energy counter moves again, to {energy_mj} mJ")
            self._counter_moves = self._counter is not None
            self._counter = (ts_us, energy_mj)
            return energy_mj
        still_us = ts_us - self._counter[0]
        known = power_mw is not None and not self._stale
        # mW times us is nJ: what the board drew while the counter did not move.
        stopped = power_mw * still_us >= _MOVES_NJ if known and power_mw else still_us >= _BLIND_US
        if not stopped or still_us <= self._renewed_us:
            return energy_mj
        if still_us >= LEAST_US and not self._counter_reported:
            self._counter_reported = True
            seconds = still_us / 1e6
            detail = f"the energy counter has stayed at {energy_mj} mJ for {seconds:.1f} s"
            self._emit("stale", detail)
        return None

    def _alive(self, ts_us: int, power_mw: int | None, energy_mj: int | None) -> int | None:
        """Return the power (mW); None while it is stale."""
        if power_mw is None:
            return None
        if power_mw != self._power_mw:
            if self._stale:
                self._stale = False
                self._emit("stale_over", f"the power reading changes again, to {_watts(power_mw)}")
            self._power_mw, self._since_us = power_mw, ts_us
            self._base = None if energy_mj is None else (ts_us, energy_mj)
            return power_mw
        if not self._stale:
            why = self._contradicted(ts_us, power_mw, energy_mj)
            if why is not None:
                self._stale = True
                seconds = (ts_us - self._since_us) / 1e6
                detail = f"power has stayed at {_watts(power_mw)} for {seconds:.1f} s; {why}"
                self._emit("stale", detail)
        return None if self._stale else power_mw

    def _contradicted(self, ts_us: int, power_mw: int, energy_mj: int | None) -> str | None:
        """Return what contradicts a power reading that does not change; None if nothing does."""
        if energy_mj is not None:
            mean_mw = self._mean_by_counter(ts_us, energy_mj)
            if mean_mw is not None and abs(mean_mw - power_mw) > _OFF * max(mean_mw, power_mw):
                return f"the energy counter gives {_watts(mean_mw)}"
        elif self._counter is not None and self._counter_moves:
            since_us = max(self._counter[0], self._since_us)
            if ts_us - since_us >= self._need_us:
                return "the energy counter has stopped too"
        if self._busy_us is None:
            return None
        # Busy for all of the time in which the reading did not change, not only at its end.
        since_us = max(self._busy_us, self._since_us)
        need_us = self._need_us if self._counter is not None else self._need_alone_us
        return "the board is busy" if ts_us - since_us >= need_us else None

    def _mean_by_counter(self, ts_us: int, energy_mj: int) -> int | None:
        """Return the mean power (mW) by the counter once enough time has passed, else None."""
        # A counter that fell has restarted: its difference to the old value means nothing.
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
