"""Allocations that somebody declares: a job file that may change, or rows given once.

In: a CSV file (see `jobsfile`) or rows. Out: the rows for this node that have not been told yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tokenergy_collectors.boards import Board
from tokenergy_collectors.errors import UserError
from tokenergy_collectors.jobsfile import read_jobs

Row = Mapping[str, Any]


class DeclaredJobs:
    """Tells new and changed allocations of one node, each once.

    Args:
        node: the node; rows of others are left out.
        boards: its boards; a device given by index is named by its UUID.
        path: the job file, if there is one.
        rows: further rows of the `jobs` table.

    Raises:
        UserError: the job file cannot be read, at start.
    """

    def __init__(
        self, node: str, boards: list[Board], path: Path | None, rows: Iterable[Row] = ()
    ) -> None:
        self._node = node
        self._uuid = {str(board.index): board.device_id for board in boards}
        self._path = path
        self._rows = list(rows)
        self._told: list[Row] = []
        self._seen: tuple[int, int] | None = None
        if path is not None:
            read_jobs(path)

    def news(self) -> list[Row]:
        """Return the rows that were not told before; the file is read only when it has changed.

        Raises:
            UserError: the job file cannot be read.
        """
        rows, self._rows = self._rows, []
        if self._path is not None:
            rows = rows + self._from_file(self._path)
        fresh = [row for row in map(self._named, rows) if row["node"] == self._node]
        fresh = [row for row in fresh if row not in self._told]
        self._told += fresh
        return fresh

    def _from_file(self, path: Path) -> list[Row]:
        try:
            stat = path.stat()
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from None
        seen = (stat.st_mtime_ns, stat.st_size)
        if seen == self._seen:
            return []
        rows: list[Row] = [*read_jobs(path)]
        self._seen = seen
        return rows

    def _named(self, row: Row) -> Row:
        return {**row, "device_id": self._uuid.get(row["device_id"], row["device_id"])}
