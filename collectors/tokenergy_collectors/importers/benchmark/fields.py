"""Fields of JSON that another program wrote: the value, or an error that names the field.

In: an object of a file. Out: checked values. Numbers are JSON's: Python reads `NaN` and `Infinity`
too, which are values of nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tokenergy_collectors.base.csvfile import BadValueError

_MOST = 2**53
"""No counter gets this far; a larger number is damage."""


def required(found: Mapping[str, Any], name: str) -> Any:
    """Return a field.

    Raises:
        BadValueError: it is missing, or null.
    """
    value = found.get(name)
    if value is None:
        raise BadValueError(f"{name} is missing")
    return value


def count(value: Any, name: str, most: int = _MOST) -> int:
    """Return a whole number, 0 or more; `250.0` is one too.

    Args:
        value: what the file has.
        name: its field, for the message.
        most: a larger one is damage.

    Raises:
        BadValueError: it is none.
    """
    found = number(value, name)
    if found != int(found) or found > most:
        raise BadValueError(f"{name} is {value!r}: expected a whole number")
    return int(found)


def number(value: Any, name: str) -> float:
    """Return a finite number, 0 or more.

    Raises:
        BadValueError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValueError(f"{name} is {str(value)[:60]!r}: expected a number")
    if not math.isfinite(value) or value < 0:
        raise BadValueError(f"{name} is {value!r}: expected a number, 0 or more")
    return value


def text(found: Mapping[str, Any], name: str) -> str | None:
    """Return a field that is text; None if it is missing, empty or something else."""
    value = found.get(name)
    return value.strip() or None if isinstance(value, str) else None


def items(found: Mapping[str, Any], name: str, length: int | None = None) -> Sequence[Any] | None:
    """Return a list; None if there is none.

    Raises:
        BadValueError: it is no list, or has another length.
    """
    value = found.get(name)
    if value is None:
        return None
    if not isinstance(value, list):
        raise BadValueError(f"{name} is {str(value)[:60]!r}: expected a list")
    if length is not None and len(value) != length:
        raise BadValueError(f"{name} has {len(value)} entries: expected {length}, one a request")
    return value
