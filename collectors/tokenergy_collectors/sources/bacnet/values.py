"""Turns what a BACnet object says into a number, exactly, unless it says that it may not be used.

In: properties of an object, as the device encoded them. Out: the present value in billionths, with
the step of its type, or `NoReadingError`, which says why there is none.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tokenergy_collectors.sources.meters.floats import FloatType, float_step_n
from tokenergy_collectors.sources.meters.values import (
    BILLION,
    MeterValue,
    NoReadingError,
    show_number,
    to_billionths,
)

PRESENT_VALUE, STATUS_FLAGS, RELIABILITY = "present-value", "status-flags", "reliability"

STATE = {STATUS_FLAGS: "BitString", RELIABILITY: "Enumerated"}
"""Properties that say whether a present value may be used, and their types."""

UNKNOWN_OBJECT, UNKNOWN_PROPERTY = "unknown-object", "unknown-property"

_FLAGS = {1: "fault", 2: "overridden", 3: "out-of-service"}
"""Flags by their bit, from the left, that part a present value from what is measured; ASHRAE 135,
BACnetStatusFlags. The first one, in-alarm, does not."""

_FLOATS: dict[str, tuple[str, int, FloatType]] = {
    "Real": (">f", 4, "float32"), "Double": (">d", 8, "float64"),
}  # fmt: skip
"""Code for `struct`, bytes and type of each floating-point type."""

_USUAL_INVALID = {"Unsigned": (2**32 - 1, 2**64 - 1), "Integer": (-(2**31), -(2**63))}

_MOST_BYTES = 8
"""Longest whole number of BACnet."""


class Value(NamedTuple):
    """A property's value: the name of its primitive type, and its bytes; or an error's name."""

    type: str
    data: bytes
    error: str | None = None


Properties = Mapping[str, Value]
"""What an object said, by name of the property."""


def decode(
    found: Properties,
    reliability: Callable[[int], str],
    invalid: Sequence[int | float] | None = None,
) -> MeterValue:
    """Return what an object says.

    Args:
        found: its properties; of state those that it has.
        reliability: returns the name of a value of that property.
        invalid: numbers that mean no reading; None for the usual ones of the type.

    Raises:
        NoReadingError: there is no such object, it is in fault or out of service, or says no number
            that a row can hold.
    """
    value = found[PRESENT_VALUE]
    if value.error is not None:
        raise NoReadingError(_refusal(value.error))
    _check_state(found, reliability)
    number = to_number(value)
    if isinstance(number, float) and not math.isfinite(number):
        raise NoReadingError(f"reads {show_number(number)}, which is no reading")
    usual = _USUAL_INVALID.get(value.type, ())
    if number in (usual if invalid is None else [_as_type(one, value) for one in invalid]):
        raise NoReadingError(
            f"reads {show_number(number)}{_why(number, usual)}, which means no reading"
        )
    step_n = float_step_n(number, _FLOATS[value.type][2]) if value.type in _FLOATS else BILLION
    return MeterValue(to_billionths(number), step_n)


def to_number(value: Value) -> int | float:
    """Return the number that a value is.

    Raises:
        NoReadingError: it is none.
    """
    if value.type in _FLOATS:
        code, size, _ = _FLOATS[value.type]
        if len(value.data) == size:
            [number] = struct.unpack(code, value.data)
            return float(number)
    elif value.type in _USUAL_INVALID and 0 < len(value.data) <= _MOST_BYTES:
        return int.from_bytes(value.data, "big", signed=value.type == "Integer")
    raise NoReadingError(f"says a {value.type}, which is no number")


def _check_state(found: Properties, reliability: Callable[[int], str]) -> None:
    """Refuse a present value that does not follow what is measured."""
    for name, type_ in STATE.items():
        one = found.get(name)
        # Many objects have no reliability. Any other error hides what the object has.
        if one is None or one.error == UNKNOWN_PROPERTY:
            continue
        if one.error is not None or one.type != type_:
            raise NoReadingError(f"its {name} cannot be read: {one.error or f'a {one.type}'}")
    flags = found.get(STATUS_FLAGS)
    why = [name for bit, name in _FLAGS.items() if flags is not None and _is_set(flags, bit)]
    if code := enumerated(found.get(RELIABILITY)):
        why.append(f"reliability {reliability(code)}")
    if why:
        raise NoReadingError(f"the device says: {', '.join(why)}")


def _is_set(flags: Value, bit: int) -> bool:
    # The first byte says how many bits of the last one are not used.
    return len(flags.data) > 1 and bool(flags.data[1] & (0x80 >> bit))


def enumerated(value: Value | None) -> int:
    """Return the number of an enumerated value; 0 where there is none."""
    return 0 if value is None or value.error is not None else int.from_bytes(value.data, "big")


def _as_type(number: int | float, value: Value) -> int | float:
    """Return a number as the object would say it: 0.1 is another number in a Real."""
    if value.type not in _FLOATS:
        return number
    try:
        [found] = struct.unpack(_FLOATS[value.type][0], struct.pack(_FLOATS[value.type][0], number))
    except OverflowError:
        return number
    return float(found)


def _refusal(error: str) -> str:
    if error == UNKNOWN_OBJECT:
        return "the device has no such object"
    if error == UNKNOWN_PROPERTY:
        return "the object has no present-value"
    return f"the device refuses: {error}"


def _why(number: int | float, usual: Sequence[int]) -> str:
    if number not in usual:
        return ""
    return " (all ones)" if number > 0 else " (the smallest Integer)"
