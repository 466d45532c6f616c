"""What was read and not yet sealed: rows by table, in memory, written to the lake at every roll.

In: rows. Out: sealed files, at most one a table, hour and roll.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.contract import TABLES
from tokenergy_collectors.lake import Lake

if TYPE_CHECKING:
    import pyarrow as pa


class Spool:
    """Collects rows and seals them. Rows may be added while others are being sealed."""

    def __init__(self, lake: Lake, node: str) -> None:
        self._lake = lake
        self._node = node
        self._lock = threading.Lock()
        self._rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}

    def add(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add rows: tuples in the order of the contract's columns."""
        with self._lock:
            self._rows[table].extend(rows)

    def seal(self) -> dict[str, int]:
        """Write everything collected so far; return the number of rows by table.

        Raises:
            UserError: the lake cannot be written. What was not written is kept for the next time;
                files carry a digest of their rows, so that trying again never doubles them.
        """
        with self._lock:
            taken = {name: rows for name, rows in self._rows.items() if rows}
            self._rows = {name: [] for name in TABLES}
        sealed = {}
        try:
            for name in list(taken):
                self._lake.append(name, _to_table(name, taken[name]), self._node)
                sealed[name] = len(taken.pop(name))
        finally:
            for name, rows in taken.items():
                with self._lock:
                    self._rows[name][:0] = rows
        return sealed


def _to_table(name: str, rows: list[tuple[Any, ...]]) -> pa.Table:
    import pyarrow as pa

    schema = TABLES[name].schema()
    columns = [
        pa.array(values, field.type)
        for values, field in zip(zip(*rows, strict=True), schema, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=schema)
