"""Takes one number out of a resource, or says why it is no reading.

In: JSON, as the BMC sent it. Out: values for rows of `meter`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tokenergy_collectors.sources.meters.values import (
    MeterValue,
    NoReadingError,
    show_number,
    to_billionths,
)

_OFF = {"Absent", "Disabled", "UnavailableOffline"}
_LONGEST_US = 366 * 86_400_000_000
_DURATION = re.compile(
    r"P(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Member:
    """One number of one resource.

    Attributes:
        path: of the resource.
        keys: names and indices that lead to the number.
        interval: name of the member beside it that says over what time it is an average.
    """

    path: str
    keys: tuple[str | int, ...]
    interval: str | None = None

    @property
    def name(self) -> str:
        """The number in words: PowerControl[0].PowerConsumedWatts."""
        parts = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.keys)
        return "".join(parts).lstrip(".").removesuffix(".Reading")


def take(resource: Mapping[str, Any], member: Member, invalid: Sequence[int | float]) -> MeterValue:
    """Return what a number of a resource says.

    Args:
        resource: the resource, with floats as `Decimal`.
        member: which of its numbers.
        invalid: numbers that mean no reading.

    Raises:
        NoReadingError: it is missing, null, no number, or one that means no reading.
    """
    inside: Any = resource
    beside: Mapping[str, Any] = {}
    for key in member.keys:
        if isinstance(inside, Mapping):
            beside = inside
            _refuse_off(inside)
        try:
            inside = inside[key]
        except (KeyError, IndexError, TypeError):
            raise NoReadingError(f"has no {member.name}") from None
    if inside is None:
        raise NoReadingError("says null, which means no reading")
    if isinstance(inside, bool) or not isinstance(inside, int | Decimal):
        raise NoReadingError(f"says {str(inside)[:40]!r}, which is no number")
    if any(inside == _exact(one) for one in invalid):
        raise NoReadingError(f"reads {show_number(inside)}, which means no reading")
    average_us = None if member.interval is None else _interval_us(beside.get(member.interval))
    return MeterValue(to_billionths(inside), None, average_us)


def _exact(number: int | float) -> Decimal:
    # As written: 0.1 in the configuration is the 0.1 that a BMC sends.
    return Decimal(str(number))


def _refuse_off(part: Mapping[str, Any]) -> None:
    status = part.get("Status")
    state = status.get("State") if isinstance(status, Mapping) else None
    if isinstance(state, str) and state in _OFF:
        raise NoReadingError(f"its state is {state}")


def _interval_us(said: Any) -> int | None:
    """Return an interval: minutes as a number, or a duration of ISO 8601; None if it is neither."""
    if isinstance(said, int | Decimal) and not isinstance(said, bool):
        # Before the multiplication: a number with an enormous exponent takes all memory.
        if not 0 < said <= _LONGEST_US // 60_000_000:
            return None
        return round(said * 60_000_000) or None
    found = _DURATION.fullmatch(said) if isinstance(said, str) else None
    if found is None:
        return None
    days, hours, minutes, seconds = (Decimal(part or 0) for part in found.groups())
    found_us = round((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000_000)
    return found_us if 0 < found_us <= _LONGEST_US else None
