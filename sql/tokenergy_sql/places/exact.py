"""Numbers of the site file without rounding: a scale of 0.1 is one tenth, `"400/5"` is 80.

In: a number as TOML has it, or a text. Out: a `Fraction`. A TOML float is taken as it is written,
up to 15 significant digits; a number with more of them, or a ratio, is written as a text.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

_DECIMAL = r"\d{1,30}(?:\.\d{1,30})?"
_TEXT = re.compile(rf"({_DECIMAL})(?:/({_DECIMAL}))?", re.ASCII)
_LARGEST = 10**18

_FORMS = 'such as 0.1, or a text such as "0.1" or "400/5"'


def _above_0(value: Any) -> Fraction:
    found = _read(value)
    if found is None or not Fraction(1, _LARGEST) <= found <= _LARGEST:
        raise PydanticCustomError("exact", f"expected a number above 0 and up to 1e18, {_FORMS}")
    return found


def _from_0(value: Any) -> Fraction:
    found = _read(value)
    if found is None or not 0 <= found <= _LARGEST:
        raise PydanticCustomError("exact", f"expected a number from 0 to 1e18, {_FORMS}")
    return found


def _read(value: Any) -> Fraction | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Fraction(value)
    if isinstance(value, float):
        # repr is the shortest text of this float: what was written, up to 15 digits.
        text = repr(value)
        return Fraction(text) if text not in ("inf", "-inf", "nan") else None
    match = _TEXT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    below = Fraction(match[2] or 1)
    return Fraction(match[1]) / below if below else None


Exact = Annotated[Fraction, PlainValidator(_above_0)]
"""A number above 0 in a table of the site file, as a `Fraction`."""

ExactFrom0 = Annotated[Fraction, PlainValidator(_from_0)]
"""The same, 0 included."""


def text_of(value: Fraction) -> str:
    """Return a number as the site file would have it: a decimal if it has an end, else a ratio."""
    below = value.denominator
    twos = (below & -below).bit_length() - 1
    below >>= twos
    fives = 0
    while below % 5 == 0:
        below, fives = below // 5, fives + 1
    if below != 1:
        return f"{value.numerator}/{value.denominator}"
    digits = max(twos, fives)
    if not digits:
        return str(value.numerator)
    whole, rest = divmod(abs(value.numerator) * 10**digits // value.denominator, 10**digits)
    return f"{'-' if value < 0 else ''}{whole}.{rest:0{digits}d}"
