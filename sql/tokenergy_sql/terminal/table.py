"""What all tables of the terminal share: columns, numbers and the width of a line.

In: rows by column name. Out: a `Grid`, which fits itself to the terminal; an unknown value is a
dash.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.terminal.folding import fold, uncut
from tokenergy_sql.terminal.grid import Grid, Heading, Justify

if TYPE_CHECKING:
    from rich.console import Console

_PIPE_COLUMNS = 100_000
"""Width of a line that is not for a terminal: what is wrapped could not be read back."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, the text of a row's cell, and its rank; see `grid.Heading`."""

    heading: str
    cell: Callable[[NamedRow], str]
    rank: int = 0
    justify: Justify = "right"


def console(out: TextIO | None = None) -> Console:
    """Return a console on a stream (standard output if None); in a pipe no line is wrapped."""
    from rich.console import Console

    out = out or sys.stdout
    return Console(file=out, width=None if out.isatty() else _PIPE_COLUMNS)


def say(text: str) -> None:
    """Print lines: folded on a terminal, never inside of a number, and as they are in a pipe."""
    terminal = console()
    terminal.print(uncut(fold(text, terminal.width)), crop=False)


def table_of(title: str, rows: Sequence[NamedRow], columns: Sequence[Column]) -> Grid:
    """Return rows as a table; its title says so if any row is `emulated`.

    Args:
        title: what the table shows.
        rows: one line each.
        columns: from left to right.
    """
    emulated = any(row["emulated"] for row in rows)
    return Grid(
        [Heading(c.heading, c.justify, c.rank) for c in columns],
        [[column.cell(row) for column in columns] for row in rows],
        title + (" (emulated)" if emulated else ""),
        rows,
    )


def significant(value: float | None, digits: int = 4) -> str:
    """Return a number to some significant digits, all of its whole ones; a dash for None."""
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    text = f"{value:#.{digits}g}"
    if "e+" in text:  # 123 to two digits, 999.9 to three
        return f"{value:,.0f}"
    return text.rstrip(".") if "e" not in text else f"{value:.{digits - 1}e}"


def interval(low: float | None, high: float | None) -> str:
    """Return `[low, high]` to three significant digits; a dash if either is None."""
    if low is None or high is None:
        return "-"
    return f"[{significant(low, 3)}, {significant(high, 3)}]"


def count(value: int | None) -> str:
    """Return a whole number with all its digits; a dash for None."""
    return "-" if value is None else f"{value:,}"


def percent(part: float | None, whole: float | None, digits: int) -> str:
    """Return `part` in per cent of `whole`; a dash if either is unknown or the whole is 0."""
    return "-" if part is None or not whole else f"{100 * part / whole:.{digits}f}"


def scaled(value: Any, divisor: float) -> float | None:
    """Return a number, a Decimal too, in a larger unit; None for None."""
    return None if value is None else float(value) / divisor


def group(row: NamedRow) -> str:
    """Return the name of a group with its kind, such as `rack b4-r12`; `site` for the whole."""
    kind, name = str(row["kind"]), str(row["group_id"])
    return kind if kind == name else f"{kind} {name}"


def notes(row: NamedRow) -> str:
    """Return a row's reason codes, separated by spaces."""
    return str(row["reason_codes"]).replace(",", " ")
