"""What really happens in a staged world: power of a board, tokens of a server.

Both are lines between points, so that a meter or a counter that is read at every point shows them
without error, and what is true at any instant is a fraction.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate, pairwise


@dataclass
class Line:
    """A quantity that is linear between points and level before the first and after the last.

    Attributes:
        stamps: microseconds, ascending.
        values: one for each stamp.
    """

    stamps: list[int]
    values: list[int]
    _areas: list[Fraction] = field(default_factory=list)

    def at(self, t: int) -> Fraction:
        """Return the value at an instant."""
        right = bisect_right(self.stamps, t)
        if right == 0:
            return Fraction(self.values[0])
        if right == len(self.stamps):
            return Fraction(self.values[-1])
        t0, t1 = self.stamps[right - 1], self.stamps[right]
        v0, v1 = self.values[right - 1], self.values[right]
        return v0 + Fraction((v1 - v0) * (t - t0), t1 - t0)

    def area(self, start: int, end: int) -> Fraction:
        """Return the integral over [start, end): mW and microseconds give nanojoules."""
        return self._until(end) - self._until(start)

    def _until(self, t: int) -> Fraction:
        """Return the integral from the first point; below it, it is negative."""
        if not self._areas:
            points = list(zip(self.stamps, self.values, strict=True))
            steps = [Fraction((a + b) * (t1 - t0), 2) for (t0, a), (t1, b) in pairwise(points)]
            self._areas = [Fraction(0), *accumulate(steps)]
        if t <= self.stamps[0]:
            return Fraction(self.values[0] * (t - self.stamps[0]))
        at = bisect_right(self.stamps, t) - 1
        t0 = self.stamps[at]
        return self._areas[at] + (self.values[at] + self.at(t)) * (t - t0) / 2


@dataclass(frozen=True)
class Meter:
    """How a meter errs: it shows P (1 + gain) + offset.

    Attributes:
        gain_ppm, offset_mw: its errors.
    """

    gain_ppm: int = 0
    offset_mw: int = 0

    def power_mw(self, true_mw: Fraction) -> int:
        """Return what a power sensor shows, to the milliwatt."""
        return round(true_mw * (1_000_000 + self.gain_ppm) / 1_000_000) + self.offset_mw

    def energy_mj(self, true_nj: Fraction, time_us: int) -> int:
        """Return what an energy counter shows that began `time_us` ago, to the millijoule."""
        shown = true_nj * (1_000_000 + self.gain_ppm) / 1_000_000 + self.offset_mw * time_us
        return int(shown // 1_000_000)
