"""What a lake lacks before it can answer, and the command that gets it.

In: a lake. Out: one line, or None where nothing is missing. An empty table alone would leave the
reader to guess which step was not done.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_sql.catalog.asking import AnyLake

_NO_READINGS = (
    "the lake has no readings yet. `tokenergy-collect run --lake {lake}` records this host, "
    "`tokenergy-collect import` reads logs. A running daemon writes its files every five minutes "
    "(roll_s), when it ends, and when it gets SIGHUP"
)
_NO_BOOKS = "the lake has readings but no books yet: run `tokenergy run --lake {lake}`"
_READINGS = ("power", "tokens", "meter", "host", "segment")
"""Tables of which one is there as soon as anything was recorded, or what was made of it."""


def next_step(lake: Lake) -> str | None:
    """Return what to do before a lake can answer questions; None: its books are there."""
    where = shlex.quote(str(lake.root))
    if lake.has("ledger_hour"):
        return None
    there = any(lake.has(table) for table in _READINGS)
    return (_NO_BOOKS if there else _NO_READINGS).format(lake=where)


def is_empty(lake: Lake) -> bool:
    """Return whether a lake has no readings, no jobs, and no books of readings that expired."""
    return not any(lake.has(table) for table in ("ledger_hour", *_READINGS, "jobs"))


def require_readings(lake: Lake) -> None:
    """Return if a lake is not empty.

    Raises:
        UserError: it is; the message says where readings come from.
    """
    if is_empty(lake):
        raise UserError(f"lake {lake.root}: {next_step(lake)}")


def note_on_nothing(lake: AnyLake, tables: Iterable[str], rows: Sequence[Sequence[Any]]) -> None:
    """Say on standard error what to do if an answer says nothing, for lack of books.

    Args:
        lake: the lake; one in an object store is not asked again, since that costs requests.
        tables: of the contract, that the question read.
        rows: the answer; it says nothing if it has no rows, or one of zeros and NULLs.
    """
    if len(rows) > 1 or any(value for row in rows for value in row):
        return
    derived = any(name in TABLES and TABLES[name].layer == "derived" for name in tables)
    # To stderr, as progress: what reads the table gets the table alone.
    if isinstance(lake, Lake) and derived and (step := next_step(lake)):
        print(f"note: {step}", file=sys.stderr)
