"""What a register's value is in base units, exactly, and how far it may be off.

In: a meter's unit, scale, resolution and accuracy; a value in billionths of the register's own
unit. Out: a `Fraction` in the base unit of the quantity (see `units.py`), or [low, high] as whole
numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from tokenergy_sql.places.units import BILLION, Unit


@dataclass(frozen=True, slots=True)
class Register:
    """One register of a meter.

    Attributes:
        unit: of its value × scale.
        scale: CT and VT ratio, kWh per pulse.
        resolution: its smallest step, in its own unit.
        percent: accuracy, per cent of the reading; None: not told, so there are no bounds.
        absolute: further error in `unit`; of cumulative registers, for each hour.
        modulus: where it begins again from 0, in its own unit; None: not told.
        max_per_h: the most that it can grow in an hour, in `unit`; None: not told.
        first, last: what it showed when it was installed and removed, in its own unit.
    """

    unit: Unit
    scale: Fraction = Fraction(1)
    resolution: Fraction = Fraction(1)
    percent: Fraction | None = None
    absolute: Fraction = Fraction(0)
    modulus: Fraction | None = None
    max_per_h: Fraction | None = None
    first: Fraction | None = None
    last: Fraction | None = None

    @property
    def per_count(self) -> Fraction:
        """Return what one of the register's own unit is in base units."""
        return self.scale * self.unit.factor

    def exact(self, value_n: int) -> Fraction:
        """Return a value in base units, without rounding.

        Args:
            value_n: billionths of the register's own unit.
        """
        return Fraction(value_n, BILLION) * self.per_count + self.unit.offset

    def base(self, value_n: int) -> int:
        """Return a value in whole base units, rounded down.

        One rule for all values, so that differences of a rounded register telescope.
        """
        return math.floor(self.exact(value_n))

    def bounds(self, value_n: int) -> tuple[int, int] | None:
        """Return the least and the most that a momentary value may be, in whole base units.

        That is accuracy, and one step of the register, as nothing says how the meter rounds. The
        low bound is rounded down, the high one up. None if the accuracy is not told.
        """
        if self.percent is None:
            return None
        # Per cent of the reading as the meter shows it: of 20 °C, not of 293 K.
        shown = abs(Fraction(value_n, BILLION) * self.per_count)
        error = shown * self.percent / 100 + self.absolute * self.unit.factor
        error += self.resolution * self.per_count
        value = self.exact(value_n)
        return math.floor(value - error), math.ceil(value + error)

    def bounds_of_growth(self, counts: Fraction, hours: Fraction) -> tuple[int, int] | None:
        """Return the least and the most that a cumulative register's growth may be.

        Args:
            counts: the growth between two readings, in the register's own unit.
            hours: between them.

        Returns:
            Whole base units, rounded outwards; None if the accuracy is not told.
        """
        if self.percent is None:
            return None
        absolute = self.absolute * self.unit.factor * hours
        # Each reading may be a step off in either way, so their difference by a step in all.
        least = max(counts - self.resolution, Fraction(0)) * self.per_count
        most = (counts + self.resolution) * self.per_count
        low = least * (1 - self.percent / 100) - absolute
        high = most * (1 + self.percent / 100) + absolute
        return max(math.floor(low), 0), math.ceil(high)
