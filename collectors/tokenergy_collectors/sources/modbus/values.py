"""Turns the words of a register into a number, exactly.

In: 16-bit words as a device sent them, and how its manual says to read them. Out: the number in
billionths, with the step of its type, or `NoReadingError`, which says why there is none.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Literal

from tokenergy_collectors.sources.meters.floats import FloatType, float_step_n
from tokenergy_collectors.sources.meters.values import (
    BILLION,
    MeterValue,
    NoReadingError,
    show_number,
    to_billionths,
)

RegisterType = Literal[
    "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"
]

_CODES: dict[RegisterType, str] = {
    "uint16": "H", "int16": "h", "uint32": "I", "int32": "i", "uint64": "Q", "int64": "q",
    "float32": "f", "float64": "d",
}  # fmt: skip

_FLOATS: dict[RegisterType, FloatType] = {"float32": "float32", "float64": "float64"}


def words_of(type_: RegisterType) -> int:
    """Return how many 16-bit words a type takes."""
    return struct.calcsize(_code(type_)) // 2


def as_type(number: int | float, type_: RegisterType) -> int | float | None:
    """Return a number as a register of a type would say it; None if it cannot."""
    if type_ not in _FLOATS and isinstance(number, float):
        return None
    try:
        data = struct.pack(_code(type_), number)
    except (struct.error, OverflowError):
        return None
    [found] = struct.unpack(_code(type_), data)
    return found if math.isfinite(found) else None


def decode(
    words: Sequence[int],
    type_: RegisterType,
    word_order: Literal["big", "little"] = "big",
    invalid: Sequence[int | float] | None = None,
) -> MeterValue:
    """Return what a register says.

    Whole numbers are exact. A float is the exact decimal that it is, rounded to a billionth.

    Args:
        words: unsigned 16-bit words, in the order of their addresses; as many as the type takes.
        type_: its type.
        word_order: whether the first word has the highest or the lowest bits.
        invalid: numbers that mean no reading; None for the usual ones of the type.

    Raises:
        NoReadingError: it says that it has no reading, or a number that no row can hold.
    """
    in_order = words if word_order == "big" else words[::-1]
    data = struct.pack(f">{len(in_order)}H", *in_order)
    [number] = struct.unpack(_code(type_), data)
    if not math.isfinite(number):
        raise NoReadingError(f"reads {show_number(number)}, which is no reading")
    none = _usual_invalid(type_) if invalid is None else [as_type(one, type_) for one in invalid]
    if number in none:
        raise NoReadingError(
            f"reads {show_number(number)}{_why(number, type_)}, which means no reading"
        )
    return MeterValue(to_billionths(number), _step_n(number, type_))


def _code(type_: RegisterType) -> str:
    return f">{_CODES[type_]}"


def _usual_invalid(type_: RegisterType) -> tuple[int, ...]:
    """Return what devices put where they have no reading: see SunSpec's model definitions."""
    if type_ in _FLOATS:
        return ()
    bits = 16 * words_of(type_)
    return (2**bits - 1,) if type_.startswith("u") else (-(2 ** (bits - 1)),)


def _why(number: int | float, type_: RegisterType) -> str:
    if number not in _usual_invalid(type_):
        return ""
    return " (all ones)" if number > 0 else f" (the smallest {type_})"


def _step_n(number: int | float, type_: RegisterType) -> int:
    """Return the step between a type's numbers here, in billionths."""
    return float_step_n(number, _FLOATS[type_]) if type_ in _FLOATS else BILLION
