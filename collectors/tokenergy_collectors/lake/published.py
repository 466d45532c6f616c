"""The list of published books: which file of each table and hour readers see.

`books/TABLE/date=YYYY-MM-DD/hour=HH/TABLE-TAG.parquet` never changes: TAG is a digest of its bytes.
`books/published.json` names one tag for each table and hour. It is replaced whole, by a rename, so
all tables and hours change at once: a reader who reads it once sees one revision, whatever a writer
does meanwhile or however it died. It also says how many rows each file has, so that whoever only
counts opens none. A year of it is megabytes, of which a reader parses the months that it looks at
(`monthlyfile`).

A lake of an earlier version has no list: its books are `TABLE/date=.../hour=.../TABLE.parquet`,
each replaced in place. They have an empty tag, here and in the first lists of such a lake.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import monthlyfile
from tokenergy_collectors.lake.modes import make_folders
from tokenergy_collectors.lake.monthly import ScalarByHour, of_dates
from tokenergy_collectors.lake.paths import PARTITIONS, SUFFIX, hour_of_folder, partition
from tokenergy_collectors.lake.unfinished import replacing

T = TypeVar("T")

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

_TAG_DIGITS = 16
_READ = 1 << 22


@dataclass(frozen=True, slots=True)
class Published:
    """What readers see.

    Attributes:
        revision: the latest one that changed anything; 0 if none did, or the lake has no list.
        tags: for each table the tag of each hour (start, us UTC).
        rows: how many rows these files have, as the list tells it; not of files that an earlier
            version published.
    """

    revision: int = 0
    tags: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    rows: Mapping[str, Mapping[int, int]] = field(default_factory=dict)

    def rows_of(self, table: str) -> Mapping[int, int]:
        """Return how many rows the file of each hour (start, us UTC) has, where that is known."""
        return self.rows.get(table, {})

    def copied(self) -> dict[str, MutableMapping[int, str]]:
        """Return the tags, to be changed."""
        return {table: by_hour(hours).copied() for table, hours in self.tags.items()}


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


_KINDS = {"tables": ScalarByHour.of_texts, "rows": ScalarByHour.of_texts}


def parse_list(data: bytes) -> Published:
    """Return what the bytes of a list say.

    Raises:
        ValueError: they are not those of a list.
    """
    try:
        found = monthlyfile.parse(data, _KINDS)
        if found is not None:  # as this version writes it, and nobody has changed a byte
            head, sections = found
            return Published(int(head["revision"]), sections["tables"], sections["rows"])
        content = json.loads(data)
        tags = {table: _of(dates, str) for table, dates in content["tables"].items()}
        rows = {table: _of(dates, int) for table, dates in content.get("rows", {}).items()}
        return Published(int(content["revision"]), tags, rows)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(repr(error)) from None


def more_of_list(data: bytes) -> dict[str, Any]:
    """Return the further values of a list's bytes: see `list_bytes`.

    Raises:
        ValueError: they are not those of a list.
    """
    found = monthlyfile.parse(data, _KINDS)
    content: dict[str, Any] = json.loads(data) if found is None else found[0]
    return content


def _of(dates: Mapping[str, Mapping[str, Any]], kind: type[T]) -> ScalarByHour[T]:
    found = of_dates(dates)
    if not {*map(type, found.values())} <= {kind}:
        raise TypeError(f"expected values of type {kind.__name__}")
    return ScalarByHour(found)


def by_hour(values: Mapping[int, T]) -> ScalarByHour[T]:
    """Return values as a list has them: themselves, if they are so already."""
    return values if isinstance(values, ScalarByHour) else ScalarByHour(values)


def changed(values: Mapping[int, T], changes: Mapping[int, T | None]) -> ScalarByHour[T]:
    """Return values with some changed: a year has 8,760 that are not.

    Args:
        values: by start of the hour.
        changes: new values; None: there is none any more.
    """
    found = by_hour(values).copied()
    for hour_us, value in changes.items():
        if value is None:
            found.pop(hour_us, None)
        else:
            found[hour_us] = value
    return found


def changes_between(before: Mapping[int, str], now: Mapping[int, str]) -> dict[int, str | None]:
    """Return the hours (start, us UTC) whose tags differ, with the tag that each has now."""
    if isinstance(before, ScalarByHour) and isinstance(now, ScalarByHour):
        return {hour_us: now.get(hour_us) for hour_us in now.differing(before)}
    return {hour_us: now.get(hour_us) for hour_us, _ in before.items() ^ now.items()}


def identity_of(path: Path) -> Identity:
    """Return what tells a list from the one that takes its place.

    Raises:
        FileNotFoundError: it is not there.
    """
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def list_bytes(published: Published, more: Mapping[str, Any] | None = None) -> bytes:
    """Return the bytes of a list.

    Args:
        published: the books.
        more: further values for it.
    """
    tables = {table: by_hour(hours) for table, hours in sorted(published.tags.items())}
    rows = {table: by_hour(hours) for table, hours in sorted(published.rows.items())}
    head = {"revision": published.revision, **(more or {})}
    return monthlyfile.dump(head, {"tables": tables, "rows": rows})


def write_list(root: Path, published: Published) -> Identity:
    """Replace the list of a lake: from now on, readers see these books.

    Returns:
        The identity of the new list.

    Args:
        root: folder of the lake.
        published: the books.

    Raises:
        UserError: it cannot be written.
    """
    path = list_path(root)
    try:
        make_folders(path.parent, 1)
        with replacing(path) as aside:
            with aside.open("wb") as file:
                file.write(list_bytes(published))
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
