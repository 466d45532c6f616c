"""Parses durations such as 90s, 2m or 1.5h."""

from __future__ import annotations

import re

from tokenergy_collectors.base.errors import UserError

_SECONDS = {"s": 1, "m": 60, "h": 3600}


def parse_duration(text: str) -> int:
    """Return a duration such as `90s`, `2m` or `1.5h` in microseconds.

    Raises:
        UserError: the text is not a duration, or the duration is zero.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smh])", text.strip())
    duration_us = round(float(match[1]) * _SECONDS[match[2]] * 1_000_000) if match else 0
    if duration_us <= 0:
        raise UserError(f"duration {text!r}: expected a positive time such as 90s, 2m or 1h")
    return duration_us
