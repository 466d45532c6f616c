"""A working copy: brought up to date from the store before a task, and put back after it.

In: a lake in an object store. Out: a folder that is a lake for all that reads or derives, with all
names and the bytes of what is read; and objects for what was written.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.paths import partition
from tokenergy_collectors.lake.published import BOOKS, SHARDS
from tokenergy_collectors.lake.quarantine import QUARANTINE
from tokenergy_collectors.objects.bucket import Bucket
from tokenergy_sql.workcopy import shards
from tokenergy_sql.workcopy.head import LEGACY_BOOKS, LIST, Head, at_once, write
from tokenergy_sql.workcopy.room import is_due, make_room
from tokenergy_sql.workcopy.sweeping import sweep
from tokenergy_sql.workcopy.tree import Folder, listed_folders, touched

REPORT = "report"
"""Folder of pages, which are put too."""

LOOK_BACK_DAYS = 8
"""Days before the hours of a task that are listed again. Files that come later than that are found
by a task on all hours."""

_OWN = (".toml", ".json")
"""Endings of the files of the lake's folder itself that something reads: site file, version ..."""


class WorkingCopy:
    """A working copy that no other process uses.

    Args:
        bucket: the lake's objects.
        root: of the copy.
    """

    def __init__(self, bucket: Bucket, root: Path) -> None:
        self._bucket, self._root = bucket, root
        self._head = Head(bucket, root)
        self._began_ns = 0
        self._own: dict[str, bytes] = {}

    def update(self, hours: Iterable[int] | None = None) -> None:
        """Have the names that the lake has now.

        Args:
            hours: starts of the hours (us UTC) of the task: other days that were listed before are
                not listed again; all days if None.

        Raises:
            UserError: there is no lake, or the store does not answer or refuses.
        """
        folders, names = self._bucket.level("")
        if not folders and not names:
            raise UserError(f"lake {self._bucket.url}: no such bucket or prefix, or nothing in it")
        if {*folders}.intersection(BOOKS) and not self._bucket.read(LIST):
            raise UserError(LEGACY_BOOKS.format(self._bucket.url))
        self._take_root({name for name in names if name.endswith(_OWN)})
        self._head.take()
        at_once(self._take_folder, [*self._due(hours, {*folders})])
        self._own = self._read_own()
        self._began.touch()
        self._began_ns = self._began.stat().st_mtime_ns

    def put(self) -> None:
        """Put what a task wrote into the store, the books at the end and all at once.

        Raises:
            ChangedError: somebody else has published books since `update`. The rest is put.
            UserError: the store does not answer or refuses.
        """
        quarantine = Folder(self._root, QUARANTINE)
        written, _ = quarantine.changes(self._began_ns)
        at_once(lambda path: quarantine.put(self._bucket, path), written)
        quarantine.save()
        # First: one of them says which hours have no readings any more.
        for name, data in self._read_own().items():
            if self._own.get(name) != data:
                self._bucket.put(name, data)
        at_once(self._put_folder, [*self._folders()])
        self._head.put()
        self._began.unlink()
        if is_due(self._root):
            make_room(self._root, _tables())
            sweep(self._bucket, self._root)

    @property
    def _began(self) -> Path:
        """A file that is there, with the time it began, while a task works or if it has died."""
        return self._root / ".store" / "began"

    def _take_root(self, names: set[str]) -> None:
        """Have the files of the lake's folder itself: site file, calibrations, version."""
        for path in self._root.iterdir():
            if path.is_file() and path.name not in names:
                path.unlink()
        for name in sorted(names):
            if found := self._bucket.read(name):
                write(self._root / name, found[0])

    def _due(self, hours: Iterable[int] | None, there: set[str]) -> Iterator[str]:
        """Yield the folders to list: of each table the days of a task, and those never listed."""
        recent = None if hours is None else _days(hours)
        died_ns = self._began.stat().st_mtime_ns if self._began.exists() else None
        for table in _tables():
            known = listed_folders(self._root, table)
            days = self._bucket.level(f"{table}/")[0] if table in there else []
            found = {f"{table}/{day}" for day in days}
            # What a task that died wrote here is in no store.
            left = {*touched(self._root, table, died_ns)} if died_ns else set[str]()
            wanted = {
                name
                for name in found | known
                if recent is None or name not in known or name.partition("/")[2] in recent
            }
            yield from sorted(wanted | left)
        yield QUARANTINE
        yield SHARDS

    def _take_folder(self, name: str) -> None:
        objects = self._bucket.below(f"{name}/")
        if name == SHARDS:
            self._bucket.remove(shards.left(objects, time.time_ns()))
            objects = shards.whole(objects)
        Folder(self._root, name).take(objects)
        if name == SHARDS:
            shards.remove_empty(self._root)

    def _folders(self) -> Iterator[str]:
        """Yield the folders in which a task may have written."""
        for table in _tables():
            here = (f"{table}/{path.name}" for path in (self._root / table).glob("date=*"))
            yield from sorted({*here, *listed_folders(self._root, table)})
        yield SHARDS
        yield REPORT

    def _put_folder(self, name: str) -> None:
        folder = Folder(self._root, name)
        written, removed = folder.changes(self._began_ns)
        for path in shards.last(written) if name == SHARDS else written:
            folder.put(self._bucket, path)
        self._bucket.remove(removed)
        folder.drop(removed)
        if written or removed:
            folder.save()

    def _read_own(self) -> dict[str, bytes]:
        """Return the files of the lake's folder itself."""
        files = (p for p in self._root.iterdir() if p.is_file() and p.name[0] != ".")
        return {path.name: path.read_bytes() for path in files if path.name.endswith(_OWN)}


def _tables() -> list[str]:
    return [name for name in TABLES if name not in BOOKS]


def _days(hours: Iterable[int]) -> set[str]:
    """Return the names of the folders of days that a task on some hours looks at."""
    found = set[str]()
    for hour_us in hours:
        day = date.fromisoformat(partition(hour_us).partition("/")[0].removeprefix("date="))
        near = itertools.chain([1], range(0, -LOOK_BACK_DAYS - 1, -1))
        found |= {f"date={day + timedelta(days=n)}" for n in near}
    return found
