"""One file a day for books that are read whole.

In: the published files of a table, one for each hour. Out: files with the same rows in the same
order, one for each past day.

Whoever asks about a year of jobs would open 8,760 files of each table. The file
`books/days/TABLE/date=YYYY-MM-DD/KEY.parquet` has the rows of a day; KEY is a digest of the names
of the hours' files, none of which ever changes. `catalog.duckdb` names these files, so after they
are removed it fails until the next run of the index. A lake that cannot be written has none.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Callable, Sequence
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

FOLDER = f"{BOOKS_FOLDER}/days"
TABLES = tuple(name for name in BOOKS if name != "ledger")
"""Tables that are packed: not the ledger, which is as large as all others together."""

_MANY = 4
"""A day with fewer files is read as it is."""

_KEPT_S = 86_400.0
"""A packed file is kept so long after another one took its place."""

Read = Callable[[Sequence[Path]], "pa.Table"]
"""Reads all columns of some files."""


def packed(
    root: Path, table: Table, files: Sequence[Path], read: Read, most: int | None
) -> list[Path]:
    """Return the files that hold the rows of a table, in their order.

    Args:
        root: the lake.
        table: one of `TABLES`.
        files: all published files of the table, in the order of their hours.
        read: see `Read`.
        most: how many days are packed now, if they are not yet; all if None. Other days are read
            as they are.
    """
    by_date = itertools.groupby(files, lambda file: file.parts[-3])
    days = [(date, [*of_day]) for date, of_day in by_date]
    contract = repr(table)
    found: list[Path] = []
    left = len(days) if most is None else most
    for place, (date, of_day) in enumerate(days):
        # The last day still grows: it would be packed again after every hour.
        if len(of_day) < _MANY or place == len(days) - 1:
            found += of_day
            continue
        path = root / FOLDER / table.name / date / f"{_key(contract, of_day)}{SUFFIX}"
        if path.exists():
            found.append(path)
        elif left == 0:
            found += of_day
        else:
            left -= 1
            found += _pack(path, table, of_day, read)
    return found


def _pack(path: Path, table: Table, files: list[Path], read: Read) -> list[Path]:
    try:
        write_parquet(read(files), path, table)
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


def _key(contract: str, files: Sequence[Path]) -> str:
    names = ["/".join(file.parts[-2:]) for file in files]
    return hashlib.sha256(json.dumps([contract, names]).encode()).hexdigest()[:32]


def is_packed(root: Path, path: Path) -> bool:
    """Return whether a file is a packed one."""
    return path.is_relative_to(root / FOLDER)


def remove_damaged(root: Path) -> int:
    """Remove packed files that cannot be read in full; return how many."""
    count = 0
    for name in TABLES:
        table = CONTRACT[name]
        for path in (root / FOLDER / name).glob(f"date=*/*{SUFFIX}"):
            try:
                read_columns(path, table, table.column_names)
            except BrokenFileError:
                path.unlink(missing_ok=True)
                count += 1
            except FileNotFoundError:
                continue
    return count
