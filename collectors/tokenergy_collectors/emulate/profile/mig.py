"""MIG profiles by name, such as 2g.20gb."""

from __future__ import annotations

import re

SLICES = 7
"""Compute slices of a board, and so the most instances there can be."""


_PROFILE = re.compile(r"([1-7])g\.([1-9]\d{0,3})gb")


def parse_profile(text: str) -> tuple[int, int]:
    """Return the compute slices and the memory (GB) of a profile such as `3g.40gb`.

    Raises:
        ValueError: the text is not a MIG profile.
    """
    match = _PROFILE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r}: expected a MIG profile such as '3g.40gb'")
    return int(match[1]), int(match[2])
