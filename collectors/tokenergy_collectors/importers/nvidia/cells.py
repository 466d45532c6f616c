"""How a cell of an nvidia-smi log is read.

In: the text of a cell. Out: an integer in the contract's unit, or MISSING. nvidia-smi writes words
such as `[N/A]` for a value that it does not have, and programs that write such logs write `nan` or
`None`. A value that its quantity cannot have (all ones, 150 % busy) is none either.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal

from tokenergy_collectors.base.csvfile import BadValueError
from tokenergy_collectors.lake.contract import BOUNDS
from tokenergy_collectors.sources.nvml.ranges import within

MISSING = -(2**63)
"""Means `no value` in columns of integers."""

_NO_VALUE = {
    *("", "-", "n/a", "na", "nan", "none", "null", "err!", "error", "unknown"),
    "not supported",
    "not found",
    "unknown error",
    "gpu requires reset",
    "gpu is lost",
    "insufficient permissions",
    "requested functionality has been deprecated",
    "not active",
}
_POWER = re.compile(r"([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)(?: ?W)?", re.ASCII)
_GAUGE = re.compile(r"([+-]?\d+(?:\.\d*)?)(?: ?(?:%|MHz|C))?", re.ASCII)
_BITS = re.compile(r"0x[0-9a-fA-F]{1,16}")


def is_missing(text: str) -> bool:
    """Return whether a cell is one of the words for `no value`, or empty."""
    return text.strip().strip("[]").strip().lower() in _NO_VALUE


def power_mw(text: str) -> int:
    """Return a power cell (watts) in mW, rounded half to even; MISSING if it has no value.

    Raises:
        BadValueError: it is not a power.
    """
    if is_missing(text):
        return MISSING
    found = _POWER.fullmatch(text.strip())
    if found is None:
        raise BadValueError(f"cannot read power {text!r}: expected watts, for example 123.45 W")
    value_mw = _rounded(f"{found[1]}e3")
    low_mw, high_mw = BOUNDS["power_mw"]
    return value_mw if low_mw <= value_mw <= high_mw else MISSING


def limit_mw(text: str) -> int | None:
    """Return a power limit (watts) in mW; None if it has no value.

    Raises:
        BadValueError: it is not a power.
    """
    return within("limit_mw", power_mw(text))


def gauge(quantity: str) -> Callable[[str], int]:
    """Return a parser for the cells of a quantity of `sources.nvml.ranges`.

    It returns an integer, rounded half to even, or MISSING; it raises `BadValueError` for a cell
    that is no number.
    """

    def parse(text: str) -> int:
        if is_missing(text):
            return MISSING
        found = _GAUGE.fullmatch(text.strip())
        if found is None:
            raise BadValueError(f"cannot read {text!r}: expected a number, as nvidia-smi prints it")
        value = within(quantity, _rounded(found[1]))
        return MISSING if value is None else value

    return parse


def clock_reasons(text: str) -> int:
    """Return NVML's clock event reasons, printed as a hexadecimal number, or MISSING.

    Raises:
        BadValueError: it is no such number.
    """
    if is_missing(text):
        return MISSING
    if not _BITS.fullmatch(text.strip()):
        raise BadValueError(f"cannot read clock event reasons {text!r}: expected 0x...")
    value = within("throttle", int(text, 16))
    return MISSING if value is None else value


def _rounded(digits: str) -> int:
    return int(Decimal(digits).to_integral_value(ROUND_HALF_EVEN))
