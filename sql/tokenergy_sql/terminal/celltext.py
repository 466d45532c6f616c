"""A value of any result as the text of a cell: numbers to some digits, never cut.

In: a value as DuckDB returns it. Out: text. Whole numbers keep all their digits, since they may be
names or instants; so do the whole digits of others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

_MOST_WHOLE = 1e15
"""From here on a number is written with an exponent: a float has no more exact digits."""


def cell_text(value: Any, digits: int | None = 4) -> str:
    """Return a value as text; nothing for None.

    Args:
        value: what DuckDB returned.
        digits: significant digits of a number that is not whole; None: all that it has.
    """
    if value is None:
        return ""
    if digits is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, float | Decimal):
        return _number(value, digits)
    if isinstance(value, Mapping):
        members = (f"{key!r}: {_inner(one, digits)}" for key, one in value.items())
        return "{" + ", ".join(members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_inner(one, digits) for one in value) + "]"
    return str(value)


def _inner(value: Any, digits: int) -> str:
    if isinstance(value, float | Decimal | Mapping | list):
        return cell_text(value, digits)
    return repr(value)


def _number(value: float | Decimal, digits: int) -> str:
    """Return a number to some digits, where it has more; all of its whole ones."""
    if not math.isfinite(value) or (isinstance(value, Decimal) and value == int(value)):
        return str(value)
    whole = 10.0 ** (digits - 1) <= abs(float(value)) < _MOST_WHOLE
    rounded = f"{value:.0f}" if whole else f"{value:.{digits}g}"
    # What needs no rounding is shown as it is, such as 0.5 or 12.0.
    return str(value) if float(rounded) == value else rounded
