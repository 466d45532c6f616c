"""Durations such as 90s, 2m or 1.5h."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError

if TYPE_CHECKING:
    pass


_SECONDS = {"s": 1, "m": 60, "h": 3600}


def parse_duration(text: str) -> int:
    """Return a duration such as `90s`, `2m` or `1.5h` in microseconds.

    Raises:
        UserError: it is none, or is zero.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smh])", text.strip())
    duration_us = round(float(match[1]) * _SECONDS[match[2]] * 1_000_000) if match else 0
    if duration_us <= 0:
        raise UserError(f"duration {text!r}: expected a positive time such as 90s, 2m or 1h")
    return duration_us
