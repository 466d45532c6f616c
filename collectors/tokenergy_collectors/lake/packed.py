"""One file a day, in the lake's cache, for tables that are read whole.

In: the raw files of a table, many and small. Out: files with the same rows in the same order: those
of a past day are one file, if there are many.

Whoever asks which job held which board reads `jobs` and `device` of all time, and a fleet writes
some thousand of their files a day. `cache/packed/TABLE/date=.../KEY.parquet` has the rows of a day;
KEY is a digest of the names of its raw files, which are never rewritten. The folder may be removed
at any time; a lake that cannot be written has none.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import Table
from tokenergy_collectors.lake.paths import SUFFIX
from tokenergy_collectors.lake.reading import BrokenFileError, read_columns
from tokenergy_collectors.lake.writing import write_parquet

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "cache/packed"
TABLES = ("jobs", "device")
"""Tables that are packed."""

_MANY = 4
"""A day with fewer files is read as it is."""

_KEPT_S = 86_400.0
"""A packed file is kept so long after another one took its place."""

Read = Callable[[Sequence[Path]], "pa.Table"]
"""Reads all columns of some raw files; those that break the contract go to quarantine."""


def packed(root: Path, table: Table, files: Sequence[Path], read: Read) -> list[Path]:
    """Return the files that hold the rows of a table, in their order; pack days that are not.

    Args:
        root: the lake.
        table: one of `TABLES`.
        files: all raw files of the table, sorted by path.
        read: see `Read`.
    """
    days = [(name, [*of_day]) for name, of_day in groupby(files, lambda f: f.parent.parent.name)]
    found: list[Path] = []
    for place, (date, of_day) in enumerate(days):
        # The last day still grows: it would be packed again after every file.
        few = len(of_day) < _MANY or place == len(days) - 1
        found += of_day if few else _of_day(root / FOLDER / table.name / date, table, of_day, read)
    return found


def _of_day(folder: Path, table: Table, files: list[Path], read: Read) -> list[Path]:
    path = folder / f"{_key(table, files)}{SUFFIX}"
    if path.exists():
        return [path]
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
    """Remove what was packed of a day before; not what another process may just be reading."""
    for older in path.parent.glob(f"*{SUFFIX}"):
        if older != path and older.stat().st_mtime < time.time() - _KEPT_S:
            older.unlink(missing_ok=True)


def _key(table: Table, files: Sequence[Path]) -> str:
    names = [f"{file.parent.name}/{file.name}" for file in files]
    return hashlib.sha256(json.dumps([repr(table), names]).encode()).hexdigest()[:32]


def is_packed(root: Path, path: Path) -> bool:
    """Return whether a file is one of the cache."""
    return path.is_relative_to(root / FOLDER)


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
