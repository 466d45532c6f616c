"""One question to a lake: a connection with all tables, views and macros, and errors in one line.

In: a lake and a task. Out: what the task returns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from tokenergy_collectors.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql import catalog

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")


def ask(lake: Lake, what: str, task: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
    """Run a task on a connection to a lake.

    Args:
        lake: the lake.
        what: what is being done: an error's first word.
        task: is given the connection; may be run once more where raw files prove damaged.

    Raises:
        UserError: DuckDB refuses; the message is its own, on one line.
    """
    import duckdb

    def run() -> T:
        with catalog.connect(lake, adhoc=True) as con:
            return task(con)

    try:
        return catalog.heal(lake, run)
    except duckdb.Error as error:
        raise UserError(f"{what}: {' '.join(str(error).split())}") from None
