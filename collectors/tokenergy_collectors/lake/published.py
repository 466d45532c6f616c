"""The list of published books: which file of each table and hour readers see.

`books/TABLE/date=YYYY-MM-DD/hour=HH/TABLE-TAG.parquet` never changes: TAG is a digest of its bytes.
`books/published.json` names one tag for each table and hour. It is replaced whole, by a rename, so
all tables and hours change at once: a reader who reads it once sees one revision, whatever a writer
does meanwhile or however it died. It also says how many rows each file has, so that whoever only
counts opens none.

A lake of an earlier version has no list: its books are `TABLE/date=.../hour=.../TABLE.parquet`,
each replaced in place. They have an empty tag, here and in the first lists of such a lake.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.modes import make_folders
from tokenergy_collectors.lake.paths import PARTITIONS, SUFFIX, hour_of_folder, partition
from tokenergy_collectors.lake.unfinished import replacing

T = TypeVar("T")

ByDate = Mapping[str, Mapping[str, T]]
"""A value for each hour, as the list has them: by date and hour, `2026-01-31` and `07`."""

Identity = tuple[int, int, int]
"""Inode, time (ns) and size of a list."""

BOOKS = (
    "ledger",
    "ledger_hour",
    "token_usage",
    "job_hour_index",
    "job_index",
    "job_efficiency",
    "node_hour",
    "phase_block",
    "phase_role",
    "meter_hour",
    "site_hour",
    "host_hour",
    "place_hour",
    "site_part",
    "job_signal_hour",
)
"""Tables that are published: what the index derives. One file an hour each, named by its table."""

FOLDER = "books"
NAME = "published.json"

SHARDS = f"{FOLDER}/.shards"
"""What shards of an hour booked, until the hour is published: no reader looks there."""

LEGACY = ""
"""The tag of a file of an earlier version."""

_AFTER_US = {f"{hour:02d}": hour * HOUR_US for hour in range(24)}
"""What each hour of a day begins after, by its name in the list: a year has 79,000 entries."""

_TAG_DIGITS = 16
_READ = 1 << 22


@dataclass(frozen=True, slots=True)
class Published:
    """What readers see.

    Attributes:
        revision: the latest one that changed anything; 0 if none did, or the lake has no list.
        tags: for each table the tag of each hour (start, us UTC).
        rows: how many rows these files have, as the list tells it: see `rows_of`.
        dated: the tags as the list has them, of tables of which it has any.
    """

    revision: int = 0
    tags: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    rows: Mapping[str, ByDate[int]] = field(default_factory=dict)
    dated: Mapping[str, ByDate[str]] = field(default_factory=dict, compare=False)

    def rows_of(self, table: str) -> dict[int, int]:
        """Return how many rows the file of each hour (start, us UTC) has, where that is known.

        It is not for files that an earlier version published.
        """
        return _of_hours(self.rows.get(table, {}), int)

    def copied(self) -> dict[str, dict[int, str]]:
        """Return the tags, to be changed."""
        return {table: dict(hours) for table, hours in self.tags.items()}


def list_path(root: Path) -> Path:
    """Return the path of a lake's list."""
    return root / FOLDER / NAME


def path_of(root: Path, table: str, hour_us: int, tag: str) -> Path:
    """Return the path of a file of the books.

    Args:
        root: folder of the lake.
        table: one of `BOOKS`.
        hour_us: start of its hour, microseconds UTC.
        tag: as the list has it.
    """
    return Path(place_of(root, table, hour_us, tag))


def place_of(root: Path, table: str, hour_us: int, tag: str) -> str:
    """Return the same as text: a year has 79,000 files, and to make that many paths takes long."""
    if tag == LEGACY:
        return f"{root}/{table}/{partition(hour_us)}/{table}{SUFFIX}"
    return f"{root}/{FOLDER}/{table}/{partition(hour_us)}/{table}-{tag}{SUFFIX}"


def tag_of(path: Path) -> str:
    """Return the tag of a finished file: a digest of its bytes."""
    digest = hashlib.blake2b(digest_size=_TAG_DIGITS // 2)
    with path.open("rb") as file:
        while block := file.read(_READ):
            digest.update(block)
    return digest.hexdigest()


def read_list(root: Path) -> Published | None:
    """Return the list of a lake; None if it has none.

    Raises:
        UserError: it is damaged.
    """
    path = list_path(root)
    try:
        return parse_list(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read: {error!r}; this file says which books count. Remove it and "
            "run `tokenergy index`, which derives the books again"
        ) from None


def parse_list(data: bytes) -> Published:
    """Return what the bytes of a list say.

    Raises:
        ValueError: they are not those of a list.
    """
    try:
        content = json.loads(data)
        tags = {table: _of_hours(dates, str) for table, dates in content["tables"].items()}
        rows = {**content.get("rows", {})}
        return Published(int(content["revision"]), tags, rows, content["tables"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(repr(error)) from None


def _of_hours(dates: ByDate[Any], kind: type[T]) -> dict[int, T]:
    found: dict[int, T] = {}
    for date, hours in dates.items():
        day_us = _day(date)
        found.update(zip([day_us + _AFTER_US[hour] for hour in hours], hours.values(), strict=True))
    if not {*map(type, found.values())} <= {kind}:
        raise TypeError(f"expected values of type {kind.__name__}")
    return found


def by_date(hours: Mapping[int, T]) -> dict[str, dict[str, T]]:
    """Return values by date and hour, as the list has them, of values by start of the hour."""
    dates: dict[str, dict[str, T]] = {}
    for hour_us, value in sorted(hours.items()):
        date, hour = _date_and_hour(hour_us)
        dates.setdefault(date, {})[hour] = value
    return dates


def redated(dated: ByDate[T], changes: Mapping[int, T | None]) -> dict[str, Mapping[str, T]]:
    """Return values by date and hour with some changed: a year has 8,760 that are not.

    Args:
        dated: the values.
        changes: new values by start of the hour; None: there is none any more.
    """
    found = {**dated}
    for hour_us, value in sorted(changes.items()):
        date, hour = _date_and_hour(hour_us)
        of_date = {**found.pop(date, {})}
        of_date.pop(hour, None)
        if value is not None:
            of_date[hour] = value
        if of_date:
            found[date] = dict(sorted(of_date.items()))
    return dict(sorted(found.items()))


def changes_between(before: Mapping[int, str], now: Mapping[int, str]) -> dict[int, str | None]:
    """Return the hours (start, us UTC) whose tags differ, with the tag that each has now."""
    return {hour_us: now.get(hour_us) for hour_us, _ in before.items() ^ now.items()}


@lru_cache(1 << 16)
def _date_and_hour(hour_us: int) -> tuple[str, str]:
    date, _, hour = partition(hour_us).partition("/")
    return date.removeprefix("date="), hour.removeprefix("hour=")


@lru_cache(1 << 12)
def _day(date: str) -> int:
    found = hour_of_folder(Path(f"date={date}") / "hour=00")
    if found is None:
        raise ValueError(f"{date!r} is no date")
    return found


def identity_of(path: Path) -> Identity:
    """Return what tells a list from the one that takes its place.

    Raises:
        FileNotFoundError: it is not there.
    """
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def write_list(root: Path, published: Published) -> Identity:
    """Replace the list of a lake: from now on, readers see these books.

    Returns:
        The identity of the new list.

    Args:
        root: folder of the lake.
        published: the books; tables without `dated` are written as `tags` has them.

    Raises:
        UserError: it cannot be written.
    """
    tables = {
        table: published.dated[table] if table in published.dated else by_date(tags)
        for table, tags in sorted(published.tags.items())
    }
    rows = dict(sorted(published.rows.items()))
    content = {"revision": published.revision, "tables": tables, "rows": rows}
    path = list_path(root)
    try:
        make_folders(path.parent, 1)
        with replacing(path) as aside:
            with aside.open("w", encoding="utf-8") as file:
                file.write(f"{json.dumps(content)}\n")  # `dump` takes three times as long
                file.flush()
                os.fsync(file.fileno())
            identity = identity_of(aside)
            aside.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None
    return identity


def legacy_hours(root: Path, table: str) -> dict[int, str]:
    """Return the hours of which a lake has a file of an earlier version, each with its tag."""
    found = {}
    for path in (root / table).glob(f"{PARTITIONS}/{table}{SUFFIX}"):
        hour_us = hour_of_folder(path.parent)
        if hour_us is not None:
            found[hour_us] = LEGACY
    return found
