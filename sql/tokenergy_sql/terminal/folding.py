"""Text in lines of a width, folded between words and never inside of a number.

In: text. Out: lines; only what has no place to be folded is longer than the width.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
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

_JOINTS = frozenset("-_/:@")
"""After which a name is broken rather than in the middle of a part of it."""


def pieces_of(word: str) -> list[str]:
    """Return what a word may be folded between: numbers, stamps and single characters."""
    return _PIECE.findall(word)


def uncut(lines: Iterable[str], style: str = "") -> Text:
    """Return lines as rich prints them: neither cut nor wrapped, however narrow the terminal."""
    from rich.text import Text

    return Text("\n".join(lines), style=style, no_wrap=True, overflow="ignore")


def fold(text: str, width: int) -> list[str]:
    """Return a text in lines of a width; a number that is longer than a line stays whole.

    Lines of an indented text are all indented, where its numbers leave room for that.
    """
    from rich.cells import cell_len

    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        if cell_len(paragraph) <= width:
            lines.append(paragraph)
            continue
        words = paragraph.split()
        indent = indent_of(paragraph)
        room = width - len(indent)
        if any(cell_len(piece) > room for word in words for piece in pieces_of(word)):
            indent, room = "", width
        lines += [indent + line for line in _lines(words, room)]
    return lines


def indent_of(line: str) -> str:
    """Return the spaces before the first word of a line."""
    return line[: len(line) - len(line.lstrip(" "))]


def _lines(words: Iterable[str], width: int) -> list[str]:
    from rich.cells import cell_len

    lines, line = [], ""
    for word in words:
        between = " " if line else ""
        if cell_len(line + between + word) <= width:
            line += between + word
            continue
        lines += [line] if line else []
        *full, line = _pieces(word, width)
        lines += full
    return [*lines, line] if line else lines


def _pieces(word: str, width: int) -> list[str]:
    """Return a word in pieces of a width, broken nowhere inside a number."""
    from rich.cells import cell_len

    if cell_len(word) <= width:
        return [word]
    lines: list[list[str]] = [[]]
    for piece in pieces_of(word):
        if lines[-1] and cell_len("".join(lines[-1]) + piece) > width:
            joint = _joint(lines[-1], piece, width)
            lines.append(lines[-1][joint:])
            del lines[-2][joint:]
        lines[-1].append(piece)
    return ["".join(line) for line in lines]


def _joint(pieces: Sequence[str], following: str, width: int) -> int:
    """Return how many pieces of a name stay on a line: up to its last joint, if that is near."""
    from rich.cells import cell_len

    for i in range(len(pieces), 0, -1):
        head, tail = "".join(pieces[:i]), "".join(pieces[i:])
        if cell_len(head) < width / 2 or cell_len(tail + following) > width:
            break
        after = (*pieces, following)[i]
        dash = after.startswith("-") and not pieces[i - 1][-1].isdigit()
        if pieces[i - 1] in _JOINTS or dash:
            return i
    return len(pieces)
