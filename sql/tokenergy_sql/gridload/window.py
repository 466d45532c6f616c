"""Which span a study is of: as the user gave it, or the last day of readings.

In: options, a lake. Out: start and end in microseconds UTC, or an error in one line.
"""

from __future__ import annotations

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US

LAST_HOURS = 24


def span_or_last(lake: Lake, given: tuple[int, int] | None) -> tuple[int, int]:
    """Return a span, or the last 24 hours up to the end of the last hour with readings.

    Raises:
        UserError: the lake has no readings.
    """
    if given is not None:
        return given
    there = lake.hours("power")
    if not there:
        raise UserError(f"lake {lake.root}: has no readings")
    until_us = there[-1] + HOUR_US
    return max(there[0], until_us - LAST_HOURS * HOUR_US), until_us
