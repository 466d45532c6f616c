"""Records what a run of the index changes, and publishes it as one revision.

In: rows of derived hours. Out: new files of the books that nobody sees, and then, at once, a new
list of them, with the folder of the revision (see `revisions.py`).

A run that dies has published nothing. What it derived is kept in a journal, and the next run goes
on from there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, MutableMapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.absent import there
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.paths import hour_of_path, table_of
from tokenergy_collectors.lake.published import LEGACY, Published, changes_between, path_of
from tokenergy_collectors.lake.reading import BrokenFileError, columns_of
from tokenergy_sql.revisions import revisions
from tokenergy_sql.revisions.journal import Journal
from tokenergy_sql.revisions.revisions import BEFORE, FOLDER, Manifest, Recorded, write_manifest

if TYPE_CHECKING:
    import pyarrow as pa

_UNFINISHED = ".unfinished"
_EARLIER = "added.txt"
"""Journal of a run of an earlier version."""


class Recorder:
    """Writes the books of hours, and publishes them. Made by `recording`.

    Args:
        lake: the lake, which sees the new files through this object alone.
        manifest: of the run; extended.
        folder: of the revision, until it is published.
        tags: the books as they will be; changed.

    Attributes:
        manifest: as given.
        recorded: what each hour was derived from: as published, then as this run derived it.
    """

    def __init__(
        self,
        lake: Lake,
        manifest: Manifest,
        folder: Path,
        tags: dict[str, MutableMapping[int, str]],
    ) -> None:
        self._lake, self._folder, self._tags = lake, folder, tags
        self._journal = Journal(folder)
        self._fresh: dict[str, str | None] = {}
        self.manifest = manifest
        self.recorded = revisions.read_recorded(lake)
        for hour in self._journal.hours():
            self.recorded.hours[hour.hour_us] = hour.inputs
            self.recorded.constants.update(hour.constants)
            manifest.hours[str(hour.hour_us)] = hour.causes
            for table, tag in hour.tags.items():
                self._set(table, hour.hour_us, tag)
        self._fresh = {}

    def write(self, table: str, rows: pa.Table, hour_us: int) -> None:
        """Write the rows that a table has in an hour, in any order; there may be none."""
        spec = TABLES[table]
        rows = rows.select(spec.column_names).cast(spec.schema())
        rows = rows.sort_by([(column, "ascending") for column in spec.sort])
        self.stream(table, iter([rows] if rows.num_rows else []), hour_us)

    def stream(self, table: str, pieces: Iterator[pa.Table], hour_us: int) -> None:
        """Write a file as `write` does, from pieces in the table's order.

        A piece is written while the next one is computed.
        """
        first = next(pieces, None)
        if first is None:
            self._set(table, hour_us, None)
            return
        with (
            self._lake.books.writer(table, hour_us, self._journal.announce) as file,
            ThreadPoolExecutor(1) as pool,
        ):
            writing = pool.submit(file.write, first)
            for piece in pieces:
                writing.result()
                writing = pool.submit(file.write, piece)
            writing.result()
        self._set(table, hour_us, file.tag)

    def adopt(self) -> int:
        """Take the files of an earlier version into the books as they are; return how many."""
        legacy = [
            (table, hour_us)
            for table, tags in self._tags.items()
            for hour_us, tag in tags.items()
            if tag == LEGACY
        ]
        for table, hour_us in legacy:
            with suppress(FileNotFoundError):  # the index derives it again
                self._set(
                    table,
                    hour_us,
                    self._lake.books.adopt(table, hour_us, self._journal.announce),
                )
        return len(legacy)

    def drop_missing(self, hour_us: int) -> None:
        """Take those files of an hour out of the books that are gone and cannot be made again."""
        for table in revisions.REVISED_TABLES:
            path = self._lake.books.file(table, hour_us)
            if path is not None and not there(path):
                self._set(table, hour_us, None)

    def _set(self, table: str, hour_us: int, tag: str | None) -> None:
        of_table = self._tags.setdefault(table, {})
        if tag is None:
            of_table.pop(hour_us, None)
        else:
            of_table[hour_us] = tag
        self._fresh[table] = tag

    def derived(
        self,
        hour_us: int,
        causes: list[str],
        inputs: dict[str, str],
        constants: Mapping[str, dict[str, Any]],
    ) -> None:
        """Record that an hour is derived: another run need not do it again.

        Args:
            hour_us: start of the hour, microseconds UTC.
            causes: kinds of input that had changed.
            inputs: that it was derived from.
            constants: the site's constants, by the names that inputs give them.
        """
        self.manifest.hours[str(hour_us)] = causes
        self.recorded.hours[hour_us] = inputs
        self._journal.add(hour_us, causes, inputs, constants, self._fresh)
        self._fresh = {}

    def publish(self) -> int | None:
        """Let readers see all that was written; return the revision's number, if anything changed.

        `recorded` is written afterwards: an hour that is published and not recorded is derived
        again, to the same bytes; one that is recorded and not published would stay as it was.
        """
        published = self._lake.books.latest()
        earlier = self.manifest.added or self.manifest.replaced
        added, replaced = _differences(self._lake, published.tags, self._tags)
        self.manifest.added = sorted({*self.manifest.added, *added})
        self.manifest.replaced = sorted({*self.manifest.replaced, *replaced})
        changed = self._tags != published.tags or bool(added or replaced or earlier)
        if changed:
            self.manifest.made_at = datetime.now(UTC).isoformat(timespec="seconds")
            write_manifest(self._folder, self.manifest)
            self._lake.books.publish(self.manifest.number, self._tags)
        _finish(self._lake, self._folder, self.recorded, self._journal)
        return self.manifest.number if changed else None


def _differences(
    lake: Lake, before: Mapping[str, Mapping[int, str]], after: Mapping[str, Mapping[int, str]]
) -> tuple[list[str], list[str]]:
    """Return the files that are added, and those that are replaced or removed; lake-relative.

    One that replaces a damaged file is added: nobody could compare with that.
    """
    added: list[str] = []
    replaced: list[str] = []
    for table in sorted({*before, *after}):
        old, new = before.get(table, {}), after.get(table, {})
        for hour_us, now in changes_between(old, new).items():
            was = old.get(hour_us)
            path = None if was is None else path_of(lake.root, table, hour_us, was)
            if path is not None and _is_sound(lake, path, table):
                replaced.append(path.relative_to(lake.root).as_posix())
            elif now is not None:
                path = path_of(lake.root, table, hour_us, now)
                added.append(path.relative_to(lake.root).as_posix())
    return added, replaced


def _is_sound(lake: Lake, path: Path, table: str) -> bool:
    """Return whether a file is there and can be read; set it aside if it is damaged."""
    try:
        columns_of(path, TABLES[table])
    except FileNotFoundError:
        return False
    except BrokenFileError as error:
        lake.set_aside(path, str(error))
        return False
    return True


@contextmanager
def recording(lake: Lake, index_version: str) -> Iterator[Recorder]:
    """Let a run of the index change the books; one run at a time, others wait.

    What the block does not publish stays in the journal, for the next run to go on from.

    Raises:
        UserError: the folder cannot be written, or the list of the books cannot be read.
    """
    home = lake.root / FOLDER
    try:
        with revisions.locked(lake):
            folder = home / _UNFINISHED
            revisions.adopt_recorded(lake)
            _complete(lake, folder)
            published = lake.books.latest()
            # A lake of an earlier version has revisions and no list.
            number = published.revision or max(revisions.numbers(lake), default=0)
            added, replaced = _left_over(folder)
            manifest = Manifest(number + 1, "", index_version, added=added, replaced=replaced)
            tags = published.copied()
            with lake.books.drafted(tags):
                yield Recorder(lake, manifest, folder, tags)
    except OSError as error:
        raise UserError(f"{home}: cannot be written: {error.strerror or error}") from None


def _complete(lake: Lake, folder: Path) -> None:
    """Do what a run left undone that died after it had published."""
    manifest = revisions.unfinished_manifest(folder)
    if manifest is None or manifest.number > lake.books.latest().revision:
        return
    journal, recorded = Journal(folder), revisions.read_recorded(lake)
    for hour in journal.hours():
        recorded.hours[hour.hour_us] = hour.inputs
        recorded.constants.update(hour.constants)
    _finish(lake, folder, recorded, journal)


def _finish(lake: Lake, folder: Path, recorded: Recorded, journal: Journal) -> None:
    """Record what hours were derived from, remove what was not published, number the revision."""
    revisions.write_recorded(lake, recorded)
    if not folder.is_dir():
        return
    published = lake.books.latest()
    manifest = revisions.unfinished_manifest(folder)
    kept = manifest is not None and manifest.number <= published.revision
    names = {*manifest.replaced} if manifest else set[str]()
    _remove_new(lake, [n for n in journal.announced() if not _is_seen(lake, published, n)], names)
    journal.remove()
    (folder / _EARLIER).unlink(missing_ok=True)
    if manifest is None or not kept:
        shutil.rmtree(folder)
        return
    for name in names:
        _move_legacy(lake, folder, name)
    folder.rename(folder.with_name(f"{manifest.number:06d}"))


def _is_seen(lake: Lake, published: Published, name: str) -> bool:
    path = lake.root / name
    tag = published.tags.get(table_of(path), {}).get(hour_of_path(path))
    return tag is not None and path_of(lake.root, table_of(path), hour_of_path(path), tag) == path


def _remove_new(lake: Lake, names: Sequence[str], needed: Set[str]) -> None:
    """Remove files that were written and never published, unless an earlier revision has them."""
    if names:
        earlier = {name for one in revisions.manifests(lake) for name in one.replaced}
        for name in {*names}.difference(earlier, needed):
            (lake.root / name).unlink(missing_ok=True)


def _move_legacy(lake: Lake, folder: Path, name: str) -> None:
    """Move a replaced file of an earlier version to the revision's folder: there it was seen."""
    path = lake.root / name
    if Path(name).stem == Path(name).parts[0] and there(path):
        kept = folder / BEFORE / name
        kept.parent.mkdir(parents=True, exist_ok=True)
        path.replace(kept)


def _left_over(folder: Path) -> tuple[list[str], list[str]]:
    """Return the files that an interrupted run of an earlier version had added and replaced."""
    journal, base = folder / _EARLIER, folder / BEFORE
    added = journal.read_text("utf-8").splitlines() if journal.exists() else []
    replaced = [path.relative_to(base).as_posix() for path in base.rglob("*.parquet")]
    return sorted(set(added)), sorted(replaced)
