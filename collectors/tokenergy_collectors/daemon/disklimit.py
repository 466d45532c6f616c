"""Keeps a node's files on the local disk within a size and an age.

In: sealed files and logs. Out: fewer sealed files. Files that a store is known to have are removed
first, oldest first: nothing is lost. If that is not enough, gauges are dropped before readings, in
the order in which a full log drops them; each dropped file is an event. Job lists, devices, clocks
and events are never dropped. Derived tables and other nodes' files are not touched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import JOBS, TABLES
from tokenergy_collectors.lake.paths import escape_node
from tokenergy_collectors.lake.sealed import SealedFile, remove, sealed_files
from tokenergy_collectors.settings.config import Disk
from tokenergy_collectors.spool.folder import FOLDER
from tokenergy_collectors.spool.spool import DROP_ORDER
from tokenergy_collectors.spool.wal import SUFFIX

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class DiskCounters:
    """What the limits removed since the process began, and what is left."""

    dropped_files: int = 0
    """Lost: no store is known to have them."""
    dropped_rows: int = 0
    dropped_bytes: int = 0
    freed_files: int = 0
    """Removed locally because a store has them."""
    freed_bytes: int = 0
    held_bytes: int = 0
    """Sealed files and logs of the node at the last check."""


class DiskLimit:
    """The limits of one node's files in one lake.

    Args:
        disk: the limits.
        lake: where the files are.
        node: whose files.
        stored: the files that a store is known to have.
        dropped: records an event, and returns once it is on the disk if that is possible.
        log: takes log events.
    """

    def __init__(
        self,
        disk: Disk,
        lake: Lake,
        node: str,
        stored: Container[SealedFile],
        dropped: Callable[[str], None],
        log: Log,
    ) -> None:
        self._disk = disk
        self._root = lake.root
        self._logs = lake.root / FOLDER / escape_node(node)
        self._node = node
        self._stored = stored
        self._dropped = dropped
        self._log = log
        # Ages must not jump with the wall clock: files would be removed too early.
        self._offset_ns = time.time_ns() - time.monotonic_ns()
        self._removed: set[SealedFile] = set()
        self.counters = DiskCounters()

    def run(self) -> None:
        """Apply the limits once.

        Raises:
            OSError: a file cannot be removed.
        """
        # Sorted oldest first, so the oldest go first below.
        files = sealed_files(self._root, self._node)
        freed = self.counters
        self._removed = set()
        try:
            if self._disk.keep_days is not None:
                self._by_age(files, self._disk.keep_days)
            files = [file for file in files if file not in self._removed]
            if self._disk.limit_mib is not None:
                self._by_size(files, self._disk.limit_mib)
        finally:
            held = sum(file.size for file in files if file not in self._removed)
            self.counters = replace(self.counters, held_bytes=held + self._log_bytes())
            count = self.counters.freed_files - freed.freed_files
            if count:
                size = self.counters.freed_bytes - freed.freed_bytes
                self._log.info("freed", files=count, bytes=size)

    def _by_age(self, files: list[SealedFile], keep_days: float) -> None:
        until_ns = self._now_ns() - round(keep_days * _DAY_S * 1e9)
        old = [file for file in files if file.mtime_ns < until_ns]
        for file in old:
            if self._is_free(file):
                self._free(file)
            elif file.table in DROP_ORDER:
                self._drop(file, f"older than disk.keep_days = {keep_days:g}")

    def _by_size(self, files: list[SealedFile], limit_mib: int) -> None:
        # Logs take space too, but only sealing removes them.
        over = sum(file.size for file in files) + self._log_bytes() - (limit_mib << 20)
        for file in files:
            if over > 0 and self._is_free(file):
                self._free(file)
                over -= file.size
        for table in DROP_ORDER:
            for file in files:
                if over > 0 and file.table == table and file not in self._removed:
                    self._drop(file, f"files exceed disk.limit_mib = {limit_mib}")
                    over -= file.size

    def _is_free(self, file: SealedFile) -> bool:
        # Jobs are read back at a restart, so that unchanged ones are not recorded again.
        return file.table != JOBS.name and file in self._stored

    def _free(self, file: SealedFile) -> None:
        remove(file, self._now_ns() // 1000)
        self._removed.add(file)
        was = self.counters
        self.counters = replace(
            was, freed_files=was.freed_files + 1, freed_bytes=was.freed_bytes + file.size
        )

    def _drop(self, file: SealedFile, why: str) -> None:
        rows, span = _describe(file)
        # The event first: after a crash in between, a file that is reported but still there is
        # better than one that is gone without a trace.
        self._dropped(f"{rows} rows of {file.table}, {file.size} bytes, {span}: {why}")
        remove(file, self._now_ns() // 1000)
        self._removed.add(file)
        was = self.counters
        self.counters = replace(
            was,
            dropped_files=was.dropped_files + 1,
            dropped_rows=was.dropped_rows + rows,
            dropped_bytes=was.dropped_bytes + file.size,
        )

    def _log_bytes(self) -> int:
        total = 0
        for path in self._logs.glob(f"*{SUFFIX}"):
            with suppress(FileNotFoundError):
                total += path.stat().st_size
        return total

    def _now_ns(self) -> int:
        return time.monotonic_ns() + self._offset_ns


def _describe(file: SealedFile) -> tuple[int, str]:
    """Return how many rows a file has (0 if unreadable), and the time they span, in words."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    start = datetime.fromtimestamp(file.first_us / 1_000_000, UTC)
    text = f"from {start:%Y-%m-%dT%H:%M:%SZ}"
    try:
        metadata = pq.read_metadata(file.path)
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        column = metadata.schema.names.index(TABLES[file.table].time)
        found = [group.column(column).statistics for group in groups]
        last_us = max((one.max for one in found if one is not None and one.has_min_max), default=0)
    except (OSError, ValueError, pa.ArrowException):
        return 0, f"{text}, unreadable"
    seconds = max(0, last_us - file.first_us) / 1_000_000
    return metadata.num_rows, f"{seconds:.3f} s {text}"
