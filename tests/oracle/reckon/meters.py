"""Power between readings and energy between readings of a counter, to the nanojoule.

Rules: docs/ledger.md, "From readings to segments".
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import floor

COUNTER_REACH_US = 50 * 60 * 1_000_000
NJ_PER_MJ = 1_000_000


class Sensor:
    """Readings of the power of one device: linear between them, undefined over the gap limit."""

    def __init__(self, readings: Iterable[tuple[int, int]], gap_limit_us: int) -> None:
        pairs = sorted(set(readings))
        self.stamps = [t for t, _ in pairs]
        self.values = [mw for _, mw in pairs]
        self.gap_limit_us = gap_limit_us

    def _pairs(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield (place of the left reading, from, to) of the known time in [start, end)."""
        i = max(0, bisect_right(self.stamps, start) - 1)
        while i + 1 < len(self.stamps) and self.stamps[i] < end:
            t0, t1 = self.stamps[i], self.stamps[i + 1]
            a, b = max(t0, start), min(t1, end)
            if a < b and t1 - t0 <= self.gap_limit_us:
                yield i, a, b
            i += 1

    def _until(self, i: int, t: int) -> int:
        """Return the energy from reading i to t, which is not after the next one, rounded down."""
        x, dt = t - self.stamps[i], self.stamps[i + 1] - self.stamps[i]
        rise = self.values[i + 1] - self.values[i]
        return floor(Fraction(self.values[i] * x) + Fraction(rise * x * x, 2 * dt))

    def energy_nj(self, start: int, end: int) -> int:
        """Return the energy of the known time in [start, end)."""
        pairs = self._pairs(start, end)
        return sum(self._until(i, b) - self._until(i, a) for i, a, b in pairs)

    def covered_us(self, start: int, end: int) -> int:
        """Return for how long power is known in [start, end)."""
        return sum(b - a for _, a, b in self._pairs(start, end))

    def inside(self, start: int, end: int) -> list[int]:
        """Return the readings in [start, end)."""
        return self.values[bisect_left(self.stamps, start) : bisect_left(self.stamps, end)]

    def at(self, t: int) -> Fraction | None:
        """Return the power at an instant; None where it is not defined."""
        i = bisect_right(self.stamps, t) - 1
        if i >= 0 and self.stamps[i] == t:
            return Fraction(self.values[i])
        if i < 0 or i + 1 == len(self.stamps):
            return None
        t0, t1 = self.stamps[i], self.stamps[i + 1]
        if t1 - t0 > self.gap_limit_us:
            return None
        rise = self.values[i + 1] - self.values[i]
        return self.values[i] + Fraction(rise * (t - t0), t1 - t0)


class EnergyCounter:
    """Readings of the energy counter of one device: (stamp, millijoules, epoch)."""

    def __init__(self, readings: Iterable[tuple[int, int, int]]) -> None:
        self.readings = sorted(set(readings))
        self.stamps = [t for t, _, _ in self.readings]

    def _at(self, t: int) -> tuple[int, int] | None:
        """Return (epoch, nanojoules rounded down) at an instant; None where it is not known."""
        i = bisect_right(self.stamps, t) - 1
        if i < 0:
            return None
        t0, mj0, epoch0 = self.readings[i]
        if t0 == t:
            return epoch0, mj0 * NJ_PER_MJ
        if i + 1 == len(self.readings):
            return None
        t1, mj1, epoch1 = self.readings[i + 1]
        if epoch0 != epoch1 or t1 - t0 > COUNTER_REACH_US:
            return None
        return epoch0, mj0 * NJ_PER_MJ + (mj1 - mj0) * NJ_PER_MJ * (t - t0) // (t1 - t0)

    def energy_nj(self, start: int, end: int) -> int | None:
        """Return what it counted in [start, end); None where that is not known."""
        first, last = self._at(start), self._at(end)
        if first is None or last is None or first[0] != last[0]:
            return None
        return last[1] - first[1]

    def off_us(self, t: int) -> int | None:
        """Return the time from an instant to the nearest reading; None where it is not known."""
        if self._at(t) is None:
            return None
        i = bisect_left(self.stamps, t)
        near = self.stamps[max(0, i - 1) : i + 1]
        return min(abs(t - stamp) for stamp in near)
