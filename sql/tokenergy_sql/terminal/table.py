"""What all tables of the terminal share: columns, numbers and the width of a line.

In: rows by column name. Out: a rich table; an unknown value is a dash.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tokenergy_sql.catalog.namedrows import NamedRow

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDE_COLUMNS = 150
"""Width of a terminal, in characters, from which all columns are shown."""

_PIPE_COLUMNS = 400


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, the text of a row's cell, and whether a narrow terminal shows it."""

    heading: str
    cell: Callable[[NamedRow], str]
    narrow: bool = True
    justify: Literal["left", "right"] = "right"


def console() -> Console:
    """Return a console on standard output; in a pipe lines are as wide as they need to be."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS)


def new_table(title: str) -> Table:
    """Return an empty table with its title on the left."""
    from rich.table import Table

    return Table(title=title, title_justify="left", show_edge=False, pad_edge=False)


def table_of(
    title: str, rows: Sequence[NamedRow], columns: Sequence[Column], *, wide: bool = True
) -> Table:
    """Return rows as a table; its title says so if any row is `emulated`.

    Args:
        title: what the table shows.
        rows: one line each.
        columns: from left to right.
        wide: whether there is room for the columns that a narrow terminal leaves out.
    """
    from rich.text import Text

    emulated = any(row["emulated"] for row in rows)
    table = new_table(title + (" (emulated)" if emulated else ""))
    shown = [column for column in columns if wide or column.narrow]
    for column in shown:
        table.add_column(Text(column.heading), justify=column.justify, overflow="fold")
    for row in rows:
        # Text, not str: rich would read brackets in a name as markup.
        table.add_row(*(Text(column.cell(row)) for column in shown))
    return table


def significant(value: float | None, digits: int = 4) -> str:
    """Return a number to some significant digits, all of its whole ones; a dash for None."""
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    text = f"{value:#.{digits}g}"
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


def notes(row: NamedRow) -> str:
    """Return a row's reason codes, separated by spaces."""
    return str(row["reason_codes"]).replace(",", " ")
