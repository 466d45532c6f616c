"""How much a meter counted in some time, and between which bounds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Amount(NamedTuple):
    """An amount in whole base units: nanojoules of energy, microlitres of water.

    Attributes:
        value: rounded down.
        low: the least that it can be; None: the meter's accuracy is not declared.
        high: the most; None likewise.
    """

    value: int
    low: int | None
    high: int | None


NOTHING = Amount(0, 0, 0)


def total(parts: Iterable[Amount]) -> Amount:
    """Return the sum of amounts; a bound that one of them lacks is unknown."""
    value, low, high = NOTHING
    for part in parts:
        value += part.value
        low = None if low is None or part.low is None else low + part.low
        high = None if high is None or part.high is None else high + part.high
    return Amount(value, low, high)


def less(one: Amount, other: Amount) -> Amount:
    """Return one amount without another: the bounds are as far apart as both allow."""
    low = None if one.low is None or other.high is None else one.low - other.high
    high = None if one.high is None or other.low is None else one.high - other.low
    return Amount(one.value - other.value, low, high)
