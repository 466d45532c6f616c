"""One file a day, in the lake's cache, for tables that are read whole.

In: the files of a table, many and small. Out: files with the same rows in the same order: those of
a past day are one file, if there are many.

Whoever asks which job held which board reads `jobs` and `device` of all time, and a fleet writes
some thousand of their files a day; whoever asks about a year of jobs reads the books of 8,760
hours. `cache/packed/TABLE/date=.../KEY.parquet` has the rows of a day, `books/days/TABLE/...` those
of books; KEY is a digest of the names of its files, none of which ever changes. A lake that cannot
be written has no packed files. The cache may be removed at any time. `catalog.duckdb` names those
in `books/days`: if they are removed, it fails until the next run of the index.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import TABLES as CONTRACT
from tokenergy_collectors.lake.contract import Table
from tokenergy_collectors.lake.paths import SUFFIX
from tokenergy_collectors.lake.published import BOOKS
from tokenergy_collectors.lake.published import FOLDER as BOOKS_FOLDER
from tokenergy_collectors.lake.reading import BrokenFileError, read_columns
from tokenergy_collectors.lake.writing import write_parquet

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "cache/packed"
OF_BOOKS = f"{BOOKS_FOLDER}/days"
RAW = ("jobs", "device")
TABLES = (*RAW, *(name for name in BOOKS if name != "ledger"))
"""Tables that are packed: not the ledger, which is as large as all others together."""

_MANY = 4
"""A day with fewer files is read as it is."""

_KEPT_S = 86_400.0
"""A packed file is kept so long after another one took its place."""

Read = Callable[[Sequence[Path]], "pa.Table"]
"""Reads all columns of some raw files; those that break the contract go to quarantine."""


def packed(
    root: Path, table: Table, files: Sequence[Path], read: Read, most: int | None = None
) -> list[Path]:
    """Return the files that hold the rows of a table, in their order; pack days that are not.

    Args:
        root: the lake.
        table: one of `TABLES`.
        files: all files of the table, sorted by path.
        read: see `Read`.
        most: how many days are packed; others are read as they are. All if None.
    """
    days = [
        (name, [*of_day])
        for name, of_day in itertools.groupby(files, lambda f: f.parent.parent.name)
    ]
    found: list[Path] = []
    for place, (date, of_day) in enumerate(days):
        # The last day still grows: it would be packed again after every file.
        if len(of_day) < _MANY or place == len(days) - 1:
            found += of_day
            continue
        path = _folder(root, table) / date / f"{_key(table, of_day)}{SUFFIX}"
        if path.exists():
            found.append(path)
        elif most == 0:
            found += of_day
        else:
            most = None if most is None else most - 1
            found += _of_day(path, table, of_day, read)
    return found


def _of_day(path: Path, table: Table, files: list[Path], read: Read) -> list[Path]:
    rows = read(files)
    there = [file for file in files if file.exists()]
    if there != files:  # some were damaged, or were removed meanwhile
        return there
    try:
        write_parquet(rows, path, table)
        _remove_older(path)
    except (UserError, OSError):
        return files
    return [path]


def _remove_older(path: Path) -> None:
    """Remove what was packed of a day before; not what somebody may just be reading."""
    files = sorted(path.parent.glob(f"*{SUFFIX}"), key=lambda file: file.stat().st_mtime_ns)
    for older, newer in itertools.pairwise(files):
        if older != path and newer.stat().st_mtime < time.time() - _KEPT_S:
            older.unlink(missing_ok=True)


def _key(table: Table, files: Sequence[Path]) -> str:
    names = [f"{file.parent.name}/{file.name}" for file in files]
    return hashlib.sha256(json.dumps([repr(table), names]).encode()).hexdigest()[:32]


def is_packed(root: Path, path: Path) -> bool:
    """Return whether a file is one of the cache."""
    return any(path.is_relative_to(root / folder) for folder in (FOLDER, OF_BOOKS))


def _folder(root: Path, table: Table) -> Path:
    return root / (OF_BOOKS if table.name in BOOKS else FOLDER) / table.name


def remove_damaged(root: Path) -> int:
    """Remove packed files that cannot be read in full; return how many."""
    count = 0
    for table in (CONTRACT[name] for name in TABLES):
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
    return _folder(root, table).glob(f"date=*/*{SUFFIX}")
