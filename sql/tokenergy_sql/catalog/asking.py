"""Runs a task on a lake: a connection with all tables, views and macros, and one-line errors.

In: a lake, on disk or in an object store, and a task. Out: the task's result.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog import reading, views
from tokenergy_sql.catalog.counting import counted_only
from tokenergy_sql.catalog.remote import RemoteLake

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")

_ATTEMPTS = 5
_REPLACED = "FileExpired"
"""What s3fs raises of an object that is not the one that was listed; DuckDB tells it as text."""


class _ReplacedError(Exception):
    """An object was replaced after it was listed."""


AnyLake = Lake | RemoteLake


def lake_at(where: str) -> AnyLake:
    """Return the lake at a path or URL.

    Raises:
        UserError: there is no lake, or the driver of its store is not installed.
    """
    return RemoteLake(where) if re.match(r"[a-z][a-z0-9+.-]*://", where) else Lake(where)


def ask(
    lake: AnyLake,
    what: str,
    task: Callable[[duckdb.DuckDBPyConnection], T],
    text: str | None = None,
) -> T:
    """Run a task on a connection to a lake.

    Args:
        lake: the lake.
        what: the operation: the first word of an error message.
        task: is called with the connection; is run again if raw files prove damaged, or
            a file was replaced under it.
        text: the SQL that the task runs: raw files of the tables it names are validated first; of
            all tables if None.

    Raises:
        UserError: DuckDB fails (with its own message, on one line), or the store does.
    """
    import duckdb

    try:
        if isinstance(lake, RemoteLake):
            return _ask_remote(lake, task, text)
        named = None if text is None else views.tables_named(text)
        if named and "quarantined" in named:
            named = None  # it is complete only after all files have been validated
        return reading.read(lake, lambda: _ask_local(lake, task, named))
    except duckdb.Error as error:
        raise UserError(f"{what}: {' '.join(str(error).split())}") from None


def _ask_local(
    lake: Lake, task: Callable[[duckdb.DuckDBPyConnection], T], named: frozenset[str] | None
) -> T:
    import duckdb

    try:
        with catalog.connect(lake, adhoc=True, named=named) as con:
            return task(con)
    except duckdb.InvalidInputException as error:
        # The statement makes the name of a table: `query_table('po' || 'wer')`.
        if named is None or catalog.UNNAMED not in str(error):
            raise
        return _ask_local(lake, task, None)


def _ask_remote(
    lake: RemoteLake,
    task: Callable[[duckdb.DuckDBPyConnection], T],
    text: str | None,
) -> T:
    named = None if text is None else views.tables_named(text)
    counted = frozenset[str]() if text is None else counted_only(text)
    try:
        for _ in range(_ATTEMPTS - 1):
            with suppress(_ReplacedError):
                return _on_listing(lake, task, named, counted)
        return _on_listing(lake, task, named, counted)
    except _ReplacedError:
        raise UserError(
            f"lake {lake.url}: objects are replaced all the time; ask again later"
        ) from None
    except lake.errors as error:
        raise UserError(f"lake {lake.url}: {' '.join(str(error).split())}") from None


def _on_listing(
    lake: RemoteLake,
    task: Callable[[duckdb.DuckDBPyConnection], T],
    named: frozenset[str] | None,
    counted: frozenset[str],
) -> T:
    import duckdb

    try:
        with lake.connect(named, counted) as con:
            return task(con)
    except duckdb.Error as error:
        if _REPLACED in str(error):
            raise _ReplacedError from error
        raise
