"""Removes hours that are older than their table is kept, and nothing that is not booked.

In: a lake, how long each table is kept, the time. Out: fewer files, and `expired.json`, which says
so to all commands: see `lake.expired`.

Hours that are not up to date are kept, and the files beside them too: they are derived from those.
So are the files of the last hour that expired, since the first one that has not depends on them.
Only files that were there before the books were looked at are removed: one that comes meanwhile, or
after its hour has expired, stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.compaction import locked as lake_locked
from tokenergy_collectors.lake.expired import Expired, Span, read_expired, write_expired
from tokenergy_collectors.lake.paths import hour_of, show_hour
from tokenergy_sql.index.due import due
from tokenergy_sql.index.site import Site
from tokenergy_sql.revisions.revisions import locked as books_locked
from tokenergy_sql.scheduled.expiringfiles import (
    Files,
    files_before,
    left_of,
    read_left,
    write_left,
)
from tokenergy_sql.scheduled.retention import Retention

_MOST_NAMED = 5


@dataclass(slots=True)
class Removed:
    """What was removed of a table, or would be.

    Attributes:
        before_us: hours before this one expired; microseconds UTC.
        hours: how many of them had files that were removed.
        files: how many.
        bytes: their size.
    """

    before_us: int
    hours: int = 0
    files: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Expiry:
    """What a run did, or would do.

    Attributes:
        tables: by name.
        kept: hours that are old enough, but not up to date; each with why.
        late: files that came after their hour had expired. They are not booked, so they stay.
    """

    tables: dict[str, Removed] = field(default_factory=dict)
    kept: dict[int, str] = field(default_factory=dict)
    late: int = 0

    def lines(self, *, dry_run: bool = False) -> list[str]:
        """Return what was done, or would be, as text: at least one line."""
        lines = []
        verb = "would be removed" if dry_run else "removed"
        for name, one in self.tables.items():
            if one.files:
                hours = "1 hour" if one.hours == 1 else f"{one.hours:,} hours"
                lines.append(
                    f"{name} before {show_hour(one.before_us)}: {hours}, {one.files:,} files, "
                    f"{one.bytes / 2**20:,.1f} MiB {verb}"
                )
        if self.kept:
            some = [f"{show_hour(hour)} ({why})" for hour, why in sorted(self.kept.items())]
            more = f" and {len(some) - _MOST_NAMED} more" if len(some) > _MOST_NAMED else ""
            lines.append(
                f"kept, not booked as they are now: {', '.join(some[:_MOST_NAMED])}{more}; "
                "run `tokenergy heal`, then they expire the next time; `tokenergy stale` lists them"
            )
        if self.late:
            lines.append(
                f"kept, came after their hours had expired: {self.late:,} files; they are in no "
                "books, remove them by hand"
            )
        return lines or ["nothing to do"]


def expire(
    lake: Lake,
    site: Site,
    retention: Retention,
    now_us: int,
    progress: Callable[[str], None] = lambda _: None,
    *,
    dry_run: bool = False,
) -> Expiry:
    """Remove what is older than it is kept.

    Args:
        lake: the lake.
        site: the site file.
        retention: how long each table is kept.
        now_us: the time, microseconds UTC.
        progress: called with what is next.
        dry_run: change nothing.

    Raises:
        BusyError: the lake is being compacted, or another run removes files.
        UserError: a file cannot be read, written or removed.
    """
    try:
        if dry_run:
            return _expire(lake, site, retention, now_us, progress, dry_run=True)
        # A run of the index in the middle of an old hour would find its files gone.
        with lake_locked(lake), books_locked(lake):
            return _expire(lake, site, retention, now_us, progress, dry_run=False)
    except OSError as error:
        where = error.filename or lake.root
        raise UserError(f"{where}: cannot be removed or written: {error.strerror}") from None


def _expire(
    lake: Lake,
    site: Site,
    retention: Retention,
    now_us: int,
    progress: Callable[[str], None],
    *,
    dry_run: bool,
) -> Expiry:
    was, known = read_expired(lake.root), read_left(lake.root)
    done = Expiry()
    old: dict[str, Files] = {}
    for name, keep_us in retention.keep_us.items():
        progress(f"{name}: list files")
        before_us = hour_of(now_us - keep_us)
        if name in was.tables:  # what expired once has: a longer time does not bring it back
            before_us = max(before_us, was.tables[name].before_us)
        done.tables[name] = Removed(before_us)
        old[name] = files_before(lake, name, before_us)
    # Of hours that expired before, files are known that stayed on purpose, or as a run was killed.
    asked = {hour for name, files in old.items() for hour in files if not was.has(name, hour)}
    asked = {hour for hour in asked if not was.is_frozen(hour)}
    progress(f"look whether {len(asked)} hours are booked")
    for one in due(lake, site, sorted(asked)):
        done.kept.setdefault(one.hour_us, f"{one.state}: {', '.join(one.what)}")
    spans = {
        name: Span(removed.before_us, frozenset(h for h in done.kept if h < removed.before_us))
        for name, removed in done.tables.items()
    }
    for name, files in old.items():
        for hour_us in [hour for hour in files if was.has(name, hour)]:
            ours = left_of(lake.root, files[hour_us], known.get(name, frozenset()))
            done.late += len(files[hour_us]) - len(ours)
            files[hour_us] = ours
    left = {
        name: {h: f for h, f in files.items() if h in spans[name]} for name, files in old.items()
    }
    if not dry_run:
        write_left(lake.root, known, left)
        write_expired(lake.root, Expired({**was.tables, **spans}))
    for name, files in left.items():
        progress(f"{name}: remove files")
        for hour_us in sorted(files):
            if spans[name].removes(hour_us):
                _remove(files.pop(hour_us), done.tables[name], dry_run=dry_run)
    if not dry_run:
        write_left(lake.root, known, left)
    return done


def _remove(paths: Iterable[Path], removed: Removed, *, dry_run: bool) -> None:
    """Remove files of an hour, and its folders if nothing is left in them."""
    folders: dict[Path, None] = {}
    count = removed.files
    for path in paths:
        with suppress(FileNotFoundError):
            size = path.stat().st_size
            if not dry_run:
                path.unlink()
            removed.files, removed.bytes = removed.files + 1, removed.bytes + size
        folders[path.parent] = None
    removed.hours += removed.files > count
    for folder in () if dry_run else folders:
        with suppress(OSError):
            folder.rmdir()
            folder.parent.rmdir()
