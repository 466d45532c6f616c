"""The days of a table and what each has, without listing folders that have not changed.

In: the hour folders of a raw table. Out: its days, each with a digest of the names of its files.

A year of a table has 8,760 folders, and to list them takes ten times as long as to ask when each
one changed last. The system notes that (its ctime) whenever a file comes, goes or gets another
name; nobody can set it. `cache/folders/TABLE.json` has what the folders of each day held, and when
they had changed last. The file may be removed at any time; a lake that cannot be written has none.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenergy_collectors.lake import compacted
from tokenergy_collectors.lake.modes import make_file, make_folders
from tokenergy_collectors.lake.paths import PARTITIONS, hour_of_folder, partition

FOLDER = "cache/folders"

_SETTLED_NS = 10_000_000_000
"""A folder that changed later may change again without another time: stamps are coarse, and the
clock of a file server may be behind ours."""

_DAYS, _HOURS = (re.compile(fnmatch.translate(part)) for part in PARTITIONS.split("/"))


@dataclass(frozen=True, slots=True)
class Day:
    """The files of a table on a day.

    Attributes:
        name: of its folder, `date=YYYY-MM-DD`.
        files: how many there are; at least one.
        digest: of the names of the files that their rows came in: see `compacted`.
    """

    name: str
    files: int
    digest: str


def days(root: Path, table: str) -> list[Day]:
    """Return the days of a table that have files, ascending.

    Args:
        root: the lake.
        table: name of a raw table: its files are never rewritten.
    """
    noted, fresh = _read(root, table), False
    found = []
    before_ns = time.time_ns() - _SETTLED_NS
    kept: dict[str, Any] = {}
    base = str(root / table)  # to make a path of each folder takes as long as to look at it
    for name in _folders(base, _DAYS):
        changed = _changed(f"{base}/{name}")
        known = noted.get(name)
        if known is None or known[0] != changed:
            names = sources(root, table, name)
            digest = hashlib.sha256(json.dumps(names).encode()).hexdigest()[:32]
            known = [changed, len(names), digest]
            fresh = True
        if max(changed.values(), default=0) < before_ns:
            kept[name] = known
        if known[1]:
            found.append(Day(name, known[1], known[2]))
    if fresh and kept != noted:
        with suppress(OSError):
            _write(root, table, kept)
    return found


def files(root: Path, table: str, day: str) -> list[Path]:
    """Return the files of a table on a day, sorted by path.

    Args:
        root: the lake.
        table: name of the table.
        day: as `Day.name`.
    """
    found = []
    for hour in _folders(root / table / day, _HOURS):
        here = compacted.files_in(root, root / table / day / hour)
        found += sorted(here, key=lambda path: path.name)
    return found


def sources(root: Path, table: str, day: str) -> list[str]:
    """Return the files that the rows of a table on a day came in: `hour=HH/NAME`, sorted.

    Args:
        root: the lake.
        table: name of the table.
        day: as `Day.name`.
    """
    return [
        f"{hour}/{name}"
        for hour in _folders(root / table / day, _HOURS)
        for name in sorted(compacted.listing(root, root / table / day / hour).sources)
    ]


def hours_before(root: Path, table: str, hour_us: int) -> Iterator[int]:
    """Yield the hours before one that a table has folders of, the latest first (us UTC).

    A folder may have no files. Days are listed as they are reached.
    """
    now = partition(hour_us).split("/")
    for day in reversed(_folders(root / table, _DAYS)):
        if day <= now[0]:
            for hour in reversed(_folders(root / table / day, _HOURS)):
                if [day, hour] < now:
                    yield from _instant(day, hour)


def hours_after(root: Path, table: str, hour_us: int) -> Iterator[int]:
    """Yield the hours after one that a table has folders of, the earliest first (us UTC)."""
    now = partition(hour_us).split("/")
    for day in _folders(root / table, _DAYS):
        if day >= now[0]:
            for hour in _folders(root / table / day, _HOURS):
                if [day, hour] > now:
                    yield from _instant(day, hour)


def _instant(day: str, hour: str) -> Iterator[int]:
    hour_us = hour_of_folder(Path(day) / hour)
    if hour_us is not None:
        yield hour_us


def _folders(base: Path | str, names: re.Pattern[str]) -> list[str]:
    """Return the names of the folders of days, or of hours, in a folder; sorted."""
    found = []
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(base) as entries:
        found = [entry.name for entry in entries if names.match(entry.name)]
    return sorted(found)


def _changed(day: str) -> dict[str, int]:
    """Return when each hour folder of a day changed last, ns."""
    try:
        with os.scandir(day) as entries:
            return {entry.name: entry.stat().st_ctime_ns for entry in entries}
    except NotADirectoryError:
        return {}
    except FileNotFoundError:  # a folder went meanwhile, or is a link to nowhere: nobody's now
        return _changed_each(day)


def _changed_each(day: str) -> dict[str, int]:
    found = {}
    with suppress(FileNotFoundError):
        for folder in Path(day).iterdir():
            with suppress(FileNotFoundError):
                found[folder.name] = folder.stat().st_ctime_ns
    return found


def _read(root: Path, table: str) -> dict[str, Any]:
    try:
        noted = json.loads((root / FOLDER / f"{table}.json").read_text("utf-8"))
        whole = all(
            isinstance(changed, dict) and isinstance(count, int) and isinstance(digest, str)
            for changed, count, digest in noted.values()
        )
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return noted if whole else {}


def _write(root: Path, table: str, noted: dict[str, Any]) -> None:
    path = root / FOLDER / f"{table}.json"
    make_folders(path.parent, 2)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    make_file(aside)
    aside.write_text(json.dumps(noted), "utf-8")
    aside.replace(path)
    # Some file systems, such as mounted object stores, do not note when a folder changed.
    if path.parent.stat().st_ctime_ns < path.stat().st_mtime_ns:
        path.unlink()
