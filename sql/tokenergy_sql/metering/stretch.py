"""Readings of a meter between which nothing is in doubt, and what it counted in any part of them.

Of a register that counts (energy, volume), the count between two readings is known however far
apart they are; where an interval begins or ends between two readings, it is shared by time, and the
bounds allow for all of it on either side. Of a momentary value (power, flow) the amount is the
integral of straight lines between readings; its bounds are those of the smaller and the larger
reading of each pair. Accuracy and resolution come on top.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Protocol

import numpy as np

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.metering.amount import Amount
from tokenergy_sql.metering.intervals import Interval
from tokenergy_sql.metering.readings import Array
from tokenergy_sql.places.register import Register
from tokenergy_sql.places.units import BILLION


class Stretch(Protocol):
    """Readings without a doubt between them."""

    @property
    def span(self) -> Interval:
        """Return the time from the first to the last reading."""

    def amount(self, from_us: int, until_us: int) -> Amount:
        """Return what was counted in a part of the stretch (microseconds UTC)."""


@dataclass(frozen=True)
class Counted:
    """Readings of a register that counts.

    Args:
        register: unit, scale, accuracy.
        ts_us: stamps, ascending; at least two.
        values: billionths of the register's own unit; they never fall.
    """

    register: Register
    ts_us: Array
    values: Array

    @property
    def span(self) -> Interval:
        """Return the time from the first to the last reading."""
        return int(self.ts_us[0]), int(self.ts_us[-1])

    def amount(self, from_us: int, until_us: int) -> Amount:
        """Return what was counted in a part of the stretch (microseconds UTC)."""
        before, begin, after = self._around(from_us)
        below, end, above = self._around(until_us)
        # The register itself is rounded, not the difference: parts of the time add up.
        value = self._base(end) - self._base(begin)
        hours = Fraction(until_us - from_us, HOUR_US)
        least = self.register.bounds_of_growth(Fraction(max(below - after, 0)) / BILLION, hours)
        most = self.register.bounds_of_growth(Fraction(above - before) / BILLION, hours)
        return Amount(value, least and least[0], most and most[1])

    def _around(self, ts_us: int) -> tuple[int, Fraction, int]:
        """Return the register before an instant, at it, and after it."""
        at = int(np.searchsorted(self.ts_us, ts_us))
        high, high_us = int(self.values[at]), int(self.ts_us[at])
        if high_us == ts_us:
            return high, Fraction(high), high
        low, low_us = int(self.values[at - 1]), int(self.ts_us[at - 1])
        return low, low + Fraction((high - low) * (ts_us - low_us), high_us - low_us), high

    def _base(self, value: Fraction) -> int:
        return math.floor(value * self.register.per_count / BILLION)


@dataclass(frozen=True)
class Bridge:
    """Two readings between which a meter was replaced, with what both registers counted.

    Args:
        span: of the two readings.
        whole: what was counted.
    """

    span: Interval
    whole: Amount

    def amount(self, from_us: int, until_us: int) -> Amount:
        """Return what was counted in a part: shared by time, anywhere between nothing and all."""
        begin, end = self.span
        if (from_us, until_us) == self.span:
            return self.whole

        def by(ts_us: int) -> int:
            return self.whole.value * (ts_us - begin) // (end - begin)

        low = None if self.whole.low is None else 0
        return Amount(by(until_us) - by(from_us), low, self.whole.high)


@dataclass(frozen=True)
class Held:
    """Readings of a momentary value, close enough to draw a line between them.

    Args:
        register: unit, scale, accuracy.
        ts_us: stamps, ascending; at least two.
        values: billionths of the register's own unit.
        per_us: base units of the amount in a microsecond at one base unit of the value.
    """

    register: Register
    ts_us: Array
    values: Array
    per_us: Fraction = Fraction(1)

    @property
    def span(self) -> Interval:
        """Return the time from the first to the last reading."""
        return int(self.ts_us[0]), int(self.ts_us[-1])

    def amount(self, from_us: int, until_us: int) -> Amount:
        """Return what was counted in a part of the stretch (microseconds UTC)."""
        unit = self.register.per_count * self.per_us / BILLION
        begin, end = self._until(from_us), self._until(until_us)
        value = math.floor(end[0] / 2 * unit) - math.floor(begin[0] / 2 * unit)
        if self.register.percent is None:
            return Amount(value, None, None)
        low, high = (end[1] - begin[1]) * unit, (end[2] - begin[2]) * unit
        step = self.register.resolution * self.register.per_count
        step += self.register.absolute * self.register.unit.factor
        error = step * self.per_us * (until_us - from_us)
        share = self.register.percent / 100
        return Amount(
            value,
            math.floor(low - abs(low) * share - error),
            math.ceil(high + abs(high) * share + error),
        )

    @cached_property
    def _sums(self) -> tuple[list[int], list[int], list[int]]:
        """Return up to each reading: twice the integral; those of the smaller and larger ones."""
        steps = np.diff(self.ts_us).tolist()
        pairs = [*pairwise(self.values.tolist())]
        # Python's integers: a megawatt's hour is 3.6e24 of these.
        whole = accumulate(
            ((a + b) * dt for (a, b), dt in zip(pairs, steps, strict=True)), initial=0
        )
        least = accumulate((min(p) * dt for p, dt in zip(pairs, steps, strict=True)), initial=0)
        most = accumulate((max(p) * dt for p, dt in zip(pairs, steps, strict=True)), initial=0)
        return [*whole], [*least], [*most]

    def _until(self, ts_us: int) -> tuple[Fraction, int, int]:
        """Return the three sums of `_sums` up to an instant."""
        at = min(int(np.searchsorted(self.ts_us, ts_us, "right")), len(self.ts_us) - 1) - 1
        first, last = int(self.values[at]), int(self.values[at + 1])
        begin_us, end_us = int(self.ts_us[at]), int(self.ts_us[at + 1])
        past, step = ts_us - begin_us, end_us - begin_us
        here = first + Fraction((last - first) * past, step)
        whole, least, most = (sums[at] for sums in self._sums)
        return (
            whole + (first + here) * past,
            least + min(first, last) * past,
            most + max(first, last) * past,
        )
