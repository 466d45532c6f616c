"""Ad-hoc questions: one SQL statement over the lake's views, shown as a table, CSV or JSON.

In: a lake and SQL. Out: text on standard output. What Python has no exact value for (intervals,
infinite stamps, blobs) is shown as DuckDB writes it.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TextIO

from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.asking import AnyLake, ask
from tokenergy_sql.terminal.grid import Grid, Heading
from tokenergy_sql.terminal.jsontext import write_json
from tokenergy_sql.terminal.nextstep import note_on_nothing
from tokenergy_sql.terminal.table import console

if TYPE_CHECKING:
    import duckdb

OutputFormat = Literal["table", "csv", "json"]

FORMATS: dict[str, OutputFormat] = {"table": "table", "csv": "csv", "json": "json"}
"""Formats by their names."""

_AS_TEXT = ("BIT", "BLOB", "DATE", "INTERVAL", "TIME", "TIMESTAMP", "BIGNUM", "GEOMETRY")
"""Beginnings of the names of types whose values Python changes: DuckDB writes them itself."""


def run_query(
    lake: AnyLake, sql: str, output_format: OutputFormat, out: TextIO | None = None
) -> None:
    """Run a statement and write its rows.

    Args:
        lake: the lake; its tables are views under their own names, beside those of `views/`.
        sql: one or more statements; the rows of the last one are written.
        output_format: `table` for people, `csv`, or `json` (an array of objects).
        out: where to write; standard output if None.

    Raises:
        UserError: DuckDB refuses the statement; the message is DuckDB's, on one line.
    """
    out = out or sys.stdout

    names, rows = ask(lake, "query", lambda con: _fetch(con, sql), sql)
    write_rows(names, rows, output_format, out)
    note_on_nothing(lake, views.tables_named(sql), rows)


def write_rows(
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    output_format: OutputFormat,
    out: TextIO,
) -> None:
    """Write rows of any result; see `run_query`."""
    if output_format == "csv":
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
    elif output_format == "json":
        write_json(names, rows, out)
    else:
        _print_table(names, rows, out)


def _fetch(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run a statement and return the names of its columns and its rows."""
    # Not named rows: a statement may give two columns the same name, and all formats show both.
    result: duckdb.DuckDBPyRelation | None = con.sql(sql)
    if result is None:
        return [], []
    names, types = list(result.columns), [str(one) for one in result.types]
    if any(_is_text(one) for one in types):
        places = enumerate(types, 1)
        result = result.project(
            ", ".join(f"#{i}::VARCHAR" if _is_text(one) else f"#{i}" for i, one in places)
        )
    return names, result.fetchall()


def _is_text(type_: str) -> bool:
    return type_.startswith(_AS_TEXT) and not type_.endswith("]")


def _print_table(names: Sequence[str], rows: Sequence[Sequence[Any]], out: TextIO) -> None:
    headings = []
    for place, name in enumerate(names):
        numeric = all(isinstance(row[place], int | float | Decimal | None) for row in rows)
        headings.append(Heading(name, "right" if numeric else "left"))
    cells = [["" if value is None else str(value) for value in row] for row in rows]
    terminal = console(out)
    terminal.print(Grid(headings, cells))
    terminal.print(f"{len(rows)} row{'' if len(rows) == 1 else 's'}", highlight=False)
