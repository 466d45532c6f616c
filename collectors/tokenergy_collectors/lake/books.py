"""The books of a lake: the published files, and how a writer replaces them all at once.

In: a lake's folder. Out: the files of each table and hour, as of one moment for as long as a reader
wants; new files, that nobody sees until they are published together.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Self

from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.modes import make_folders
from tokenergy_collectors.lake.paths import partition
from tokenergy_collectors.lake.published import (
    BOOKS,
    FOLDER,
    LEGACY,
    Identity,
    Published,
    by_hour,
    changed,
    changes_between,
    identity_of,
    legacy_hours,
    list_path,
    path_of,
    place_of,
    read_list,
    tag_of,
    write_list,
)
from tokenergy_collectors.lake.reading import BrokenFileError, rows_of
from tokenergy_collectors.lake.writing import ParquetWriter

DEPTH = 4
"""Levels of folders between the lake and a file: books/TABLE/date=.../hour=..."""


class Books:
    """The published files of a lake.

    Args:
        root: folder of the lake.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: tuple[Identity, Published] | None = None
        self._held: Published | None = None
        self._holders = 0
        self._rows: dict[tuple[str, str], int] = {}

    def current(self) -> Published:
        """Return what is published: of the moment that is held, if one is (see `held`).

        Raises:
            UserError: the list cannot be read.
        """
        return self.latest() if self._held is None else self._held

    def latest(self) -> Published:
        """Return what is published now.

        Raises:
            UserError: the list cannot be read.
        """
        try:
            identity = identity_of(list_path(self._root))
        except FileNotFoundError:
            return Published(0, {table: legacy_hours(self._root, table) for table in BOOKS})
        if self._read is None or self._read[0] != identity:
            found = read_list(self._root)
            if found is None:  # removed meanwhile
                return self.latest()
            self._read = identity, found
        return self._read[1]

    @contextmanager
    def held(self) -> Iterator[Published]:
        """See the books as of one moment, whatever is published meanwhile."""
        if self._held is None:
            self._held = self.current()
        self._holders += 1
        try:
            yield self._held
        finally:
            self._holders -= 1
            if not self._holders:
                self._held = None

    @contextmanager
    def drafted(self, tags: Mapping[str, Mapping[int, str]]) -> Iterator[None]:
        """See tags that are not published, through this object alone: a writer's own.

        Args:
            tags: as in `Published`; changes to it are seen at once.
        """
        before = self._held, self._holders
        self._held, self._holders = Published(self.current().revision, tags), 1
        try:
            yield
        finally:
            self._held, self._holders = before

    def publish(self, revision: int, tags: Mapping[str, Mapping[int, str]]) -> None:
        """Replace what readers see, at once.

        Raises:
            UserError: the list cannot be written.
        """
        before = self.latest()
        changes = {
            table: changes_between(before.tags.get(table, {}), of_table)
            for table, of_table in tags.items()
        }
        rows = {
            table: changed(before.rows_of(table), self._rows_of(table, changes[table]))
            for table in tags
        }
        # A copy: whoever gave the tags may go on to change them.
        copied = {table: by_hour(of_table).copied() for table, of_table in tags.items()}
        published = Published(revision, copied, rows)
        # Nobody but who holds the lock writes the list: to read it again takes longer.
        self._read = write_list(self._root, published), published

    def _rows_of(self, table: str, changes: Mapping[int, str | None]) -> dict[int, int | None]:
        """Return how many rows files of a table have that have changed; None: it is not known.

        Only a file that is not of this object is opened: a run that was killed wrote it.
        """
        found: dict[int, int | None] = dict.fromkeys(changes)
        for hour_us, tag in changes.items():
            if tag is not None:
                rows = self._rows.get((table, tag))
                with suppress(BrokenFileError, FileNotFoundError):
                    found[hour_us] = (
                        rows_of(path_of(self._root, table, hour_us, tag)) if rows is None else rows
                    )
        return found

    def hours(self, table: str) -> list[int]:
        """Return the starts (us UTC) of the hours for which a table has a file, ascending."""
        return sorted(iter(self.tags(table)))  # of a mapping it would ask for the length too

    def files(self, table: str, hours: Iterable[int] | None = None) -> list[Path]:
        """Return a table's files, in the order of their hours.

        A file that is missing, or was moved to quarantine, is among them: the answer would be wrong
        without it.
        """
        tags = self.tags(table)
        wanted = sorted(tags if hours is None else {hour for hour in hours if hour in tags})
        return [path_of(self._root, table, hour_us, tags[hour_us]) for hour_us in wanted]

    def places(self, table: str) -> list[str]:
        """Return the paths of all files of a table as texts, in the order of their hours."""
        tags = self.tags(table)
        return [place_of(self._root, table, hour_us, tags[hour_us]) for hour_us in sorted(tags)]

    def file(self, table: str, hour_us: int) -> Path | None:
        """Return a table's file of an hour; None if the books have none."""
        tag = self.tags(table).get(hour_us)
        return None if tag is None else path_of(self._root, table, hour_us, tag)

    def tags(self, table: str) -> Mapping[int, str]:
        """Return the tag of each hour (start, us UTC) for which a table has a file."""
        if self._held is None and not list_path(self._root).exists():
            return legacy_hours(self._root, table)  # not of all tables
        return self.current().tags.get(table, {})

    def adopt(self, table: str, hour_us: int, announce: Callable[[Path], None]) -> str:
        """Give a file of an earlier version a second name, that of books; return its tag.

        Args:
            table: one of `BOOKS`.
            hour_us: start of the hour, microseconds UTC; the list has an empty tag for it.
            announce: as for `writer`.

        Raises:
            OSError: the file is missing, or the name cannot be given.
        """
        legacy = path_of(self._root, table, hour_us, LEGACY)
        tag = tag_of(legacy)
        path = path_of(self._root, table, hour_us, tag)
        announce(path)
        make_folders(path.parent, DEPTH)
        if not path.exists():
            try:
                path.hardlink_to(legacy)
            except OSError:  # a file system without hard links
                aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
                shutil.copy2(legacy, aside)
                aside.replace(path)
        return tag

    def writer(
        self, table: str, hour_us: int, announce: Callable[[Path], None] = lambda _: None
    ) -> BookWriter:
        """Return a writer for a new file of an hour, which nobody sees before it is published.

        Args:
            table: one of `BOOKS`.
            hour_us: start of the hour, microseconds UTC.
            announce: called with the path before the file is there, so that a file of a writer who
                dies can be found.
        """
        return BookWriter(self._root, table, hour_us, announce, self._wrote)

    def _wrote(self, table: str, tag: str, rows: int) -> None:
        self._rows[table, tag] = rows


class BookWriter(ParquetWriter):
    """Writes a file whose name tells its bytes.

    Attributes:
        tag: of the finished file.
    """

    def __init__(
        self,
        root: Path,
        table: str,
        hour_us: int,
        announce: Callable[[Path], None],
        wrote: Callable[[str, str, int], None],
    ) -> None:
        folder = root / FOLDER / table / partition(hour_us)
        super().__init__(folder / table, TABLES[table], depth=DEPTH)
        self._place_of = partial(path_of, root, table, hour_us)
        self._announce, self._wrote = announce, partial(wrote, table)
        self.tag = ""

    def __enter__(self) -> Self:
        # Whoever writes books holds their lock: what lies here is of a writer that was killed.
        for left in self._path.parent.glob(f".{self._path.name}.*.tmp"):
            left.unlink(missing_ok=True)
        super().__enter__()
        return self

    def _finish(self) -> None:
        self.tag = tag_of(self._temporary)
        self._path = self._place_of(self.tag)
        self._announce(self._path)
        super()._finish()
        self._wrote(self.tag, self.rows)
