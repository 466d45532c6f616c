"""A table that fits the terminal and never breaks a number in two.

In: headings and rows of text. Out: a rich renderable. Where the terminal is too narrow, text is
folded; then the less important columns are left out, with a note that names them; then every row
is shown as a list, one line a column, with all columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

Justify = Literal["left", "right"]

_BETWEEN = 3
"""Characters between two columns: a space, a line, a space."""

_SHORTEST_FOLD = 20
"""A word is folded only if it is longer: its pieces should still be read as one."""

_PIECE = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-]\d\d(?::?\d\d)?)?)?"  # a stamp
    r"|[\[(]?[-+]?\d(?:[\d.,]*\d)?(?:[eE][-+]?\d+)?[%)\],;:.]?"  # a number, its bracket
    r"|\S",
    re.ASCII,
)
"""What a folded word is made of; no piece is ever broken."""


@dataclass(frozen=True, slots=True)
class Heading:
    """The heading of a column.

    Attributes:
        text: the heading.
        justify: how its cells are aligned.
        rank: 0 if it is always shown; of the others, a narrow terminal leaves out the highest
            first, and of one rank the last.
    """

    text: str
    justify: Justify = "left"
    rank: int = 0


@dataclass(slots=True)
class Grid:
    """Rows of text under headings; printed by a rich console at whatever width that has.

    Attributes:
        headings: of the columns, from left to right.
        rows: one text a column.
        title: the line above; none if empty.
    """

    headings: Sequence[Heading]
    rows: Sequence[Sequence[str]]
    title: str = ""

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        """Yield the title, the table or the list, and a note on what is left out."""
        from rich.text import Text

        width = options.max_width
        if self.title:
            yield Text("\n".join(fold(self.title, width)), style="italic")
        shown, widths = self._fit(width)
        if not shown:
            yield Text("\n".join(self._listed(width)))
            return
        yield self._table(shown, widths)
        if len(shown) < len(self.headings):
            missing = [h.text for i, h in enumerate(self.headings) if i not in shown]
            note = f"not shown, for lack of width: {', '.join(missing)}"
            yield Text("\n".join(fold(note, width)))

    def _fit(self, width: int) -> tuple[list[int], list[int]]:
        """Return the columns that fit, by their places, and their widths; none if too few do."""
        shown = list(range(len(self.headings)))
        natural = [self._natural(i) for i in shown]
        if _total(natural) <= width:
            return shown, natural
        least = [self._least(i) for i in shown]
        optional = [i for i in shown if self.headings[i].rank]
        optional.sort(key=lambda i: (self.headings[i].rank, i))
        while _total([least[i] for i in shown]) > width:
            if not optional:
                return [], []
            shown.remove(optional.pop())
        return shown, _shrunk([natural[i] for i in shown], [least[i] for i in shown], width)

    def _natural(self, place: int) -> int:
        from rich.cells import cell_len

        texts = (line for row in self.rows for line in row[place].splitlines())
        return max((cell_len(t) for t in (self.headings[place].text, *texts)), default=0)

    def _least(self, place: int) -> int:
        """Return the width below which a number of a column would have to be broken."""
        from rich.cells import cell_len

        heading = self.headings[place]
        words = [cell_len(word) for word in heading.text.split()]
        cells = {row[place] for row in self.rows}
        if heading.justify == "right":
            return max([*words, *map(cell_len, cells)], default=1)
        found = {word for cell in cells for word in cell.split()}
        pieces = {p for word in found for p in _PIECE.findall(word)}
        long = min(_SHORTEST_FOLD, max(map(cell_len, found), default=1))
        return max([*words, *map(cell_len, pieces), long, 1])

    def _table(self, shown: Sequence[int], widths: Sequence[int]) -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        # Text, not str: rich would read brackets in a name as markup.
        table = Table(show_edge=False, pad_edge=False)
        for place, width in zip(shown, widths, strict=True):
            heading = self.headings[place]
            folded = Text("\n".join(fold(heading.text, width)))
            table.add_column(folded, justify=heading.justify, width=width, no_wrap=True)
        for row in self.rows:
            table.add_row(
                *(
                    Text("\n".join(fold(row[place], width)))
                    for place, width in zip(shown, widths, strict=True)
                )
            )
        return table

    def _listed(self, width: int) -> Iterator[str]:
        """Yield each row as a list of its columns; a value too long stands below its heading."""
        from rich.cells import cell_len

        margin = max((cell_len(heading.text) for heading in self.headings), default=0) + 2
        for row in self.rows:
            yield "-" * min(width, 20)
            for heading, cell in zip(self.headings, row, strict=True):
                lines = cell.splitlines() or [""]
                if margin + max(map(cell_len, lines)) <= width and len(lines) == 1:
                    yield f"{heading.text:<{margin}}{cell}".rstrip()
                else:
                    yield from fold(heading.text, width)
                    yield from (f"  {line}" for line in fold(cell, width - 2))


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
    for piece in _PIECE.findall(word):
        if pieces[-1] and cell_len(pieces[-1] + piece) > width:
            pieces.append("")
        pieces[-1] += piece
    return pieces


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _BETWEEN * max(len(widths) - 1, 0)


def _shrunk(natural: Sequence[int], least: Sequence[int], width: int) -> list[int]:
    """Return widths that fit, the widest columns reduced first, none below what it needs."""
    widths = [max(n, at_least) for n, at_least in zip(natural, least, strict=True)]
    while (over := _total(widths) - width) > 0:
        loose = [i for i, at_least in enumerate(least) if widths[i] > at_least]
        widest = max(loose, key=lambda i: widths[i])
        # Down to the second widest at once, so that this takes as many steps as there are columns.
        others = [widths[i] for i in loose if widths[i] < widths[widest]]
        step = max(1, widths[widest] - max([*others, least[widest]]))
        widths[widest] -= min(step, over, widths[widest] - least[widest])
    return widths
