"""What BASE and HEAD of a comparison name: jobs, a model, days, or a file written before.

In: the text that the user gave. Out: a choice of rows in a lake, or a path.

    job:chat-70b    model:llama-3.1-70b    day:2026-01-15    day:2026-01-15..2026-01-17
    model:llama-3.1-70b,day:2026-01-15     base.json
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from tokenergy_collectors.base.errors import UserError

EXPECTED = "expected job:ID, model:NAME, day:DATE, several joined by commas, or an exported file"

_KEYS = ("job", "model", "day")
_NEXT = re.compile(r",(?=(?:job|model|day):)")
_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Which hours of which jobs; None: any.

    Attributes:
        text: as the user gave it.
        job: key of a job.
        model: name of a model.
        since_us: the first hour.
        until_us: the hour after the last one.
    """

    text: str
    job: str | None = None
    model: str | None = None
    since_us: int | None = None
    until_us: int | None = None


def parse(text: str, side: str) -> Selection | Path:
    """Return what a side names.

    Args:
        text: what the user gave.
        side: BASE or HEAD, for messages.

    Raises:
        UserError: it is neither a choice nor a file that exists, or a day is no date.
    """
    if not text.startswith(tuple(f"{key}:" for key in _KEYS)):
        path = Path(text)
        if not path.is_file():
            raise UserError(f"{side} {text!r}: no such file; {EXPECTED}")
        return path
    found: dict[str, str] = {}
    for part in _NEXT.split(text):
        key, _, value = part.partition(":")
        if not value:
            raise UserError(f"{side} {text!r}: {key}: has no value; {EXPECTED}")
        if key in found:
            raise UserError(f"{side} {text!r}: {key}: is there twice; {EXPECTED}")
        found[key] = value
    since_us, until_us = _days(found["day"], side) if "day" in found else (None, None)
    return Selection(text, found.get("job"), found.get("model"), since_us, until_us)


def _days(text: str, side: str) -> tuple[int, int]:
    """Return the first microsecond of a day or of several, and the one after the last."""
    first, _, last = text.partition("..")
    try:
        days = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        raise UserError(
            f"{side} 'day:{text}': expected a date such as 2026-01-15, or two joined by .."
        ) from None
    if days[1] < days[0]:
        raise UserError(f"{side} 'day:{text}': the last day is before the first")
    since, until = (
        int(datetime.combine(day, time(), UTC).timestamp()) * _US
        for day in (days[0], days[1] + timedelta(days=1))
    )
    return since, until
