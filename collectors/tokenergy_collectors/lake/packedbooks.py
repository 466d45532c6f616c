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
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import HOUR_US, Table
from tokenergy_collectors.lake.contract import TABLES as CONTRACT
from tokenergy_collectors.lake.paths import SUFFIX, partition
from tokenergy_collectors.lake.published import BOOKS, place_of
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

_DAY_US = 24 * HOUR_US

Read = Callable[[Sequence[Path]], "pa.Table"]
"""Reads all columns of some files."""


def packed(
    root: Path, table: Table, tags: Mapping[int, str], read: Read, most: int | None
) -> list[str]:
    """Return the files that hold the rows of a table, in their order; as texts.

    Args:
        root: the lake.
        table: one of `TABLES`.
        tags: of all published files of the table, by start of the hour (us UTC).
        read: see `Read`.
        most: how many days are packed now, if they are not yet; all if None. Other days are read
            as they are.
    """
    # To make the paths of a year as `Path` takes longer than all else.
    by_day = itertools.groupby(sorted(tags), lambda hour_us: hour_us // _DAY_US)
    days = [(day * _DAY_US, [*of_day]) for day, of_day in by_day]
    keys = _Keys(table)
    found: list[str] = []
    left = len(days) if most is None else most
    for place, (day_us, of_day) in enumerate(days):
        files = partial(_files, root, table.name, tags, of_day)
        # The last day still grows: it would be packed again after every hour.
        if len(of_day) < _MANY or place == len(days) - 1:
            found += files()
            continue
        date = partition(day_us).partition("/")[0]
        key = keys.of(day_us, of_day, tags)
        path = f"{root}/{FOLDER}/{table.name}/{date}/{key}{SUFFIX}"
        if os.path.exists(path):  # noqa: PTH110 - a Path costs more than the call
            found.append(path)
        elif left == 0:
            found += files()
        else:
            left -= 1
            found += _pack(Path(path), table, files(), read)
    return found


def _files(root: Path, table: str, tags: Mapping[int, str], hours: Iterable[int]) -> list[str]:
    return [place_of(root, table, hour_us, tags[hour_us]) for hour_us in hours]


def _pack(path: Path, table: Table, files: list[str], read: Read) -> list[str]:
    try:
        write_parquet(read([*map(Path, files)]), path, table)
        _remove_older(path)
    except (UserError, OSError):
        return files
    return [str(path)]


def _remove_older(path: Path) -> None:
    """Remove what was packed of a day before; not what somebody may just be reading."""
    files = sorted(path.parent.glob(f"*{SUFFIX}"), key=lambda file: file.stat().st_mtime_ns)
    for older, newer in itertools.pairwise(files):
        if older != path and newer.stat().st_mtime < time.time() - _KEPT_S:
            older.unlink(missing_ok=True)


class _Keys:
    """Makes the keys of a table's days: digests of `[CONTRACT, [NAME, ...]]` in JSON.

    Args:
        table: the table.
    """

    def __init__(self, table: Table) -> None:
        self._name = table.name
        self._begun = hashlib.sha256(f"[{json.dumps(repr(table))}, [".encode())

    def of(self, day_us: int, hours: Iterable[int], tags: Mapping[int, str]) -> str:
        """Return the key of a day.

        Args:
            day_us: its start.
            hours: that have files, ascending.
            tags: of all hours.
        """
        # Names of tables and tags need no escapes, and a year has thousands of days of tables.
        names = ", ".join(
            f'"hour={(hour_us - day_us) // HOUR_US:02d}/{self._name}{tag and "-"}{tag}{SUFFIX}"'
            for hour_us, tag in ((hour_us, tags[hour_us]) for hour_us in hours)
        )
        digest = self._begun.copy()
        digest.update(f"{names}]]".encode())
        return digest.hexdigest()[:32]


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
