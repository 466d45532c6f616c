"""Ad-hoc questions: one SQL statement over the lake's views, shown as a table or for programs.

In: a lake and SQL. Out: text or Parquet. What Python has no exact value for (intervals, infinite
stamps, blobs) is shown as DuckDB writes it. Tables round numbers; no other format does.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.asking import AnyLake, ask
from tokenergy_sql.catalog.duck import quoted
from tokenergy_sql.terminal.celltext import cell_text
from tokenergy_sql.terminal.grid import Grid, Heading
from tokenergy_sql.terminal.jsontext import unique
from tokenergy_sql.terminal.nextstep import note_on_nothing
from tokenergy_sql.terminal.output import Output, Part

if TYPE_CHECKING:
    import duckdb

DIGITS = 4
"""Significant digits of a number in a table, unless the user wants others."""

_MOST_DIGITS = 17

_AS_TEXT = ("BIT", "BLOB", "DATE", "INTERVAL", "TIME", "TIMESTAMP", "BIGNUM", "GEOMETRY")
"""Beginnings of the names of types whose values Python changes: DuckDB writes them itself."""


def run_query(
    lake: AnyLake,
    sql: str,
    output: Output,
    out: TextIO | None = None,
    digits: int | None = DIGITS,
) -> None:
    """Run a statement and write its rows.

    Args:
        lake: the lake; its tables are views under their own names, beside those of `views/`.
        sql: one or more statements; the rows of the last one are written.
        output: in which form, and where.
        out: instead of standard output.
        digits: significant digits of numbers in a table that are not whole; None: all.

    Raises:
        UserError: DuckDB refuses the statement; the message is DuckDB's, on one line.
    """
    if output.format == "parquet":
        output.write_parquet(
            lambda path: ask(lake, "query", lambda con: _copy(con, sql, output, path), sql)
        )
        return
    names, rows = ask(lake, "query", lambda con: _fetch(con, sql), sql)
    if output.is_table:
        output.show_tables(query_table(names, rows, digits), out)
    else:
        output.show_rows(names, rows, out=out)
    note_on_nothing(lake, views.tables_named(sql), rows)


def parse_digits(text: str) -> int | None:
    """Return how many digits `--digits` asks for; None for all.

    Raises:
        UserError: it is neither a number of digits nor `full`.
    """
    if text == "full":
        return None
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_DIGITS:
        raise UserError(f"--digits {text!r}: expected 1 to {_MOST_DIGITS}, or full")
    return int(text)


def query_table(
    names: Sequence[str], rows: Sequence[Sequence[Any]], digits: int | None = DIGITS
) -> list[Part]:
    """Return the rows of any statement as a table, and a line that counts them."""
    headings = []
    for place, name in enumerate(names):
        numeric = all(isinstance(row[place], int | float | Decimal | None) for row in rows)
        headings.append(Heading(name, "right" if numeric else "left"))
    cells = [[cell_text(value, digits) for value in row] for row in rows]
    counted = f"{len(rows)} row{'' if len(rows) == 1 else 's'}"
    exact = [[cell_text(value, None) for value in row] for row in rows]
    if cells != exact:
        counted += f"; rounded to {digits} digits (all of them: --digits full)"
    return [Grid(headings, cells), counted]


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


def _copy(con: duckdb.DuckDBPyConnection, sql: str, output: Output, path: Path) -> None:
    """Run a statement and write its rows as Parquet, with DuckDB's own types.

    Raises:
        UserError: the statement returns no rows to write, or has no column of a name.
    """
    result: duckdb.DuckDBPyRelation | None = con.sql(sql)
    if result is None:
        raise UserError("--format parquet: the statement returns no rows; expected a SELECT")
    names = list(result.columns)
    known = unique(names)
    chosen = ", ".join(f"#{i + 1} AS {quoted(known[i])}" for i in output.places(names))
    result.project(chosen).write_parquet(str(path), compression="zstd")


def _is_text(type_: str) -> bool:
    return type_.startswith(_AS_TEXT) and not type_.endswith("]")
