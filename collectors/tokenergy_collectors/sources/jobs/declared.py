"""Allocations that somebody declares: a job file that may change, or rows given once.

In: a CSV file (see `jobsfile`) or rows, and what the lake tells already. Out: the rows for this
node that are to be recorded, and the edges at which everything is to be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.sources.jobs.jobsfile import read_jobs
from tokenergy_collectors.sources.nvml.boards import Board

Row = Mapping[str, Any]


class News(NamedTuple):
    """What changed: rows of `jobs` to record, and the edges of all that is new here (us UTC)."""

    rows: list[Row]
    edges_us: set[int]


class DeclaredJobs:
    """Tells new and changed allocations of one node, each once.

    Args:
        node: the node; rows of others are left out.
        boards: its boards; a device given by index is named by its UUID.
        path: the job file, if there is one.
        rows: further rows of the `jobs` table.
        known: the current allocations of the lake: what reads the same is not recorded again.

    Attributes:
        spread: jobs seen so far that hold devices of other nodes.

    Raises:
        UserError: the job file cannot be read, at start.
    """

    def __init__(
        self,
        node: str,
        boards: list[Board],
        path: Path | None,
        rows: Iterable[Row] = (),
        known: Iterable[Row] = (),
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

    def news(self, now_us: int) -> News:
        """Return what was not told before; the file is read only when it has changed.

        Args:
            now_us: the moment at which the rows are recorded.

        Raises:
            UserError: the job file cannot be read.
        """
        listed = [] if self._path is None else self._from_file(self._path)
        given, self._rows = self._rows, []
        uuid = {str(board.index): board.device_id for board in self._boards}
        rows = [_named(row, uuid) for row in given + listed if row["node"] == self._node]
        self.spread |= {row["job_id"] for row in given + listed if row["node"] != self._node}
        edges_us = {row[name] for row in rows for name in ("start_us", "end_us")} - {None}
        fresh_us, self._edges_us = edges_us - self._edges_us, self._edges_us | edges_us
        found = (self._record(row, now_us) for row in rows)
        return News([row for row in found if row is not None], fresh_us)

    def here(self) -> list[Row]:
        """Return the current allocations of this node, past ones included."""
        return [row for row in self._recorded.values() if row["node"] == self._node]

    def _record(self, row: Row, now_us: int) -> Row | None:
        """Return the row as it is to be recorded; None if the latest record reads the same."""
        key = _key(row)
        latest = self._recorded.get(key)
        if latest is not None:
            if all(latest[name] == value for name, value in row.items()):
                return None
            # A record of a clock that ran ahead must not outlive its corrections.
            now_us = max(now_us, latest["recorded_us"] + 1)
        self._recorded[key] = recorded = {**row, "recorded_us": now_us}
        return recorded

    def _from_file(self, path: Path) -> list[Row]:
        try:
            stat = path.stat()
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from None
        seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if seen == self._seen:
            return []
        rows: list[Row] = [*read_jobs(path)]
        self._seen = seen
        return rows


def _named(row: Row, uuid: Mapping[str, str]) -> Row:
    return {**row, "device_id": uuid.get(row["device_id"], row["device_id"])}


def _key(row: Row) -> tuple[Any, ...]:
    return (row["job_id"], row["device_id"], row["start_us"])
