"""Turns one log into files of the lake, and then removes the log.

In: a complete log. Out: sealed files. Their names hold a digest of their rows and a log is sealed
as a whole, so sealing it again after a crash finds the same files.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.paths import partition
from tokenergy_collectors.spool.recovery import LogFile, hours_of, rows_not_sealed
from tokenergy_collectors.spool.wal import read_log, sync_path

if TYPE_CHECKING:
    import pyarrow as pa


def preload() -> None:
    """Import what sealing needs before sampling starts: an import blocks all threads for 60 ms."""
    import pyarrow.compute
    import pyarrow.parquet  # noqa: F401 - for later


class Sealer:
    """Seals the logs of one node.

    Args:
        lake: where to write.
        node: whose rows they are.
        replay: True if the same time may be run again, as on a virtual clock. Rows that an earlier
            run sealed are then skipped: its files may hold them in other portions.
    """

    def __init__(self, lake: Lake, node: str, *, replay: bool) -> None:
        self._lake = lake
        self._node = node
        self._replay = replay
        self._written: set[Path] = set()
        self._synced_folders: set[Path] = set()

    def seal(self, log: LogFile) -> tuple[int, int]:
        """Seal a log and remove it.

        Returns:
            The number of rows added to the lake, and of rows that the log should hold but does not.

        Raises:
            UserError: a file cannot be written.
            OSError: a folder cannot be synced to disk, or the log cannot be removed.
            UnreadableLogError: the log cannot be read (any more).
            ValueError: a row fits no file.
        """
        rows = read_log(log.path, TABLES[log.table].schema()).rows
        missing = log.rows - rows.num_rows
        new = rows
        if self._replay or not log.closed:
            new = rows_not_sealed(self._lake, self._node, log.table, rows, self._written)
        if new.num_rows:
            written = self._lake.append(log.table, new, self._node)
            if log.recovered:
                _remove_temporary(written)
            elif self._replay:  # one run repeats no stamp: its own files hold none
                self._written.update(written)
        self._sync_names(log.table, rows)
        # Only now: the files and their names are on the disk.
        log.path.unlink(missing_ok=True)
        return new.num_rows, missing

    def _sync_names(self, table: str, rows: pa.Table) -> None:
        """Sync the names of the sealed files to disk, and once those of the folders above them."""
        base = self._lake.root / table
        for hour_us in hours_of(table, rows):
            folder = base / partition(hour_us)
            if folder not in self._synced_folders:
                for above in (folder.parent, base, self._lake.root):
                    sync_path(above)
                self._synced_folders = {folder, *list(self._synced_folders)[:1]}
            sync_path(folder)


def _remove_temporary(written: list[Path]) -> None:
    """Remove the temporary files of a process that died while writing these files."""
    for path in written:
        for temporary in path.parent.glob(f".{path.name}.*.tmp"):
            temporary.unlink(missing_ok=True)
