"""Text in lines of a width, folded between words and never inside of a number.

In: text. Out: lines; only what has no place to be folded is longer than the width.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

_PIECE = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-]\d\d(?::?\d\d)?)?)?"  # a stamp
    r"|[\[(]?[-+]?\d(?:[\d.,]*\d)?(?:[eE][-+]?\d+)?[%)\],;:.]?"  # a number, its bracket
    r"|\S",
    re.ASCII,
)
"""What a folded word is made of; no piece is ever broken."""


def pieces_of(word: str) -> list[str]:
    """Return what a word may be folded between: numbers, stamps and single characters."""
    return _PIECE.findall(word)


def uncut(lines: Iterable[str], style: str = "") -> Text:
    """Return lines as rich prints them: neither cut nor wrapped, however narrow the terminal."""
    from rich.text import Text

    return Text("\n".join(lines), style=style, no_wrap=True, overflow="ignore")


def fold(text: str, width: int) -> list[str]:
    """Return a text in lines of a width; a number that is longer than a line stays whole."""
    from rich.cells import cell_len

    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        if cell_len(paragraph) <= width:
            lines.append(paragraph)
            continue
        line = ""
        for word in paragraph.split():
            between = " " if line else ""
            if cell_len(line + between + word) <= width:
                line += between + word
                continue
            lines += [line] if line else []
            *full, line = _pieces(word, width)
            lines += full
        lines += [line] if line else []
    return lines


def _pieces(word: str, width: int) -> list[str]:
    """Return a word in pieces of a width, broken nowhere inside a number."""
    from rich.cells import cell_len

    if cell_len(word) <= width:
        return [word]
    pieces = [""]
    for piece in pieces_of(word):
        if pieces[-1] and cell_len(pieces[-1] + piece) > width:
            pieces.append("")
        pieces[-1] += piece
    return pieces
