"""Records what a run of the index changes, as one revision.

In: rows that replace derived files. Out: the files, and a folder of the revision with its manifest
and the files before (see `revisions.py`).
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.quarantine import set_aside
from tokenergy_collectors.lake.reading import BrokenFileError, columns_of
from tokenergy_sql.revisions.revisions import BEFORE, FOLDER, Manifest, numbers, write_manifest

if TYPE_CHECKING:
    import pyarrow as pa

_JOURNAL = "added.txt"


class Recorder:
    """Replaces derived files and keeps the files before. Made by `recording`.

    Args:
        lake: the lake.
        manifest: of the run; extended.
        folder: where replaced files go.

    Attributes:
        manifest: as given.
        restoring: whether what is written is what was there: then a damaged file that was set aside
            and comes back changes nothing, and no revision names it.
    """

    def __init__(self, lake: Lake, manifest: Manifest, folder: Path) -> None:
        self._lake, self._folder = lake, folder
        self.manifest = manifest
        self.restoring = False

    def write(self, table: str, rows: pa.Table, hour_us: int) -> None:
        """Write a derived file of an hour; remove it if there are no rows.

        A file that already has the same bytes is left untouched and not recorded.
        """
        with self._replacing(self._lake.derived(table, hour_us, table), bool(rows.num_rows)):
            if rows.num_rows:
                self._lake.replace(table, rows, hour_us, table)
            else:
                self._lake.remove(table, hour_us, table)

    def stream(self, table: str, pieces: Iterator[pa.Table], hour_us: int) -> None:
        """Write a file as `write` does, from pieces in the table's order.

        A piece is written while the next one is computed.
        """
        first = next(pieces, None)
        with self._replacing(self._lake.derived(table, hour_us, table), first is not None):
            if first is None:
                self._lake.remove(table, hour_us, table)
                return
            with (
                self._lake.writer(table, hour_us, table) as file,
                ThreadPoolExecutor(1) as pool,
            ):
                writing = pool.submit(file.write, first)
                for piece in pieces:
                    writing.result()
                    writing = pool.submit(file.write, piece)
                writing.result()

    @contextmanager
    def _replacing(self, path: Path, filled: bool) -> Iterator[None]:
        """Keep a file that the block replaces, and record whether it was added or replaced.

        Args:
            path: the file.
            filled: whether the file exists afterwards.
        """
        kept = self._keep(path)
        before = _identity(path)
        name = path.relative_to(self._lake.root).as_posix()
        if before is None and filled and not self._comes_back(path):
            self._announce(name)
        yield
        if before is None:
            pass
        elif _identity(path) == before:
            if kept is not None:
                kept.unlink()
        elif name not in self.manifest.replaced and name not in self.manifest.added:
            self.manifest.replaced.append(name)

    def _comes_back(self, path: Path) -> bool:
        return self.restoring and path.name in set_aside(self._lake.root, path.parent)

    def _announce(self, name: str) -> None:
        """Record a file before it is added, so that an interrupted run has recorded it."""
        if name in self.manifest.added:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / _JOURNAL).open("a", encoding="utf-8") as journal:
            journal.write(f"{name}\n")
        self.manifest.added.append(name)

    def _keep(self, path: Path) -> Path | None:
        """Link a file into the revision's folder; None if there is none, or its past is kept.

        A damaged file is set aside instead: nobody could compare with it.
        """
        name = path.relative_to(self._lake.root)
        kept = self._folder / BEFORE / name
        if not path.exists() or kept.exists() or name.as_posix() in self.manifest.added:
            return None
        try:
            columns_of(path, TABLES[name.parts[0]])
        except BrokenFileError as error:
            self._lake.set_aside(path, str(error))
            return None
        kept.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, kept)
        except OSError:  # a file system without hard links
            shutil.copy2(path, kept)
        return kept


@contextmanager
def recording(lake: Lake, index_version: str) -> Iterator[Recorder]:
    """Record what a run of the index changes; one run at a time, others wait.

    The next run completes an interrupted one: files that it replaced belong to the next revision.

    Raises:
        UserError: the folder cannot be written.
    """
    home = lake.root / FOLDER
    try:
        home.mkdir(parents=True, exist_ok=True)
        with (home / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            folder = home / ".unfinished"
            number = max(numbers(lake), default=0) + 1
            added, replaced = _left_over(folder)
            manifest = Manifest(number, "", index_version, added=added, replaced=replaced)
            yield Recorder(lake, manifest, folder)
            _finish(home, folder, manifest)
    except OSError as error:
        raise UserError(f"{home}: cannot be written: {error.strerror or error}") from None


def _left_over(folder: Path) -> tuple[list[str], list[str]]:
    """Return the files that an interrupted run had added and replaced."""
    journal, base = folder / _JOURNAL, folder / BEFORE
    added = journal.read_text("utf-8").splitlines() if journal.exists() else []
    replaced = [path.relative_to(base).as_posix() for path in base.rglob("*.parquet")]
    return sorted(set(added)), sorted(replaced)


def _finish(home: Path, folder: Path, manifest: Manifest) -> None:
    """Number a run that changed something; remove the folder of one that did not."""
    if manifest.added or manifest.replaced:
        manifest.made_at = datetime.now(UTC).isoformat(timespec="seconds")
        manifest.added.sort()
        manifest.replaced.sort()
        (folder / _JOURNAL).unlink(missing_ok=True)
        write_manifest(folder, manifest)
        folder.rename(home / f"{manifest.number:06d}")
    elif folder.is_dir():
        shutil.rmtree(folder)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what distinguishes a file from its replacement; None if it does not exist."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns
