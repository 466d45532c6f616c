"""A table that fits the terminal and never breaks a number in two.

In: headings and rows of text. Out: a rich renderable. Where the terminal is too narrow, text is
folded; then the less important columns are left out, with a note that names them; then every row
is shown as a list, one line a column, with all columns. A wide grid leaves no column out: what does
not fit beside the others follows in a second table, behind the same first column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tokenergy_sql.terminal.folding import fold, indent_of, pieces_of, uncut
from tokenergy_sql.terminal.naming import alone

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

Justify = Literal["left", "right"]

_BETWEEN = 3
"""Characters between two columns: a space, a line, a space."""

_SHORT = 12
"""Text of a column that is no wider is never folded: a name, or an instant such as 01-15 08:00."""

_SHORTEST_FOLD = 20
"""A word is folded only if it is longer: its pieces should still be read as one."""

_READABLE = 32
"""Width to which text is folded before a wide grid begins a further table."""


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
        source: what the rows were made of, by the names that csv and json have; may be empty.
        wide: show all columns, in several tables if they do not fit beside each other.
        hint: what to do to see the columns that are left out; follows their names.
    """

    headings: Sequence[Heading]
    rows: Sequence[Sequence[str]]
    title: str = ""
    source: Sequence[Mapping[str, Any]] = ()
    wide: bool = False
    hint: str = ""

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        """Yield the title, the table or the list, and a note on what is left out."""
        width = options.max_width
        if self.title:
            yield uncut(fold(self.title, width), style="italic")
        blocks = self._blocks(width) if self.wide else [self._fit(width)]
        if not all(shown for shown, _ in blocks):
            yield uncut(self._listed(width))
            return
        for number, (shown, widths) in enumerate(blocks):
            if number:
                yield ""
            yield self._table(shown, widths)
        shown, _ = blocks[0]
        if not self.wide and len(shown) < len(self.headings):
            yield uncut(fold(self._note(shown), width))

    def _note(self, shown: Sequence[int]) -> str:
        """Return the names of the columns that are left out, and how to see them."""
        texts = [heading.text for heading in self.headings]
        # Bounds are named with what they bound, unless that is named just before them.
        names = (
            alone(texts, i) if i - 1 in shown else text
            for i, text in enumerate(texts)
            if i not in shown
        )
        note = f"not shown, for lack of width: {', '.join(names)}"
        return note + (f" ({self.hint})" if self.hint else "")

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

    def _blocks(self, width: int) -> list[tuple[list[int], list[int]]]:
        """Return tables that have all columns between them, as `_fit` does; each has the labels."""
        places = range(len(self.headings))
        natural = [self._natural(i) for i in places]
        if _total(natural) <= width:
            return [([*places], natural)]
        least = [self._least(i) for i in places]
        labels = self._labels()
        # Text is folded to a column that can still be read, before a further table is begun;
        # labels, which every table has, as far as they can be.
        usual = [
            least[i] if i in labels else max(least[i], min(natural[i], _READABLE)) for i in places
        ]
        blocks: list[list[int]] = [[*labels]]
        for place in places[len(labels) :]:
            begun = len(blocks[-1]) > len(labels)
            if begun and _total([usual[i] for i in (*blocks[-1], place)]) > width:
                blocks.append([*labels])
            blocks[-1].append(place)
        if any(_total([least[i] for i in block]) > width for block in blocks):
            return [([], [])]
        return [
            (block, _shrunk([natural[i] for i in block], [least[i] for i in block], width))
            for block in blocks
        ]

    def _labels(self) -> list[int]:
        """Return the columns that say what a row is of: the first, and important text after it."""
        labels = [0]
        for place, heading in enumerate(self.headings[1:], 1):
            if heading.justify == "right" or heading.rank:
                break
            labels.append(place)
        return labels

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
        pieces = {p for word in found for p in pieces_of(word)}
        lines = {line for cell in cells for line in cell.splitlines()}
        # A word of an indented line is as far to the right as its line.
        long = max(
            (
                len(indent_of(line)) + min(_SHORTEST_FOLD, max(map(cell_len, line.split())))
                for line in lines
                if line.split()
            ),
            default=1,
        )
        short = min(_SHORT, max(map(cell_len, cells), default=1))
        return max([*words, *map(cell_len, pieces), long, short])

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
