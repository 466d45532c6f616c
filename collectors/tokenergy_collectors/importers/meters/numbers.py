"""Numbers of an export in billionths, exactly as they are printed.

In: the text of a cell. Out: the number in billionths, and the step in which it is printed.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from tokenergy_collectors.base.csvfile import BadValueError
from tokenergy_collectors.importers.meters.mapping import MeterMap

_BILLION = 1_000_000_000
_DIGITS = 9
_END_N = 10**38
"""The first number of billionths that no row of `meter` can hold."""

_MOST_CHARS = 100
_SPACES = " \u00a0\u202f"


def number_in(text: str, found: MeterMap) -> tuple[int, int] | None:
    """Return a number in billionths, and its step; None if the cell means no reading.

    Digits beyond the billionth are rounded.

    Raises:
        BadValueError: it is no number of this notation, or too large.
    """
    text = text.strip()
    if text.lower() in found.none:
        return None
    parts = _pattern(found.decimal, found.thousands).fullmatch(text[: _MOST_CHARS + 1])
    if parts is None or len(text) > _MOST_CHARS:
        other = "," if found.decimal == "." else "."
        hint = f"; is decimal or thousands = {other!r} missing in the map?" if other in text else ""
        raise BadValueError(f"value {text[:60]!r} is no number{hint}")
    sign, whole, fraction, exponent = parts.groups(default="")
    digits = re.sub(r"\D", "", whole)
    plain = f"{sign}{digits or 0}.{fraction}{exponent}"
    value_n = round(Fraction(plain) * _BILLION)
    if abs(value_n) >= _END_N:
        raise BadValueError(f"value {text[:60]!r} is too large for a meter")
    places = Decimal(plain).as_tuple().exponent
    if not isinstance(places, int):
        raise AssertionError("a number has an exponent")
    return value_n, _step_n(places)


def _step_n(exponent: int) -> int:
    """Return the step of numbers that are printed to a power of ten: 1 where there is no point."""
    step_n: int = 10 ** max(min(exponent, 0) + _DIGITS, 0)
    return step_n


@lru_cache
def _pattern(decimal: str, thousands: str | None) -> re.Pattern[str]:
    """Return what a number looks like: sign, digits before and after the point, exponent.

    Groups have three digits: else a point that is none would make a number ten times as large.
    """
    grouped = ""
    if thousands is not None:
        between = f"[{_SPACES}]" if thousands == " " else re.escape(thousands)
        grouped = rf"\d{{1,3}}(?:{between}\d{{3}})+|"
    point = re.escape(decimal)
    return re.compile(
        rf"([+-]?)(?=\d|{point}\d)({grouped}\d*)(?:{point}(\d*))?([eE][+-]?\d{{1,3}})?", re.ASCII
    )
