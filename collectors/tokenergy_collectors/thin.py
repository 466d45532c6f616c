"""Keeps the readings that matter: both ends of every run of equal ones, one a second inside.

In: the readings of one device in time order. Out: those to keep. The last of a run is kept as well
as the first: between the two kept ends power is known to be level, so that a step stays a step.
"""

from __future__ import annotations

from typing import NamedTuple

KEEP_EVERY_US = 1_000_000


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
        self._counter_mj: int | None = None
        self.epoch = 0

    def add(self, ts_us: int, power_mw: int | None, energy_mj: int | None) -> list[Reading]:
        """Take a reading; return those that are now known to be kept, in time order."""
        if energy_mj is not None:
            if self._counter_mj is not None and energy_mj < self._counter_mj:
                self.epoch += 1
            self._counter_mj = energy_mj
        reading = Reading(ts_us, power_mw, energy_mj, self.epoch)
        kept, held = self._kept, self._held
        level = kept is not None and power_mw == kept.power_mw
        if level and energy_mj is None and kept is not None and ts_us - kept.ts_us < KEEP_EVERY_US:
            self._held = reading
            return []
        self._kept, self._held = reading, None
        return [reading] if held is None else [held, reading]

    def flush(self) -> list[Reading]:
        """Return the reading that is still held back, if any: the end of the last run."""
        held, self._held = self._held, None
        if held is None:
            return []
        self._kept = held
        return [held]
