"""The files of a working copy that no list names: raw tables, segments, load profiles, quarantine.

In: what the store lists below a folder. Out: the same names in the copy, as files or as links to
what is still in the store (`lake.absent`); and the other way, objects for files that a task wrote.

`.store/listing/FOLDER.json` has what the store listed, each with the time of the copy's own file:
a file with another time was written here, and never put.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tokenergy_collectors.lake.absent import FOLDER, is_absent, link
from tokenergy_collectors.objects.bucket import Bucket, Object

_LISTING = f"{FOLDER}/listing"


@dataclass(frozen=True, slots=True)
class Known:
    """An object, as the copy knows it.

    Attributes:
        etag, size: of the object.
        mtime_ns: of the copy's file of the same bytes, if it has one.
    """

    etag: str
    size: int
    mtime_ns: int


class Folder:
    """A folder of the lake that is listed as one: a day of a table, for example.

    Args:
        root: of the copy.
        name: of the folder, relative to it: `power/date=2026-01-15`.
    """

    def __init__(self, root: Path, name: str) -> None:
        self._root, self.name = root, name
        self._path = root / _LISTING / f"{name}.json"
        self.known = self._read()

    def take(self, objects: Sequence[Object]) -> None:
        """Make the copy's folder have the names that the store lists, and no others."""
        listed = {one.name: one for one in objects}
        here = {path.relative_to(self._root).as_posix(): path for path in _files(self._base)}
        known: dict[str, Known] = {}
        for name, one in listed.items():
            before = self.known.get(name)
            if before is not None and _has(here.pop(name, None), before, one):
                known[name] = before
                continue
            here.pop(name, None)
            link(self._root, self._root / name, one.size, one.modified_ns)
            known[name] = Known(one.etag, one.size, one.modified_ns)
        for path in here.values():  # what a task wrote that did not come to its end
            path.unlink(missing_ok=True)
        self.known = known
        self._write()

    def changes(self, since_ns: int) -> tuple[list[Path], list[str]]:
        """Return the files that a task wrote, and the names of objects whose files it removed.

        Args:
            since_ns: when the task began: an hour's folder that has not changed since is left out.
        """
        written: list[Path] = []
        there: set[str] = set()
        looked: set[Path] = set()
        for folder in _folders(self._base):
            if folder.stat().st_mtime_ns < since_ns:
                continue
            looked.add(folder)
            for path in _own(folder):
                name = path.relative_to(self._root).as_posix()
                there.add(name)
                known = self.known.get(name)
                if not is_absent(path) and (known is None or not _is_same(path, known)):
                    written.append(path)
        parents = {(self._root / name).parent for name in self.known}
        looked |= {folder for folder in parents if not folder.is_dir()}
        removed = [
            name
            for name in self.known
            if name not in there and (self._root / name).parent in looked
        ]
        return sorted(written), removed

    def put(self, bucket: Bucket, path: Path) -> None:
        """Put a file of the folder into the store."""
        stat = path.stat()
        name = path.relative_to(self._root).as_posix()
        self.known[name] = Known(bucket.put(name, path), stat.st_size, stat.st_mtime_ns)

    def drop(self, names: Sequence[str]) -> None:
        """Forget objects that were removed from the store."""
        for name in names:
            self.known.pop(name, None)

    def save(self) -> None:
        """Keep what was put and dropped."""
        self._write()

    @property
    def _base(self) -> Path:
        return self._root / self.name

    def _read(self) -> dict[str, Known]:
        try:
            content = json.loads(self._path.read_text("utf-8"))
            return {name: Known(*values) for name, values in content.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        aside = self._path.with_suffix(".tmp")
        content = {n: [one.etag, one.size, one.mtime_ns] for n, one in sorted(self.known.items())}
        aside.write_text(json.dumps(content), "utf-8")
        aside.replace(self._path)


def listed_folders(root: Path, table: str) -> set[str]:
    """Return the folders of a table that have been listed before: `power/date=2026-01-15`."""
    found = set[str]()
    with suppress(FileNotFoundError), os.scandir(root / _LISTING / table) as entries:
        found = {f"{table}/{entry.name.removesuffix('.json')}" for entry in entries}
    return {name for name in found if not name.endswith(".tmp")}


def touched(root: Path, table: str, since_ns: int) -> Iterator[str]:
    """Yield the folders of days of a table in which something has come or gone since a time."""
    for day in (root / table).glob("date=*"):
        if any(folder.stat().st_mtime_ns >= since_ns for folder in _folders(day)):
            yield f"{table}/{day.name}"


def _has(path: Path | None, known: Known, listed: Object) -> bool:
    """Return whether a copy's file, or the link in its place, is of the object that is listed."""
    return (
        path is not None
        and known.etag == listed.etag
        and (is_absent(path) or _is_same(path, known))
    )


def _is_same(path: Path, known: Known) -> bool:
    stat = path.stat()
    return (stat.st_size, stat.st_mtime_ns) == (known.size, known.mtime_ns)


def _folders(base: Path) -> Iterator[Path]:
    """Yield a folder and all below it; a hidden one is of a writer that is at work or died."""
    for folder, inside, _ in os.walk(base):
        inside[:] = [name for name in inside if not name.startswith(".")]
        yield Path(folder)


def _files(base: Path) -> Iterator[Path]:
    for folder in _folders(base):
        yield from _own(folder)


def _own(folder: Path) -> Iterator[Path]:
    """Yield the files directly in a folder; a hidden one is of a writer that died."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and (entry.is_symlink() or entry.is_file()):
                yield Path(entry.path)
