"""The columns that a user names: of tables by their headings, of rows by the names in csv and json.

In: `--columns`, tables. Out: the tables with those columns alone, in that order; or an error that
lists the names. See `naming.py` for what headings are called.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from decimal import Decimal

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.terminal.celltext import cell_text
from tokenergy_sql.terminal.grid import Grid, Heading, Justify
from tokenergy_sql.terminal.naming import alone, typed, typed_names

_COMMA = re.compile(r",(?![^\[]*\])")
"""A comma that is not inside of brackets, as in `[low, high]`."""

_OR_OF_ROWS = "; or a column of --format csv"


def parse_columns(text: str | None) -> tuple[str, ...]:
    """Return the names that `--columns` has; none if it is not given.

    Raises:
        UserError: it names nothing.
    """
    if text is None:
        return ()
    names = tuple(name.strip() for name in _COMMA.split(text) if name.strip())
    if not names:
        raise UserError(f"--columns {text!r}: expected names of columns, separated by commas")
    return tuple(dict.fromkeys(names))


def choose(grids: Sequence[Grid], wanted: Sequence[str]) -> list[Grid]:
    """Return tables with the columns that are wanted; without those that have none of them.

    Args:
        grids: tables.
        wanted: names of headings, headings, or names in csv and json.

    Raises:
        UserError: no table has a column of a name.
    """
    for name in wanted:
        if all(_column(grid, name) is None for grid in grids):
            texts = [[heading.text for heading in grid.headings] for grid in grids]
            known = dict.fromkeys(one for of_grid in texts for one in typed_names(of_grid))
            raise no_column(name, known, _OR_OF_ROWS if any(g.source for g in grids) else "")
    return [found for grid in grids if (found := _chosen(grid, wanted)).headings]


def require_headings(
    wanted: Sequence[str], headings: Sequence[str], names: Collection[str]
) -> None:
    """Return if tables can have all columns that are wanted, as `choose` would find them.

    Args:
        wanted: as for `choose`.
        headings: that the tables may have.
        names: of the columns of their rows.

    Raises:
        UserError: there is none of a name.
    """
    known = typed_names(headings)
    for name in wanted:
        if typed(name) not in known and name not in headings and name not in names:
            raise no_column(name, known, _OR_OF_ROWS)


def no_column(name: str, known: Collection[str], more: str = "") -> UserError:
    """Return the error of a name that no column has."""
    return UserError(f"--columns {name!r}: no such column; there are {', '.join(known)}{more}")


def _chosen(grid: Grid, wanted: Sequence[str]) -> Grid:
    found = [column for name in wanted if (column := _column(grid, name)) is not None]
    rows = [*zip(*(cells for _, cells in found), strict=True)] if grid.rows else []
    return replace(grid, headings=[heading for heading, _ in found], rows=rows)


def _column(grid: Grid, name: str) -> tuple[Heading, list[str]] | None:
    """Return a column with its cells; one that was asked for is never left out."""
    texts = [heading.text for heading in grid.headings]
    names = typed_names(texts)
    for known in (names, texts):
        sought = name if known is texts else typed(name)
        if sought in known:
            place = known.index(sought)
            heading = replace(grid.headings[place], text=alone(texts, place), rank=0)
            return heading, [row[place] for row in grid.rows]
    if any(name in row for row in grid.source):
        values = [row.get(name) for row in grid.source]
        numeric = all(isinstance(one, int | float | Decimal | None) for one in values)
        justify: Justify = "right" if numeric else "left"
        return Heading(name, justify), ["-" if one is None else cell_text(one) for one in values]
    return None
