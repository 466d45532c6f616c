"""One file a day, a month and a year, in the lake's cache, for tables that are read whole.

In: the raw files of a table, many and small. Out: files with the same rows in the same order: those
of a past day are one file, if there are many, and so are the past days of a month, and the past
months of a year if they are small.

Whoever asks which job held which board reads `jobs` and `device` of all time, and a fleet writes
some thousand of their files a day. `cache/packed/TABLE/date=.../KEY.parquet` has the rows of a day
(`date=2026-01-31`), a month (`date=2026-01`) or a year (`date=2026`); KEY is a digest of the names
of its raw files, which are never rewritten. The folder may be removed at any time; a lake that
cannot be written has none.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.absent import stat_of
from tokenergy_collectors.lake.contract import Table
from tokenergy_collectors.lake.folders import Day, days
from tokenergy_collectors.lake.folders import files as files_of
from tokenergy_collectors.lake.paths import SUFFIX
from tokenergy_collectors.lake.reading import BrokenFileError, read_columns
from tokenergy_collectors.lake.writing import write_parquet

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "cache/packed"
TABLES = ("jobs", "device", "signal")
"""Tables that are packed."""

_MANY = 4
"""A day, a month or a year with fewer files is read as it is."""

_YEAR_BYTES = 32 << 20
"""A year of more bytes stays in months: to open its files costs little beside reading them."""

_KEPT_S = 86_400.0
"""A packed file is kept so long after another one took its place."""

_YEAR, _MONTH = len("date=YYYY"), len("date=YYYY-MM")

Read = Callable[[Sequence[Path]], "pa.Table"]
"""Reads all columns of some files; raw ones that break the contract go to quarantine."""


def packed(root: Path, table: Table, read: Read, there: Sequence[Day]) -> list[Path]:
    """Return the files that hold the rows of a table, in their order; pack what is not.

    Args:
        root: the lake.
        table: one of `TABLES`.
        read: see `Read`.
        there: the days of the table.
    """
    months = [[*month] for _, month in groupby(there, key=_month_of)]
    if not months:
        return []
    found = [
        file
        for _, of_year in groupby(months[:-1], key=lambda month: month[0].name[:_YEAR])
        for file in _year(root, table, [*of_year], read)
    ]
    # The last day still grows: each new file would pack it again. Its month is, once a day, and its
    # year, once a month.
    *past, last = months[-1]
    found += _month(root, table, past, read) if past else []
    return found + files_of(root, table.name, last.name)


def _month_of(day: Day) -> str:
    return day.name[:_MONTH]


def _year(root: Path, table: Table, of_year: Sequence[Sequence[Day]], read: Read) -> list[Path]:
    """Return the files of past months of a year."""
    first = of_year[0][0].name
    path = _path(root, table, first[:_YEAR], [day.digest for month in of_year for day in month])
    if path.exists():
        return [path]

    def files() -> list[Path]:
        return [file for month in of_year for file in _month(root, table, month, read)]

    found = files()
    if len(found) < _MANY or _bytes_of(found) > _YEAR_BYTES:
        return found
    return _written(path, table, found, read) or files()


def _month(root: Path, table: Table, of_month: Sequence[Day], read: Read) -> list[Path]:
    """Return the files of past days of a month."""
    path = _path(root, table, of_month[0].name[:_MONTH], [day.digest for day in of_month])
    if path.exists():
        return [path]

    def files() -> list[Path]:
        return [file for day in of_month for file in _day(root, table, day, read)]

    found = files()
    return found if len(found) < _MANY else _written(path, table, found, read) or files()


def _bytes_of(files: Sequence[Path]) -> int:
    """Return how large files are; one that was removed meanwhile counts nothing."""
    found = 0
    for file in files:
        with suppress(FileNotFoundError):
            found += stat_of(file)[0]
    return found


def _day(root: Path, table: Table, day: Day, read: Read) -> list[Path]:
    """Return the files of a past day."""
    if day.files < _MANY:
        return files_of(root, table.name, day.name)
    path = _path(root, table, day.name, [day.digest])
    if path.exists():
        return [path]
    files = files_of(root, table.name, day.name)
    return _written(path, table, files, read) or files_of(root, table.name, day.name)


def _written(path: Path, table: Table, files: list[Path], read: Read) -> list[Path]:
    """Write a packed file of others; return it, or those if it cannot be written.

    Nothing if some were damaged, or were removed meanwhile: other files have their rows.
    """
    rows = read(files)
    if not all(file.exists() for file in files):
        return []
    try:
        write_parquet(rows, path, table)
        _remove_older(path)
    except (UserError, OSError):
        return files
    return [path]


def _path(root: Path, table: Table, date: str, digests: Sequence[str]) -> Path:
    key = hashlib.sha256(json.dumps([repr(table), *digests]).encode()).hexdigest()[:32]
    return root / FOLDER / table.name / date / f"{key}{SUFFIX}"


def _remove_older(path: Path) -> None:
    """Remove what was packed of a day before; not what another process may just be reading."""
    for older in path.parent.glob(f"*{SUFFIX}"):
        if older != path and older.stat().st_mtime < time.time() - _KEPT_S:
            older.unlink(missing_ok=True)


def is_packed(root: Path, path: Path) -> bool:
    """Return whether a file is one of the cache."""
    return path.is_relative_to(root / FOLDER)


def raw_files(root: Path, path: Path) -> list[Path]:
    """Return the raw files whose rows a packed file has, sorted by path.

    Args:
        root: the lake.
        path: a packed file.
    """
    table, date = path.parent.parent.name, path.parent.name
    of_date = [day for day in days(root, table) if day.name.startswith(date)]
    return [file for day in of_date for file in files_of(root, table, day.name)]


def remove_damaged(root: Path, table: Table) -> int:
    """Remove packed files of a table that cannot be read in full; return how many."""
    count = 0
    for path in _all(root, table):
        try:
            read_columns(path, table, table.column_names)
        except BrokenFileError:
            path.unlink(missing_ok=True)
            count += 1
        except FileNotFoundError:
            continue
    return count


def _all(root: Path, table: Table) -> Iterator[Path]:
    return (root / FOLDER / table.name).glob(f"date=*/*{SUFFIX}")
