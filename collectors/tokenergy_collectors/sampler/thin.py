"""Keeps the readings that matter: both ends of every run of equal ones, one a second inside.

In: the readings of one device in time order. Out: those to keep. The last of a run is kept as well
as the first: between the two kept ends power is known to be level, so that a step stays a step.
"""

from __future__ import annotations

from typing import NamedTuple

KEEP_EVERY_US = 1_000_000

_LONG_AGO_US = -(2**63)


class Reading(NamedTuple):
    """One reading: when (us UTC), power (mW), energy counter (mJ) if it was read, its epoch."""

    ts_us: int
    power_mw: int | None
    energy_mj: int | None
    epoch: int


class Thinner:
    """Thins the readings of one device and counts its counter's epochs."""

    def __init__(self) -> None:
        self._kept: Reading | None = None
        self._held: Reading | None = None
        self._last_us = _LONG_AGO_US
        self._counter_mj: int | None = None
        self.epoch = 0

    def add(self, ts_us: int, power_mw: int | None, energy_mj: int | None) -> list[Reading]:
        """Take a reading; return those that are now known to be kept, in time order.

        A reading that is not later than the one before it tells nothing new and is left out.
        """
        if ts_us <= self._last_us:
            return []
        self._last_us = ts_us
        if energy_mj is not None:
            if self._counter_mj is not None and energy_mj < self._counter_mj:
                self.epoch += 1
            self._counter_mj = energy_mj
        reading = Reading(ts_us, power_mw, energy_mj, self.epoch)
        kept, held = self._kept, self._held
        if kept is None:
            self._kept = reading
            return [reading]
        level = power_mw == kept.power_mw
        near = ts_us - kept.ts_us <= KEEP_EVERY_US
        found: list[Reading] = []
        # Inside a run the held reading matters only where the next one comes too late to do.
        if held is not None and not (level and near):
            found.append(held)
            kept, held = held, None
            near = ts_us - kept.ts_us <= KEEP_EVERY_US
        if level and near and energy_mj is None:
            held = reading
        else:
            found.append(reading)
            kept, held = reading, None
        self._kept, self._held = kept, held
        return found

    @property
    def counter_mj(self) -> int | None:
        """The latest reading of the energy counter; None if its epoch has none yet."""
        return self._counter_mj

    def begin_epoch(self) -> None:
        """Let the next reading of the counter begin a new epoch, whatever it shows."""
        self.epoch += 1
        self._counter_mj = None

    def flush(self) -> list[Reading]:
        """Return the reading that is still held back, if any: the end of the last run."""
        held, self._held = self._held, None
        if held is None:
            return []
        self._kept = held
        return [held]
