"""What a meter said: a number in billionths, exactly, or why there is none.

In: numbers, as a device told them. Out: values for rows of `meter`.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

BILLION = 1_000_000_000

ALL_ONES = (65_535, 4_294_967_295)
"""What devices say where a register of 16 or 32 bits has no reading."""

_MOST_N = 10**38 - 1
"""The largest value of an int128 column."""


class NoReadingError(Exception):
    """Something was read, and what it says is no reading; the message says what it was."""


class MeterValue(NamedTuple):
    """A reading. The fields are columns of `meter`.

    Attributes:
        value_n: in billionths of the unit in which the meter says it.
        resolution_n: the step of its register there, in the same unit; None if it is not known.
        average_us: time over which the meter averaged it, until then; None if it does not say so.
    """

    value_n: int
    resolution_n: int | None = None
    average_us: int | None = None


def to_billionths(number: int | float | Decimal) -> int:
    """Return a finite number in billionths, rounded to the nearest.

    Raises:
        NoReadingError: no row can hold it.
    """
    if isinstance(number, Decimal) and number and not -40 < number.adjusted() < 40:
        # As a fraction, 1e999999 would take all memory.
        value_n = 0 if number.adjusted() < 0 else _MOST_N + 1
    else:
        value_n = round(Fraction(number) * BILLION)
    if abs(value_n) > _MOST_N:
        raise NoReadingError(f"reads {show_number(number)}, which is too large for a meter")
    return value_n


def show_number(number: int | float | Decimal) -> str:
    """Return a number as events and findings show it."""
    return str(number) if isinstance(number, int) else f"{number:g}"


def show_billionths(value_n: int) -> str:
    """Return a number of billionths as a decimal, without zeros at its end."""
    whole, rest = divmod(abs(value_n), BILLION)
    text = f"{whole}.{rest:09}".rstrip("0").rstrip(".")
    return f"-{text}" if value_n < 0 else text
