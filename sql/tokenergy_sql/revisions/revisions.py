"""Numbered revisions of the derived tables: what each run changed, and what was.

In: files that are about to be replaced. Out: `<lake>/revisions/NNNNNN/`, one folder a run that
changed something: `manifest.json` says which hours were derived and from what cause, which files
were added, and which were replaced or removed; those lie beside it, as they were. So every earlier
state can be put together again: begin with the files of today and undo one run after the other.

`<lake>/revisions/hours.json` holds what each hour was last derived from.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "revisions"
REVISED_TABLES = (
    "ledger",
    "ledger_hour",
    "token_usage",
    "job_hour_index",
    "job_index",
    "job_efficiency",
)
"""Tables whose earlier states are kept; segments can be derived again from sealed readings."""

_HOURS = "hours.json"
_MANIFEST = "manifest.json"
_BEFORE = "before"
_JOURNAL = "added.txt"


@dataclass(slots=True)
class Manifest:
    """What one run of the index changed.

    Attributes:
        number: of the revision, from 1.
        made_at: when, ISO 8601 UTC; in no derived row.
        index_version: of models and contract.
        hours: each derived hour (microseconds UTC, as text) and the kinds of input that had
            changed; `new` for one that was derived for the first time.
        added: files that were not there before, relative to the lake.
        replaced: files that were there before and lie in the revision's folder as they were.
        dropped: whether those have been removed to save space.
    """

    number: int
    made_at: str
    index_version: str
    hours: dict[str, list[str]] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    dropped: bool = False

    def causes(self, hour_us: int) -> list[str]:
        """Return what had changed of the inputs of an hour; nothing if it was not derived."""
        return self.hours.get(str(hour_us), [])


class Recorder:
    """Replaces derived files and keeps what was there. Made by `recording`.

    Args:
        lake: the lake.
        manifest: what is noted of the run.
        folder: where replaced files go.
    """

    def __init__(self, lake: Lake, manifest: Manifest, folder: Path) -> None:
        self._lake, self._folder = lake, folder
        self.manifest = manifest

    def write(self, table: str, rows: pa.Table, hour_us: int) -> None:
        """Write a derived file of an hour; remove it where nothing is left to say.

        A file that already holds the same bytes is left untouched, and not noted.
        """
        with self._replacing(self._lake.derived(table, hour_us, table), bool(rows.num_rows)):
            if rows.num_rows:
                self._lake.replace(table, rows, hour_us, table)
            else:
                self._lake.remove(table, hour_us, table)

    def stream(self, table: str, pieces: Iterator[pa.Table], hour_us: int) -> None:
        """Do the same with rows in the table's order that come in pieces.

        A piece is written while the next one is made.
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
        """Note what becomes of a file inside the block, and keep what it was.

        Args:
            path: the file.
            filled: whether it will be there afterwards.
        """
        kept = self._keep(path)
        before = _identity(path)
        name = path.relative_to(self._lake.root).as_posix()
        if before is None and filled and name not in self.manifest.added:
            self._announce(name)
        yield
        if before is None:
            pass
        elif _identity(path) == before:
            if kept is not None:
                kept.unlink()
        elif name not in self.manifest.replaced and name not in self.manifest.added:
            self.manifest.replaced.append(name)

    def _announce(self, name: str) -> None:
        """Note a file that is about to be added, so that a run that is cut short has noted it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / _JOURNAL).open("a", encoding="utf-8") as journal:
            journal.write(f"{name}\n")
        self.manifest.added.append(name)

    def _keep(self, path: Path) -> Path | None:
        """Link a file into the revision's folder; None if it is not there, or its past is."""
        name = path.relative_to(self._lake.root)
        kept = self._folder / _BEFORE / name
        if not path.exists() or kept.exists() or name.as_posix() in self.manifest.added:
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

    A run that was cut short is taken up by the next one: what it replaced belongs to that one's
    revision.

    Raises:
        UserError: the folder cannot be written.
    """
    home = lake.root / FOLDER
    try:
        home.mkdir(parents=True, exist_ok=True)
        with (home / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            folder = home / ".unfinished"
            number = max(_numbers(lake), default=0) + 1
            added, replaced = _left_over(folder)
            manifest = Manifest(number, "", index_version, added=added, replaced=replaced)
            yield Recorder(lake, manifest, folder)
            _finish(home, folder, manifest)
    except OSError as error:
        raise UserError(f"{home}: cannot be written: {error.strerror or error}") from None


def _left_over(folder: Path) -> tuple[list[str], list[str]]:
    """Return what a run that was cut short had added and replaced."""
    journal, base = folder / _JOURNAL, folder / _BEFORE
    added = journal.read_text("utf-8").splitlines() if journal.exists() else []
    replaced = [path.relative_to(base).as_posix() for path in base.rglob("*.parquet")]
    return sorted(set(added)), sorted(replaced)


def _note(folder: Path, manifest: Manifest) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"{_MANIFEST}.tmp"
    aside.write_text(json.dumps(asdict(manifest), indent=1) + "\n", "utf-8")
    aside.replace(folder / _MANIFEST)


def _finish(home: Path, folder: Path, manifest: Manifest) -> None:
    """Give a run that changed something its number; forget one that did not."""
    if manifest.added or manifest.replaced:
        manifest.made_at = datetime.now(UTC).isoformat(timespec="seconds")
        manifest.added.sort()
        manifest.replaced.sort()
        (folder / _JOURNAL).unlink(missing_ok=True)
        _note(folder, manifest)
        folder.rename(home / f"{manifest.number:06d}")
    elif folder.is_dir():
        shutil.rmtree(folder)


def manifests(lake: Lake) -> list[Manifest]:
    """Return what is noted of all revisions of a lake, in their order.

    Raises:
        UserError: a note is damaged.
    """
    home = lake.root / FOLDER
    return [_manifest(home / f"{number:06d}" / _MANIFEST) for number in _numbers(lake)]


def _manifest(path: Path) -> Manifest:
    try:
        return Manifest(**json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: is damaged: {error}") from None


def files_at(lake: Lake, revision: int, table: str) -> list[Path]:
    """Return the files of a table as they were after a revision; 0 is before the first.

    Args:
        lake: the lake.
        revision: its number.
        table: one of `REVISED_TABLES`.

    Raises:
        UserError: there is no such revision, or what it needs has been dropped.
    """
    noted = manifests(lake)
    last = noted[-1].number if noted else 0
    if not 0 <= revision <= last:
        raise UserError(f"revision {revision}: expected 0 to {last}; see `tokenergy revisions`")
    found = {path.relative_to(lake.root).as_posix(): path for path in lake.files(table)}
    for manifest in reversed(noted):
        if manifest.number <= revision:
            break
        if manifest.dropped:
            raise UserError(
                f"revision {revision}: what revision {manifest.number} replaced has been dropped"
            )
        for name in manifest.added:
            found.pop(name, None)
        before = lake.root / FOLDER / f"{manifest.number:06d}" / _BEFORE
        for name in manifest.replaced:
            if name.startswith(f"{table}/"):
                found[name] = before / name
    return [found[name] for name in sorted(found)]


def drop_before(lake: Lake, keep: int) -> int:
    """Remove what all but the latest revisions replaced; return the bytes set free.

    Args:
        lake: the lake.
        keep: how many revisions can still be gone back behind.
    """
    freed = 0
    for manifest in manifests(lake)[: -keep or None]:
        folder = lake.root / FOLDER / f"{manifest.number:06d}"
        if manifest.dropped:
            continue
        freed += sum(path.stat().st_size for path in folder.rglob("*.parquet"))
        manifest.dropped = True
        _note(folder, manifest)
        shutil.rmtree(folder / _BEFORE, ignore_errors=True)
    return freed


def read_hours(lake: Lake) -> tuple[dict[int, dict[str, str]], dict[str, list[Any]]]:
    """Return what each hour was last derived from, and the digests of files seen then."""
    path = lake.root / FOLDER / _HOURS
    try:
        noted = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}, {}
    return {int(hour): inputs for hour, inputs in noted["hours"].items()}, noted["files"]


def note_hours(
    lake: Lake, hours: Mapping[int, Mapping[str, str]], files: Mapping[str, list[Any]]
) -> None:
    """Note what each hour was last derived from, and the digests of files."""
    path = lake.root / FOLDER / _HOURS
    aside = path.with_suffix(".tmp")
    by_hour = {str(hour): dict(hours[hour]) for hour in sorted(hours)}
    text = json.dumps({"hours": by_hour, "files": dict(sorted(files.items()))}, indent=0)
    aside.write_text(text + "\n", "utf-8")
    aside.replace(path)


def _numbers(lake: Lake) -> list[int]:
    return sorted(
        int(path.parent.name)
        for path in (lake.root / FOLDER).glob(f"*/{_MANIFEST}")
        if path.parent.name.isascii() and path.parent.name.isdigit()
    )


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from one that took its place; None if it is not there."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns
