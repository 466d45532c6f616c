"""A table or view of a lake as one file for other tools: CSV or Parquet.

In: a lake, the name of a table or view, a condition. Out: a file.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.catalog.asking import AnyLake, ask
from tokenergy_sql.catalog.connecting import literal, quoted

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
        out: the file; an existing file is replaced.
        where: a condition in SQL on its columns; all rows if None.

    Raises:
        UserError: there is no such table or format, DuckDB refuses the condition, or the file
            cannot be written.
    """
    if output_format not in _COPY_OPTIONS:
        expected = " or ".join(_COPY_OPTIONS)
        raise UserError(f"--format {output_format!r}: expected {expected}")
    _require_writable(out)
    # Written aside and renamed: a reader never sees half a file, nor does a failure leave one.
    aside = out.with_name(f".{out.name}.{os.getpid()}.tmp")

    def write(con: duckdb.DuckDBPyConnection) -> int:
        names = sorted(row[0] for row in con.execute("SHOW TABLES").fetchall())
        if table not in names:
            raise UserError(f"--table {table!r}: expected one of {', '.join(names)}")
        # `filter` takes one condition and nothing after it, so `where` cannot become a statement.
        rows = con.sql(f"FROM {quoted(table)}")
        rows = rows.filter(where) if where else rows
        rows.create_view("chosen")
        options = _COPY_OPTIONS[output_format]
        copied = con.execute(f"COPY chosen TO {literal(str(aside))} ({options})").fetchone()
        return int(copied[0]) if copied else 0

    try:
        count = ask(lake, "export", write, f"{table} {where or ''}")
        aside.replace(out)
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
    return count


def _require_writable(out: Path) -> None:
    # Before the lake is read, which may take a while.
    if out.is_dir() or not out.parent.is_dir():
        raise UserError(f"{out}: cannot be written: expected a file name in an existing folder")
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise UserError(f"{out}: cannot be written: no permission to write in {out.parent}")
