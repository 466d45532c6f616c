"""A table or view of a lake as one file for other tools: CSV or Parquet.

In: a lake, a name, a condition. Out: a file, written aside and renamed.
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

_OPTIONS = {"csv": "FORMAT csv, HEADER", "parquet": "FORMAT parquet, COMPRESSION zstd"}


def export(lake: AnyLake, table: str, form: str, out: Path, where: str | None = None) -> int:
    """Write the rows of a table or view to a file; return how many there are.

    Args:
        lake: the lake.
        table: name of a table or view; `tokenergy query` lists them with SHOW TABLES.
        form: `csv` (with a header, UTC, NULL is empty) or `parquet`.
        out: the file; one that is there is replaced.
        where: a condition in SQL on its columns; all rows if None.

    Raises:
        UserError: there is no such table or form, DuckDB refuses the condition, or the file cannot
            be written.
    """
    if form not in _OPTIONS:
        raise UserError(f"--format {form!r}: expected {' or '.join(_OPTIONS)}")
    if out.is_dir() or not out.parent.is_dir():
        raise UserError(f"{out}: cannot be written: expected a file name in an existing folder")
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise UserError(f"{out}: cannot be written: no permission to write in {out.parent}")
    aside = out.with_name(f".{out.name}.{os.getpid()}.tmp")

    def write(con: duckdb.DuckDBPyConnection) -> int:
        names = sorted(row[0] for row in con.execute("SHOW TABLES").fetchall())
        if table not in names:
            raise UserError(f"--table {table!r}: expected one of {', '.join(names)}")
        rows = con.sql(f"FROM {quoted(table)}")
        rows = rows.filter(where) if where else rows
        rows.create_view("chosen")
        options = _OPTIONS[form]
        done = con.execute(f"COPY chosen TO {literal(str(aside))} ({options})").fetchone()
        return int(done[0]) if done else 0

    try:
        count = ask(lake, "export", write, f"{table} {where or ''}")
        aside.replace(out)
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
    return count
