"""Query results as rows by column name.

In: a connection and a statement. Out: one dict a row, in the order of the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

NamedRow = dict[str, Any]
"""One row of a result, by column name; an unknown value is None."""


def named_rows(
    con: duckdb.DuckDBPyConnection,
    sql: str,
    parameters: Sequence[Any] | Mapping[str, Any] | None = None,
) -> list[NamedRow]:
    """Run a statement and return its rows by column name; none if it has no result."""
    result = con.execute(sql, parameters)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
