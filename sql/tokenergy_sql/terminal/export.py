"""A table or view of a lake as one file for other tools: CSV or Parquet.

In: a lake, the name of a table or view, a condition. Out: a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.output import require_writable, writing
from tokenergy_sql.catalog.asking import AnyLake, ask
from tokenergy_sql.catalog.duck import literal, quoted

if TYPE_CHECKING:
    import duckdb

_COPY_OPTIONS = {"csv": "FORMAT csv, HEADER", "parquet": "FORMAT parquet, COMPRESSION zstd"}


def export(
    lake: AnyLake, table: str, output_format: str, out: Path, where: str | None = None
) -> int:
    """Write the rows of a table or view to a file; return how many there are.

    Args:
        lake: the lake.
        table: name of a table or view; `tokenergy query` lists them with SHOW TABLES.
        output_format: `csv` (with a header, UTC, NULL is empty) or `parquet`.
        out: what to write; see `base.output.writing`.
        where: a condition in SQL on its columns; all rows if None.

    Raises:
        UserError: there is no such table or format, DuckDB refuses the condition, or the file
            cannot be written.
        OutputError: the reader of a FIFO has gone, or standard output is full.
    """
    if output_format not in _COPY_OPTIONS:
        expected = " or ".join(_COPY_OPTIONS)
        raise UserError(f"--format {output_format!r}: expected {expected}")
    require_writable(out)  # before the lake is read, which may take a while

    def write(con: duckdb.DuckDBPyConnection, path: Path) -> int:
        names = sorted(row[0] for row in con.execute("SHOW TABLES").fetchall())
        if table not in names:
            raise UserError(f"--table {table!r}: expected one of {', '.join(names)}")
        # `filter` takes one condition and nothing after it, so `where` cannot become a statement.
        rows = con.sql(f"FROM {quoted(table)}")
        rows = rows.filter(where) if where else rows
        rows.create_view("chosen")
        options = _COPY_OPTIONS[output_format]
        copied = con.execute(f"COPY chosen TO {literal(str(path))} ({options})").fetchone()
        return int(copied[0]) if copied else 0

    with writing(out) as path:
        return ask(lake, "export", lambda con: write(con, path), f"{table} {where or ''}")
