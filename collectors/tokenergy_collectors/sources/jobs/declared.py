"""Declared allocations: from a job file that may change, or from rows given once.

In: a CSV file (see `jobsfile`) or rows, and the allocations in the lake. Out: the rows of this node
to record, and the edges at which everything is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.sources.jobs.jobsfile import read_jobs
from tokenergy_collectors.sources.nvml.boards import Board

AllocationRow = Mapping[str, Any]
"""A row of `jobs` by column name."""


class JobChanges(NamedTuple):
    """What changed: rows of `jobs` to record, and the edges that were not known before (us UTC)."""

    rows: list[AllocationRow]
    edges_us: set[int]


class DeclaredJobs:
    """Returns new and changed allocations of one node, each once.

    Args:
        node: the node; rows of others are left out.
        boards: its boards; they turn the index of a device into its UUID.
        path: the job file, if there is one.
        rows: further rows of the `jobs` table.
        known: the current allocations of the lake; equal rows are not recorded again.

    Attributes:
        spread: jobs seen so far that also hold devices of other nodes.

    Raises:
        UserError: the job file cannot be read, at start.
    """

    def __init__(
        self,
        node: str,
        boards: list[Board],
        path: Path | None,
        rows: Iterable[AllocationRow] = (),
        known: Iterable[AllocationRow] = (),
    ) -> None:
        self._node = node
        self._boards = boards
        self._path = path
        self._rows = list(rows)
        self._recorded = {_key(row): row for row in known}
        self.spread = {row["job_id"] for row in self._recorded.values() if row["node"] != node}
        self._edges_us: set[int] = set()
        self._seen: tuple[int, int, int] | None = None
        if path is not None:
            read_jobs(path)

    def changes(self, now_us: int) -> JobChanges:
        """Return what is new since the last call; the file is read only if it has changed.

        Args:
            now_us: becomes `recorded_us` of the rows (us UTC).

        Raises:
            UserError: the job file cannot be read.
        """
        listed = [] if self._path is None else self._from_file(self._path)
        # After the file, which may be unreadable: these rows must not be lost with it.
        given, self._rows = self._rows, []
        uuid = {str(board.index): board.device_id for board in self._boards}
        rows = [_named(row, uuid) for row in given + listed if row["node"] == self._node]
        self.spread |= {row["job_id"] for row in given + listed if row["node"] != self._node}
        edges_us = {row[name] for row in rows for name in ("start_us", "end_us")} - {None}
        fresh_us, self._edges_us = edges_us - self._edges_us, self._edges_us | edges_us
        found = (self._record(row, now_us) for row in rows)
        return JobChanges([row for row in found if row is not None], fresh_us)

    def here(self) -> list[AllocationRow]:
        """Return the allocations of this node, including past ones."""
        return [row for row in self._recorded.values() if row["node"] == self._node]

    def _record(self, row: AllocationRow, now_us: int) -> AllocationRow | None:
        """Return the row to record; None if the latest record is equal."""
        key = _key(row)
        latest = self._recorded.get(key)
        if latest is not None:
            if all(latest[name] == value for name, value in row.items()):
                return None
            # The newest record counts: one written by a clock that was ahead must not win forever.
            now_us = max(now_us, latest["recorded_us"] + 1)
        self._recorded[key] = recorded = {**row, "recorded_us": now_us}
        return recorded

    def _from_file(self, path: Path) -> list[AllocationRow]:
        try:
            stat = path.stat()
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from None
        seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if seen == self._seen:
            return []
        rows: list[AllocationRow] = [*read_jobs(path)]
        self._seen = seen  # only now: a file that cannot be read is read again next time
        return rows


def _named(row: AllocationRow, uuid: Mapping[str, str]) -> AllocationRow:
    return {**row, "device_id": uuid.get(row["device_id"], row["device_id"])}


def _key(row: AllocationRow) -> tuple[Any, ...]:
    return (row["job_id"], row["device_id"], row["start_us"])
