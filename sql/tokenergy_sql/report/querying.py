"""Runs the statements of `queries/`.

In: a connection, the name of a file, parameters. Out: rows by column name.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from tokenergy_sql.catalog.namedrows import NamedRow, named_rows

if TYPE_CHECKING:
    import duckdb


def query(
    con: duckdb.DuckDBPyConnection, name: str, parameters: NamedRow | None = None
) -> list[NamedRow]:
    """Run a file of `queries/` and return its rows."""
    return named_rows(con, sql_of(name), parameters)


@cache
def sql_of(name: str) -> str:
    """Return the text of a file of `queries/`."""
    file = resources.files("tokenergy_sql.report") / "queries" / f"{name}.sql"
    return file.read_text("utf-8")
