"""Compacts the raw files of past hours: those of a table, hour and node become one.

In: hour folders of raw tables. Out: fewer files with the same rows. `compacted` says how readers
see them in between. A call takes each hour as far as it may go:

1. The files of a node are written as one to `compacted/...` and read back. That publishes it.
2. After the grace time it gets its second place, beside its sources, and these are removed.
3. After the grace time again it loses its first place.

So whoever listed files before a step still finds them. Each step may be repeated: a call after a
kill goes on where the other ended. Nodes whose collector uploads its files from this lake are left
alone: it knows them by their names.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import compacted
from tokenergy_collectors.lake.compacted import Listing, Sources
from tokenergy_collectors.lake.contract import HOUR_US, TABLES
from tokenergy_collectors.lake.givingway import Turn, exchange, next_turn
from tokenergy_collectors.lake.lake import Lake
from tokenergy_collectors.lake.mergedfile import UnfitError, merge
from tokenergy_collectors.lake.modes import make_folders
from tokenergy_collectors.lake.paths import (
    PARTITIONS,
    escape_node,
    hour_of_folder,
    node_of,
    parse_raw_name,
    table_of,
)
from tokenergy_collectors.lake.reading import BrokenFileError, rows_of
from tokenergy_collectors.lake.sealed import RAW_TABLES

OLDER_US = 24 * HOUR_US
"""How long ago an hour ended that is compacted, unless another time is asked for."""

GRACE_US = 6 * HOUR_US
"""How long files stay that somebody may just be reading, unless another time is asked for."""

_UPLOADS = ".upload"
"""What the uploader remembers of a node: `upload.verified`."""

_LOCK = f"{compacted.FOLDER}/.lock"
_DEPTH = 4
"""Levels of folders between the lake and a compacted file in its first place."""

_SETTLED_NS = 10_000_000_000
"""A folder that changed later may change again without another time stamp."""

Progress = Callable[[float, str], None]
"""Takes the finished share, and the table and day that is next."""


class BusyError(UserError):
    """Another process compacts the lake, or removes what expired in it."""


@dataclass(slots=True)
class Compacted:
    """What a call did, or would do.

    Attributes:
        before: files of the hours that were looked at, before.
        after: files of them afterwards, those that wait included.
        sources: files that became part of a compacted one.
        source_bytes: their size.
        made: compacted files.
        made_bytes: their size.
        removed: files that were removed, since a compacted one has their rows.
        removed_bytes: their size.
        waiting: files that a call after the grace time removes.
        uploading: nodes that were left alone, since a collector uploads their files from here.
        unfit: why a file was left alone, by name.
    """

    before: int = 0
    after: int = 0
    sources: int = 0
    source_bytes: int = 0
    made: int = 0
    made_bytes: int = 0
    removed: int = 0
    removed_bytes: int = 0
    waiting: int = 0
    uploading: set[str] = field(default_factory=set)
    unfit: dict[str, str] = field(default_factory=dict)

    def lines(self, *, dry_run: bool = False) -> list[str]:
        """Return what was done, or would be, as text: at least one line."""
        lines = []
        if self.made:
            sizes = _mib(self.source_bytes) if dry_run else _sizes(self)
            would = "would become" if dry_run else "became"
            lines.append(f"{self.sources:,} files {would} {self.made:,}, {sizes}")
        if self.removed:
            lines.append(f"{self.removed:,} files removed, {_mib(self.removed_bytes)}")
        if self.before:
            then = "would be left" if dry_run else "now"
            lines.append(f"{self.before:,} files before, {self.after:,} {then}")
        if self.waiting:
            lines.append(
                f"{self.waiting:,} files were replaced; a run after the grace time removes them"
            )
        if self.uploading:
            lines.append(
                f"left alone: {_some(self.uploading)}, whose collector uploads its files from this "
                "lake; compact the lake that they are uploaded to"
            )
        if self.unfit:
            name, why = min(self.unfit.items())
            lines.append(f"left alone: {len(self.unfit):,} files, for example {name}: {why}")
        return lines or ["nothing to do"]


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"


def _sizes(done: Compacted) -> str:
    return f"{_mib(done.source_bytes)} -> {_mib(done.made_bytes)}"


def _some(names: Iterable[str]) -> str:
    first, *others = sorted(names)
    return f"{first} and {len(others)} more" if others else first


def compact(
    lake: Lake,
    until_us: int,
    grace_us: int = GRACE_US,
    tables: Iterable[str] = RAW_TABLES,
    progress: Progress = lambda _share, _what: None,
    *,
    dry_run: bool = False,
) -> Compacted:
    """Compact the raw files of past hours.

    Args:
        lake: the lake.
        until_us: hours that end by then are compacted; microseconds UTC.
        grace_us: how long files stay that somebody may just be reading.
        tables: names of raw tables.
        progress: see `Progress`.
        dry_run: change nothing; count what would be merged.

    Raises:
        BusyError: another call runs.
        UserError: a file cannot be read or written.
    """
    done = Compacted()
    if dry_run:
        for share, day in _days(lake, until_us, tables):
            progress(share, _name(day))
            for folder in day:
                _count(lake, folder, done)
        return done
    with locked(lake):
        for share, day in _days(lake, until_us, tables):
            progress(share, _name(day))
            try:
                _compact(lake, day, grace_us, done)
            except OSError as error:
                where = error.filename or day[0].parent
                raise UserError(f"{where}: cannot be compacted: {error.strerror}") from None
    return done


@contextmanager
def locked(lake: Lake) -> Iterator[None]:
    """Keep others out that remove raw files.

    Raises:
        BusyError: another one is at work.
        UserError: the lake cannot be written.
    """
    path = lake.root / _LOCK
    try:
        make_folders(path.parent, 1)
        lock = path.open("w")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(
                f"lake {lake.root}: another run compacts it or removes expired files; "
                "try again later"
            ) from None
        yield


def _days(lake: Lake, until_us: int, tables: Iterable[str]) -> Iterator[tuple[float, list[Path]]]:
    """Yield the hour folders of each table and day, the oldest day first, with the share done."""
    found = [
        folder
        for table in tables
        for folder in (lake.root / table).glob(PARTITIONS)
        if (hour_us := hour_of_folder(folder)) is not None and hour_us + HOUR_US <= until_us
    ]
    found.sort(key=lambda folder: (folder.parent.name, folder.parts[-3], folder.name))
    place = 0
    for _, group in groupby(found, key=lambda folder: folder.parent):
        day = [*group]
        yield place / len(found), day
        place += len(day)


def _name(day: Sequence[Path]) -> str:
    return f"{day[0].parts[-3]} {day[0].parent.name.removeprefix('date=')}"


def _count(lake: Lake, folder: Path, done: Compacted) -> None:
    """Count what a call would merge."""
    count = len(compacted.names_in(folder))
    done.before, done.after = done.before + count, done.after + count
    for files in _groups(lake, compacted.listing(lake.root, folder), done).values():
        done.made += 1
        done.sources += len(files)
        done.source_bytes += sum(path.stat().st_size for path in files)
        done.after -= len(files) - 1


def _compact(lake: Lake, day: Sequence[Path], grace_us: int, done: Compacted) -> None:
    """Take the hours of a table and day as far as they may go."""
    due = [folder for folder in day if not _is_done(lake, folder)]
    turns: list[Turn] = []
    for folder in due:
        done.before += len(compacted.names_in(folder))
        for _ in range(2):  # once more, if some were damaged: they are in quarantine then
            here = compacted.listing(lake.root, folder)
            groups = _groups(lake, here, done)
            merged = [_merge(lake, folder, files, here, done) for files in groups.values()]
            if all(merged):
                break
        turns.append(next_turn(lake.root, folder, grace_us))
    # All at once: readers by a pattern have to wait meanwhile.
    exchange(turns)
    for turn in turns:
        turn.finish()
        done.removed += turn.removed
        done.removed_bytes += turn.removed_bytes
        done.waiting += turn.waiting
    for folder in due:
        found = compacted.listing(lake.root, folder).compacted
        if found:
            compacted.write_list(lake.root, folder, found)
        done.after += len(compacted.names_in(folder))


def _is_done(lake: Lake, folder: Path) -> bool:
    """Return whether nothing has changed since an hour was compacted, and nothing waits."""
    try:
        listed = (compacted.pending_folder(lake.root, folder) / compacted.LIST).stat()
        settled = folder.stat().st_ctime_ns + _SETTLED_NS < listed.st_mtime_ns
    except FileNotFoundError:
        return False
    return settled and not compacted.pending_names(lake.root, folder)


def _groups(lake: Lake, here: Listing, done: Compacted) -> Mapping[str, list[Path]]:
    """Return the files to merge by node, sorted by name; a node with a single file has none."""
    found: dict[str, list[Path]] = {}
    for path in here.files:
        if parse_raw_name(path.name) is not None:  # of a foreign name the node is not known
            found.setdefault(node_of(path), []).append(path)
    many: dict[str, list[Path]] = {}
    for node, files in sorted(found.items()):
        if (lake.root / _UPLOADS / escape_node(node)).is_dir():
            done.uploading.add(node)
        elif len(files) > 1:
            many[node] = sorted(files, key=lambda path: path.name)
    return many


def _rows_in(files: Sequence[Path]) -> int | None:
    """Return how many rows some files have together; None if one cannot be read."""
    try:
        return sum(map(rows_of, files))
    except (BrokenFileError, FileNotFoundError):
        return None


def _merge(lake: Lake, folder: Path, files: Sequence[Path], here: Listing, done: Compacted) -> bool:
    """Publish one file in place of several; return False if one of them was damaged or is gone."""
    digests: dict[str, str] = {}
    replaced: set[str] = set()
    for path in files:
        if path.name in here.compacted:
            earlier = compacted.sources_of(path)
            if earlier is None:
                lake.set_aside(path, "is damaged: its footer cannot be read")
                return False
            digests.update(earlier.digests)
            replaced |= {path.name, *earlier.replaced}
        else:
            with path.open("rb") as file:
                digests[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    first_us = min(raw.first_us for path in files if (raw := parse_raw_name(path.name)))
    name = compacted.name_of(node_of(files[0]), first_us, digests, _rows_in(files))
    path = compacted.pending_folder(lake.root, folder) / name
    make_folders(path.parent, _DEPTH)
    notes = {compacted.KEY: Sources(digests, tuple(sorted(replaced))).text()}
    size = sum(one.stat().st_size for one in files)
    try:
        if not merge(lake, TABLES[table_of(files[0])], files, path, notes):
            return False
    except UnfitError as error:
        done.unfit[error.path.relative_to(lake.root).as_posix()] = str(error)
        return True
    done.made += 1
    done.made_bytes += path.stat().st_size
    done.sources += len(files)
    done.source_bytes += size
    return True
