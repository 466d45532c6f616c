"""Ranges of names, as profiles and the site file have them: `gpu-{000..127}` is 128 names."""

from __future__ import annotations

import re

_RANGE = re.compile(r"(.*)\{(\d{1,6})\.\.(\d{1,6})\}(.*)", re.DOTALL)
_MOST_NAMES = 10_000


def expand_names(name: str) -> list[str]:
    """Return the names in a range such as `gpu-{00..15}`; any other name as it is.

    Numbers are padded to the width of the first one.

    Raises:
        ValueError: the range is empty or too large.
    """
    match = _RANGE.fullmatch(name)
    if match is None:
        return [name]
    before, first, last, after = match.groups()
    count = int(last) - int(first) + 1
    if not 1 <= count <= _MOST_NAMES:
        raise ValueError(f"{name!r}: a range of {count} names; allowed: 1 to {_MOST_NAMES}")
    width = len(first)
    return [f"{before}{n:0{width}}{after}" for n in range(int(first), int(last) + 1)]
