"""A table of `top` whose numbers are whole at any width: the least important columns go first.

In: columns of text, and characters per line. Out: a table for rich. One column, with names, takes
what the others leave, and is the only one that is ever cut; a name that is a
number is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rich.table import Table
from rich.text import Text

_LEAST_NAME, _USUAL_NAME = 4, 12
"""Characters for names: at least, and where columns are shown that are only good to have."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        heading: above it.
        cells: one a row.
        rank: 0 if it is always shown; a narrow terminal leaves out the highest first.
        justify: how its cells are aligned.
        name: it has names, and takes the room that is left.
        steady: its width if there is room, so that it does not move when a number grows a digit.
    """

    heading: str
    cells: Sequence[Text]
    rank: int = 0
    justify: Literal["left", "right"] = "right"
    name: bool = False
    steady: int = 0

    @property
    def width(self) -> int:
        """How many characters it needs."""
        return max([len(self.heading), self.steady, *(cell.cell_len for cell in self.cells)])


GOOD_TO_HAVE = 4
"""Columns of this rank and above give way to names of a usual length."""


def fitted(columns: Sequence[Column], width: int) -> Table:
    """Return columns as a table of a width.

    Args:
        columns: from left to right; one of them has names.
        width: characters per line.
    """
    essential = [one for one in columns if one.rank < GOOD_TO_HAVE]
    tight = _needed(essential) > width
    shown = [replace(one, steady=0) for one in columns] if tight else [*columns]
    while _needed(shown) > width and (least := max(shown, key=lambda one: one.rank)).rank:
        shown.remove(least)
    others = sum(one.width + 1 for one in shown if not one.name)
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    for one in shown:
        room = _room(one, width - others - 1) if one.name else one.width
        table.add_column(one.heading, justify=one.justify, width=room, no_wrap=True)
    for cells in zip(*(one.cells for one in shown), strict=True):
        table.add_row(*cells)
    return table


def _room(names: Column, left: int) -> int:
    return max(_least_name(names), min(names.width, left))


def _needed(shown: Sequence[Column]) -> int:
    good = any(one.rank >= GOOD_TO_HAVE for one in shown)
    widths = (
        max(_least_name(one), min(one.width, _USUAL_NAME) if good else 0) if one.name else one.width
        for one in shown
    )
    return sum(widths) + len(shown)


def _least_name(names: Column) -> int:
    """Return the characters that names need: of one that is a number, all."""
    numbers = (cell.cell_len for cell in names.cells if cell.plain.isdecimal())
    return max([min(_LEAST_NAME, names.width), len(names.heading), *numbers])
