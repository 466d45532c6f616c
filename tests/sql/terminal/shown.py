"""What tests of screens share: the widths, the files, and rows written by hand.

In: tables and lines. Out: what a terminal shows of them at each width, as one text.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from tokenergy_sql.terminal.folding import fold, uncut

WIDTHS = (80, 100, 120, 160)
SCREENS = Path(__file__).parent / "screens"

T0 = 1_768_464_000_000_000
"""2026-01-15T08:00:00Z in microseconds."""

LONG = "llama-3.3-70b-instruct-fp8-throughput-2026-01-15-r0007"
"""A name as people give them to jobs."""

FRENCH = "génération-été"
WIDE = "推論-70b"
"""A name of characters that are two columns wide."""

Parts = Sequence[RenderableType]


class Row(dict[str, Any]):
    """A row by column name; what is not given is unknown."""

    def __missing__(self, name: str) -> None:
        return None


def screens(parts: Callable[[int], Parts]) -> str:
    """Return what each width shows, below a line that names it."""
    out = io.StringIO()
    for width in WIDTHS:
        out.write(f"== {width} columns ==\n")
        for part in parts(width):
            # Lines are folded as `Output` folds them.
            shown = uncut(fold(part, width)) if isinstance(part, str) else part
            console = Console(file=out, width=width, markup=False, highlight=False)
            console.print(shown, crop=False)
    lines = out.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def on_file(name: str) -> str:
    """Return the screens of a name as they were written."""
    return (SCREENS / f"{name}.txt").read_text("utf-8")


def write(name: str, parts: Parts) -> None:
    """Write the screens of a name."""
    (SCREENS / f"{name}.txt").write_text(screens(lambda _: parts), "utf-8")
