"""Removes hours that are older than their table is kept, and nothing that is not booked.

In: a lake, how long each table is kept, the time. Out: fewer files, and `expired.json`, which says
so to all commands: see `lake.expired`.

Hours that are not up to date are kept, and the files beside them too: they are derived from those.
So are the files of the last hour that expired, since the first one that has not depends on them.
Only files that were there before the books were looked at are removed: one that comes meanwhile
stays, and `stale` names its hour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake, compacted
from tokenergy_collectors.lake.compaction import locked as lake_locked
from tokenergy_collectors.lake.contract import HOUR_US, TABLES
from tokenergy_collectors.lake.expired import Expired, Span, read_expired, write_expired
from tokenergy_collectors.lake.paths import hour_of, partition, show_hour
from tokenergy_sql.index.due import due
from tokenergy_sql.index.site import Site
from tokenergy_sql.revisions.revisions import locked as books_locked
from tokenergy_sql.scheduled.retention import Retention

_MOST_NAMED = 5

Files = dict[int, list[Path]]
"""The files of a table by hour, microseconds UTC."""


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
    """

    tables: dict[str, Removed] = field(default_factory=dict)
    kept: dict[int, str] = field(default_factory=dict)

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
                "run `tokenergy heal`, then they expire the next time"
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
    was = read_expired(lake.root)
    done = Expiry()
    found: dict[str, Files] = {}
    for name, keep_us in retention.keep_us.items():
        progress(f"{name}: list files")
        before_us = hour_of(now_us - keep_us)
        if name in was.tables:  # what expired once has: a longer time does not bring it back
            before_us = max(before_us, was.tables[name].before_us)
        done.tables[name] = Removed(before_us)
        found[name] = _files(lake, name, before_us)
    # Of earlier runs that were killed, hours may still have files: they have expired already.
    asked = {hour for name, files in found.items() for hour in files if not was.has(name, hour)} - {
        hour for files in found.values() for hour in files if was.is_frozen(hour)
    }
    progress(f"look whether {len(asked)} hours are booked")
    for one in due(lake, site, sorted(asked)):
        done.kept.setdefault(one.hour_us, f"{one.state}: {', '.join(one.what)}")
    spans = {
        name: Span(removed.before_us, frozenset(h for h in done.kept if h < removed.before_us))
        for name, removed in done.tables.items()
    }
    if not dry_run and any(span.before_us for span in spans.values()):
        write_expired(lake.root, Expired({**was.tables, **spans}))
    for name, files in found.items():
        progress(f"{name}: remove files")
        for hour_us, paths in sorted(files.items()):
            near = (hour_us - HOUR_US, hour_us, hour_us + HOUR_US)
            if hour_us + HOUR_US < spans[name].before_us and done.kept.keys().isdisjoint(near):
                _remove(lake, paths, done.tables[name], dry_run=dry_run)
    return done


def _files(lake: Lake, table: str, before_us: int) -> Files:
    """Return all files of a table's hours before one, superseded ones too."""
    raw = TABLES[table].layer == "raw"
    found: Files = {}
    for hour_us in lake.hours(table):
        if hour_us >= before_us:
            break
        folder = lake.root / table / partition(hour_us)
        found[hour_us] = [folder / name for name in compacted.names_in(folder)]
        if raw:
            beside = compacted.pending_folder(lake.root, folder)
            names = (*compacted.pending_names(lake.root, folder), compacted.LIST)
            found[hour_us] += [path for name in names if (path := beside / name).exists()]
    return found


def _remove(lake: Lake, paths: Iterable[Path], removed: Removed, *, dry_run: bool) -> None:
    """Remove files of an hour, and its folders if nothing is left in them."""
    removed.hours += 1
    folders: dict[Path, None] = {}
    for path in paths:
        with suppress(FileNotFoundError):
            size = path.stat().st_size
            if not dry_run:
                path.unlink()
            removed.files, removed.bytes = removed.files + 1, removed.bytes + size
        folders[path.parent] = None
    for folder in () if dry_run else folders:
        with suppress(OSError):
            folder.rmdir()
            folder.parent.rmdir()
