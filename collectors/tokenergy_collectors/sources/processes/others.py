"""What other sources say of the boards: who holds them.

In: the allocations of this node, of all sources. Out: who holds a device now.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from tokenergy_collectors.lake.jobkey import job_key
from tokenergy_collectors.sources.host import PowerReading, Rows
from tokenergy_collectors.sources.nvml.boards import Board

Row = Mapping[str, Any]


class Allocations:
    """Follows the allocations of a node. Several threads may ask.

    Args:
        boards: the boards, as they are now.
        without: rows of this `method` are left out.
    """

    def __init__(self, boards: Sequence[Board], without: str | None = None) -> None:
        self._boards = boards
        self._without = without
        self._rows: list[Row] = []

    def add(self, table: str, rows: Rows) -> None:
        """Take rows of other tables: they say nothing here."""

    def readings(self, readings: Sequence[PowerReading]) -> None:
        """Take power readings: they say nothing here."""

    def allocations(self, rows: Iterable[Row], spread: Collection[str]) -> None:
        """Take the allocations of the node."""
        self._rows = [row for row in rows if row["method"] != self._without]

    def on(self, device_id: str, now_us: int) -> list[Row]:
        """Return the allocations of a device at an instant (us UTC).

        A board's allocation holds its instances; that of an instance may explain a process of
        which only the board is known.
        """
        near = {device_id}
        for board in self._boards:
            instances = {one.device_id for one in board.instances}
            if device_id == board.device_id:
                near |= instances
            elif device_id in instances:
                near.add(board.device_id)
        return [row for row in self._rows if row["device_id"] in near and _is_open(row, now_us)]

    def open(self, now_us: int) -> list[Row]:
        """Return all allocations that are open at an instant (us UTC)."""
        return [row for row in self._rows if _is_open(row, now_us)]


def key_of(row: Row) -> str:
    """Return the key of an allocation's job."""
    return job_key(row.get("cluster"), row["job_id"])


def is_of(row: Row, kind: str, name: str) -> bool:
    """Return whether an allocation is of a Slurm job (its number) or of a pod (its UID)."""
    if row.get("scheduler") != kind:
        return False
    if kind == "slurm":
        return bool(row["job_id"] == name)
    try:
        labels = json.loads(row.get("labels") or "")
    except ValueError:
        return False
    return isinstance(labels, dict) and labels.get("uid") == name


def _is_open(row: Row, now_us: int) -> bool:
    return row["start_us"] <= now_us and (row["end_us"] is None or row["end_us"] > now_us)
