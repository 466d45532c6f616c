"""Leaves out repeated readings: keeps both ends of a run of equal ones, and one per second inside.

In: the readings of one device in time order. Out: those to record. Keeping the last reading of a
run as well as the first shows that power was level between them, so that a step stays a step.
"""

from __future__ import annotations

from typing import NamedTuple

KEEP_EVERY_US = 1_000_000

_LONG_AGO_US = -(2**63)


class Reading(NamedTuple):
    """One reading: when (us UTC), power (mW), energy counter (mJ) if it was read, its epoch.

    `sensor` is what `power.sensor` says of it.
    """

    ts_us: int
    power_mw: int | None
    energy_mj: int | None
    epoch: int
    sensor: str = "unknown"


class Deduplicator:
    """Leaves out the readings of one device that equal both neighbours."""

    def __init__(self) -> None:
        self._kept: Reading | None = None
        self._held: Reading | None = None
        self._last_us = _LONG_AGO_US

    def is_later(self, ts_us: int) -> bool:
        """Return whether a stamp is later than all readings so far; others add nothing."""
        return ts_us > self._last_us

    def add(self, reading: Reading) -> list[Reading]:
        """Take a later reading; return the readings that are now sure to be kept, in time order."""
        ts_us = self._last_us = reading.ts_us
        kept, held = self._kept, self._held
        if kept is None:
            self._kept = reading
            return [reading]
        level = reading.power_mw == kept.power_mw and reading.sensor == kept.sensor
        near = ts_us - kept.ts_us <= KEEP_EVERY_US
        found: list[Reading] = []
        # The held reading ends its run, or the next one is too far away to stand in for it.
        if held is not None and not (level and near):
            found.append(held)
            kept, held = held, None
            near = ts_us - kept.ts_us <= KEEP_EVERY_US
        # A counter is always kept: the ledger needs every one that was read.
        if level and near and reading.energy_mj is None:
            held = reading
        else:
            found.append(reading)
            kept, held = reading, None
        self._kept, self._held = kept, held
        return found

    def flush(self) -> list[Reading]:
        """Return the reading that is still held back, if any: the end of the latest run."""
        held, self._held = self._held, None
        if held is None:
            return []
        self._kept = held
        return [held]
