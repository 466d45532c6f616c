"""What was read and not yet sealed: rows by table, in memory, written to the lake at every roll.

In: rows. Out: sealed files, at most one a table, hour and roll. While the lake cannot be written
what was collected waits, up to a limit; beyond it the oldest gauges go first, then the oldest
readings.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenergy_collectors.contract import TABLES
from tokenergy_collectors.errors import UserError
from tokenergy_collectors.lake import Lake, escape_node

if TYPE_CHECKING:
    import pyarrow as pa

Rows = list[tuple[Any, ...]]

_LIMIT_ROWS = 3_000_000
_DROP_ORDER = ("state", "power", "host", "tokens")


class _Batch(NamedTuple):
    """Rows of one roll. They stay together, so that writing them again makes the same file."""

    table: str
    rows: Rows


class Spool:
    """Collects rows and seals them. Rows may be added while others are being sealed.

    Args:
        lake: where to write.
        node: whose rows they are.
        dropped: told the table and the number of rows that had to be given up.
        limit_rows: how many rows may wait.

    Raises:
        UserError: the node's name cannot be used.
    """

    def __init__(
        self,
        lake: Lake,
        node: str,
        dropped: Callable[[str, int], None],
        limit_rows: int = _LIMIT_ROWS,
    ) -> None:
        escape_node(node)
        self._lake = lake
        self._node = node
        self._dropped = dropped
        self._limit_rows = limit_rows
        self._lock = threading.Lock()
        self._sealing = threading.Lock()
        self._rows: dict[str, Rows] = {name: [] for name in TABLES}
        self._waiting: list[_Batch] = []

    def add(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add rows: tuples in the order of the contract's columns."""
        with self._lock:
            self._rows[table].extend(rows)

    def seal(self) -> dict[str, int]:
        """Write everything collected so far; return the number of rows by table.

        Raises:
            UserError: something cannot be written. It waits for the next time; files carry a
                digest of their rows, so that trying again never doubles them.
        """
        with self._sealing:
            with self._lock:
                rows, self._rows = self._rows, {name: [] for name in TABLES}
            self._waiting += [_Batch(name, found) for name, found in rows.items() if found]
            sealed: dict[str, int] = {}
            failed: list[_Batch] = []
            problem = ""
            for batch in self._waiting:
                try:
                    self._lake.append(batch.table, _to_table(*batch), self._node)
                    sealed[batch.table] = sealed.get(batch.table, 0) + len(batch.rows)
                except (UserError, ValueError, TypeError, OverflowError) as error:
                    problem = problem or f"{batch.table}: {error}"
                    failed.append(batch)
            self._waiting = failed
            if failed:
                self._shed()
                waiting = sum(len(batch.rows) for batch in self._waiting)
                raise UserError(f"{problem}; {waiting} rows wait")
            return sealed

    def _shed(self) -> None:
        """Give up the oldest batches of what matters least until the rest is within the limit."""
        over = sum(len(batch.rows) for batch in self._waiting) - self._limit_rows
        for table in _DROP_ORDER:
            for batch in [batch for batch in self._waiting if batch.table == table]:
                if over <= 0:
                    return
                self._waiting.remove(batch)
                over -= len(batch.rows)
                self._dropped(table, len(batch.rows))


def _to_table(name: str, rows: Rows) -> pa.Table:
    import pyarrow as pa

    schema = TABLES[name].schema()
    columns = [
        pa.array(values, field.type)
        for values, field in zip(zip(*rows, strict=True), schema, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=schema)
