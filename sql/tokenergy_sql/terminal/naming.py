"""Names of columns: as a user types them, and as they are understood without their neighbours.

In: headings. Out: `J/token GPU` is typed `j_per_token_gpu`; the bounds behind it are
`j_per_token_gpu_bounds`, and are called `J/token GPU [low, high]` where they are not beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tokenergy_sql.terminal.jsontext import unique

_BOUNDS = "[low, high]"


def typed_names(texts: Sequence[str]) -> list[str]:
    """Return a name for each heading that can be typed; no two are the same."""
    names: list[str] = []
    for text in texts:
        before = names[-1] if names else "column"
        if text.startswith(_BOUNDS):
            names.append(typed(f"{before} bounds {text.removeprefix(_BOUNDS)}"))
        else:
            names.append(typed(text) or f"{before}_unit")
    return unique(names)


def typed(text: str) -> str:
    """Return a heading in small letters, without signs."""
    spelt = text.lower().replace("%", " percent ").replace("/", " per ")
    return "_".join(re.findall(r"[a-z0-9]+", spelt))


def alone(texts: Sequence[str], place: int) -> str:
    """Return a heading that is understood without the column before it."""
    text = texts[place]
    if place and (text.startswith(_BOUNDS) or not text):
        return f"{alone(texts, place - 1)} {text or 'unit'}"
    return text
