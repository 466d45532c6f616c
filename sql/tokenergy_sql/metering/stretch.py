"""Readings of a meter between which nothing is in doubt, and what it counted in any part of them.

Of a register that counts (energy, volume), the count between two readings is known however far
apart they are; where an interval begins or ends between two readings, it is shared by time, and the
bounds allow for all of it on either side. Of a momentary value (power, flow) the amount is the
integral of straight lines between readings; its bounds are those of the smaller and the larger
reading of each pair. Accuracy and resolution come on top.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from typing import Protocol

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.metering.amount import Amount
from tokenergy_sql.metering.intervals import Interval
from tokenergy_sql.places.register import Register
from tokenergy_sql.places.units import BILLION

Number = int | Fraction
"""Billionths of the register's own unit; a rollover may add a fraction of one."""


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
        values: see `Number`; they never fall: rollovers are added.
    """

    register: Register
    ts_us: Sequence[int]
    values: Sequence[Number]

    @property
    def span(self) -> Interval:
        """Return the time from the first to the last reading."""
        return self.ts_us[0], self.ts_us[-1]

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

    def _around(self, ts_us: int) -> tuple[Number, Fraction, Number]:
        """Return the register before an instant, at it, and after it."""
        at = bisect_left(self.ts_us, ts_us)
        if self.ts_us[at] == ts_us:
            return self.values[at], Fraction(self.values[at]), self.values[at]
        low, high = self.values[at - 1], self.values[at]
        share = Fraction(ts_us - self.ts_us[at - 1], self.ts_us[at] - self.ts_us[at - 1])
        return low, low + (high - low) * share, high

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
    ts_us: Sequence[int]
    values: Sequence[int]
    per_us: Fraction = Fraction(1)

    @property
    def span(self) -> Interval:
        """Return the time from the first to the last reading."""
        return self.ts_us[0], self.ts_us[-1]

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
        steps = [b - a for a, b in zip(self.ts_us, self.ts_us[1:], strict=False)]
        pairs = [*zip(self.values, self.values[1:], strict=False)]
        whole = accumulate(
            ((a + b) * dt for (a, b), dt in zip(pairs, steps, strict=True)), initial=0
        )
        least = accumulate((min(p) * dt for p, dt in zip(pairs, steps, strict=True)), initial=0)
        most = accumulate((max(p) * dt for p, dt in zip(pairs, steps, strict=True)), initial=0)
        return [*whole], [*least], [*most]

    def _until(self, ts_us: int) -> tuple[Fraction, int, int]:
        """Return the three sums of `_sums` up to an instant."""
        at = min(bisect_right(self.ts_us, ts_us) - 1, len(self.ts_us) - 2)
        first, last = self.values[at], self.values[at + 1]
        past, step = ts_us - self.ts_us[at], self.ts_us[at + 1] - self.ts_us[at]
        here = first + Fraction((last - first) * past, step)
        whole, least, most = (sums[at] for sums in self._sums)
        return (
            whole + (first + here) * past,
            least + min(first, last) * past,
            most + max(first, last) * past,
        )
