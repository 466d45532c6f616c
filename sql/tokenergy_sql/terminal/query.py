"""Ad-hoc questions: one SQL statement over the lake's views, shown as a table, CSV or JSON.

In: a lake and SQL. Out: text on standard output.
"""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Any, Literal, TextIO

from tokenergy_sql.catalog.asking import AnyLake, ask

if TYPE_CHECKING:
    import duckdb

_PIPE_COLUMNS = 100_000

OutputFormat = Literal["table", "csv", "json"]


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

    # Not named rows: a statement may give two columns the same name; table and CSV show both.
    def fetch(con: duckdb.DuckDBPyConnection) -> tuple[list[str], list[tuple[Any, ...]]]:
        result = con.sql(sql)
        return ([], []) if result is None else (list(result.columns), result.fetchall())

    names, rows = ask(lake, "query", fetch, sql)
    if output_format == "csv":
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
    elif output_format == "json":
        json.dump([dict(zip(names, row, strict=True)) for row in rows], out, default=str, indent=1)
        out.write("\n")
    else:
        _print_table(names, rows, out)


def _print_table(names: list[str], rows: list[tuple[Any, ...]], out: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # In a pipe a wrapped line could not be read back, so no line is too long.
    console = Console(file=out, width=None if out.isatty() else _PIPE_COLUMNS)
    table = Table(show_edge=False, pad_edge=False)
    for place, name in enumerate(names):
        numeric = all(isinstance(row[place], int | float | type(None)) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    console.print(table)
    console.print(f"{len(rows)} row{'' if len(rows) == 1 else 's'}", highlight=False)
