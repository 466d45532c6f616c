"""Turns one log into files of the lake, and removes the log once they are safely there.

In: a segment, a log that is written no more. Out: sealed files. Files carry a digest of their rows
and a segment is sealed as a whole, so sealing it again, after a crash in between, finds the same
files. The log goes last: only when the files and their names are on the disk.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.paths import partition
from tokenergy_collectors.spool.recovery import Segment, hours_of, unsealed
from tokenergy_collectors.spool.wal import read_log, sync_path

if TYPE_CHECKING:
    import pyarrow as pa


def preload() -> None:
    """Import now what sealing needs: an import holds up all threads, for some 60 ms."""
    import pyarrow.compute
    import pyarrow.parquet  # noqa: F401 - for later


class Sealer:
    """Seals the segments of one node.

    Args:
        lake: where to write.
        node: whose rows they are.
        replay: True where time is run again, as on a virtual clock: rows that an earlier run
            sealed, in other portions, are then left out.
    """

    def __init__(self, lake: Lake, node: str, *, replay: bool) -> None:
        self._lake = lake
        self._node = node
        self._replay = replay
        self._own: set[Path] = set()
        self._settled: set[Path] = set()

    def seal(self, segment: Segment) -> tuple[int, int]:
        """Seal a segment and remove its log; return the rows added and those found missing.

        Raises:
            UserError: a file cannot be written.
            OSError: a folder cannot be forced to disk, or the log cannot be removed.
            UnreadableLogError: the log cannot be read (any more).
            ValueError: a row fits no file.
        """
        rows = read_log(segment.path, TABLES[segment.table].schema()).rows
        missing = segment.rows - rows.num_rows
        new = rows
        if self._replay or not segment.closed:
            new = unsealed(self._lake, self._node, segment.table, rows, self._own)
        if new.num_rows:
            written = self._lake.append(segment.table, new, self._node)
            if segment.found:
                _sweep(written)
            elif self._replay:  # time passes once in one run: its own files hold nothing of it
                self._own.update(written)
        self._settle(segment.table, rows)
        segment.path.unlink(missing_ok=True)
        return new.num_rows, missing

    def _settle(self, table: str, rows: pa.Table) -> None:
        """Force the names of the sealed files to disk, and once those of the folders above."""
        base = self._lake.root / table
        for hour_us in hours_of(table, rows):
            folder = base / partition(hour_us)
            if folder not in self._settled:
                for above in (folder.parent, base, self._lake.root):
                    sync_path(above)
                self._settled = {folder, *list(self._settled)[:1]}
            sync_path(folder)


def _sweep(written: list[Path]) -> None:
    """Remove what a process that died while writing these very files left beside them."""
    for path in written:
        for aside in path.parent.glob(f".{path.name}.*.tmp"):
            aside.unlink(missing_ok=True)
