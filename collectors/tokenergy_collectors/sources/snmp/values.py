"""Turns what an SNMP object says into a number, exactly.

In: the value of an object and the type that it came in. Out: the number in billionths, with the
step of its type, or `NoReadingError`, which says why there is none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Literal, NamedTuple

from tokenergy_collectors.sources.meters.values import (
    BILLION,
    MeterValue,
    NoReadingError,
    show_number,
    to_billionths,
)

ObjectType = Literal["Gauge32", "Counter32", "Counter64", "Integer32", "OctetString"]

RANGES: dict[str, tuple[int, int]] = {
    "Gauge32": (0, 2**32 - 1),
    "Counter32": (0, 2**32 - 1),
    "Counter64": (0, 2**64 - 1),
    "Integer32": (-(2**31), 2**31 - 1),
}
"""Smallest and largest number of each type."""

_USUAL_INVALID = {"Integer32": -(2**31)} | {
    type_: most for type_, (least, most) in RANGES.items() if not least
}

_ABSENT = {
    "NoSuchObject": "the device has no such object",
    "NoSuchInstance": "the device has no such instance of the object",
    "EndOfMibView": "the device has no such object",
}

# Longer than any counter; `int` and `Decimal` take time that grows with the square of a length.
_NUMBER = re.compile(r"[+-]?(?:\d{1,40}(?:\.(\d{0,40}))?|\.(\d{1,40}))", re.ASCII)

_SHOWN_CHARS = 40


class Value(NamedTuple):
    """What an object said: the type it came in, by its name in RFC 3416, and the value."""

    type: str
    value: int | bytes | None


def decode(
    found: Value, type_: ObjectType, invalid: Sequence[int | float] | None = None
) -> MeterValue:
    """Return what an object says.

    Args:
        found: what came.
        type_: the type that it has by the manual.
        invalid: numbers that mean no reading; None for the usual ones of the type.

    Raises:
        NoReadingError: there is no such object, it has another type, says that it has no reading,
            or no number that a row can hold.
    """
    if found.type in _ABSENT:
        raise NoReadingError(_ABSENT[found.type])
    if found.type != type_:
        raise NoReadingError(f"has type {found.type}, not {type_}")
    if isinstance(found.value, bytes):
        return _of_text(found.value, invalid)
    if not isinstance(found.value, int):
        raise NoReadingError("says nothing")
    number, usual = found.value, _USUAL_INVALID[type_]
    if number in ([usual] if invalid is None else invalid):
        why = _why(number, type_) if number == usual else ""
        raise NoReadingError(f"reads {number}{why}, which means no reading")
    return MeterValue(to_billionths(number), BILLION)


def _why(number: int, type_: str) -> str:
    return " (all ones)" if number > 0 else f" (the smallest {type_})"


def _of_text(text: bytes, invalid: Sequence[int | float] | None) -> MeterValue:
    """Return the decimal number in a text; its step is that of its last digit."""
    # C programs send the end of their strings along.
    shown = text.decode("ascii", "replace").strip(" \t\r\n\0")
    found = _NUMBER.fullmatch(shown)
    if not shown:
        raise NoReadingError("says nothing")
    if found is None:
        raise NoReadingError(f"reads {shown[:_SHOWN_CHARS]!a}, which is no decimal number")
    number = Decimal(shown)
    if any(number == Decimal(repr(one)) for one in invalid or ()):
        raise NoReadingError(f"reads {show_number(float(number))}, which means no reading")
    digits = len(found[1] or found[2] or "")
    return MeterValue(to_billionths(number), ceil(Fraction(BILLION, 10**digits)))
