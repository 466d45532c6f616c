"""One file a day, and one a month, for books that are read whole.

In: the published files of a table, one for each hour. Out: files with the same rows in the same
order, one for each past day; and one for each past month whose days are small.

Whoever asks about a year of jobs would open 8,760 files of each table. The file
`books/days/TABLE/date=YYYY-MM-DD/KEY.parquet` has the rows of a day, `.../date=YYYY-MM/KEY.parquet`
those of a month; KEY is a digest of the names of the hours' files, none of which ever changes. The
days of a month stay: when an hour of it is restated, its other days are not read hour by hour.
`catalog.duckdb` names these files, so after they are removed it fails until the next run of the
index. A lake that cannot be written has none.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import HOUR_US, Table
from tokenergy_collectors.lake.contract import TABLES as CONTRACT
from tokenergy_collectors.lake.monthly import ScalarByHour
from tokenergy_collectors.lake.paths import SUFFIX, partition
from tokenergy_collectors.lake.published import BOOKS, by_hour, place_of
from tokenergy_collectors.lake.published import FOLDER as BOOKS_FOLDER
from tokenergy_collectors.lake.reading import BrokenFileError, read_columns
from tokenergy_collectors.lake.writing import write_parquet

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = f"{BOOKS_FOLDER}/days"
TABLES = tuple(name for name in BOOKS if name != "ledger")
"""Tables that are packed: not the ledger, which is as large as all others together."""

_MANY = 4
"""A day, or a month, with fewer files is read as it is."""

_MONTH_BYTES = 32 << 20
"""A month of more bytes stays in days: to open its files costs little beside reading them."""

_KEPT_S = 86_400.0
"""A packed file is kept so long after another one took its place."""

_DAY_US = 24 * HOUR_US

Read = Callable[[Sequence[Path]], "pa.Table"]
"""Reads all columns of some files."""


def packed(root: Path, table: Table, tags: Mapping[int, str], read: Read, most: int) -> list[str]:
    """Return the files that hold the rows of a table, in their order; as texts.

    Args:
        root: the lake.
        table: one of `TABLES`.
        tags: of all published files of the table, by start of the hour (us UTC).
        read: see `Read`.
        most: how many days are packed now, if they are not yet. Other days are read as they are.
    """
    values = by_hour(tags)
    packing = _Packing(root, table, values, read, most)
    *past, last = values.months() or [""]
    found = [file for month in past for file in packing.month(month)]
    # The last day still grows: it would be packed again after every hour.
    return found + packing.days(_days(values, last), grows=True)


def _days(tags: ScalarByHour[str], month: str) -> list[_Day]:
    """Return the days of a month that have files."""
    hours = sorted(tags.of_month(month))
    return [
        (partition(day * _DAY_US).partition("/")[0], [*of_day])
        for day, of_day in itertools.groupby(hours, lambda hour_us: hour_us // _DAY_US)
    ]


_Day = tuple[str, list[int]]
"""Name of its folder, `date=YYYY-MM-DD`, and the hours that have files, ascending."""


class _Packing:
    """Finds the files of the days and months of a table, and packs some that are not packed.

    Args:
        root, table, tags, read: as for `packed`.
        left: how many days may be packed.
    """

    def __init__(
        self, root: Path, table: Table, tags: ScalarByHour[str], read: Read, left: int
    ) -> None:
        self._root, self._table, self._tags, self._read = root, table, tags, read
        self._keys, self._left = _Keys(table), left

    def month(self, month: str) -> list[str]:
        """Return the files of a past month, `YYYY-MM`."""
        # A text of a month, that need not be parsed: a year has 79,000 tags.
        path = self._path(f"date={month}", self._keys.of_month(self._tags.text(month)))
        if os.path.exists(path):  # noqa: PTH110 - a Path costs more than the call
            return [path]
        days = _days(self._tags, month)
        found = self.days(days, grows=False)
        if self._left == 0 or len(found) < _MANY or not _is_small(found):
            return found
        self._left = max(0, self._left - len(days))
        return _pack(Path(path), self._table, found, self._read)

    def days(self, days: Sequence[_Day], *, grows: bool) -> list[str]:
        """Return the files of some days; the last of them is not packed if it still grows."""
        past, last = (days[:-1], days[-1:]) if grows else (days, days[:0])
        found = [file for day in past for file in self._day(*day)]
        return found + [file for _, hours in last for file in self._files(hours)]

    def _day(self, date: str, hours: Sequence[int]) -> list[str]:
        if len(hours) < _MANY:
            return self._files(hours)
        path = self._path(date, self._keys.of(hours, self._tags))
        if os.path.exists(path):  # noqa: PTH110 - a Path costs more than the call
            return [path]
        if self._left == 0:
            return self._files(hours)
        self._left -= 1
        return _pack(Path(path), self._table, self._files(hours), self._read)

    def _path(self, date: str, key: str) -> str:
        return f"{self._root}/{FOLDER}/{self._table.name}/{date}/{key}{SUFFIX}"

    def _files(self, hours: Iterable[int]) -> list[str]:
        name = self._table.name
        return [place_of(self._root, name, hour_us, self._tags[hour_us]) for hour_us in hours]


def _is_small(files: Iterable[str]) -> bool:
    """Return whether files are small enough for one."""
    try:
        return sum(Path(file).stat().st_size for file in files) <= _MONTH_BYTES
    except FileNotFoundError:
        return False


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

    def of(self, hours: Sequence[int], tags: Mapping[int, str]) -> str:
        """Return the key of a day.

        Args:
            hours: that have files, ascending.
            tags: of all hours.
        """
        day_us = hours[0] - hours[0] % _DAY_US
        # Names of tables and tags need no escapes, and a year has thousands of days of tables.
        names = ", ".join(
            f'"hour={(hour_us - day_us) // HOUR_US:02d}/{self._name}{tag and "-"}{tag}{SUFFIX}"'
            for hour_us, tag in ((hour_us, tags[hour_us]) for hour_us in hours)
        )
        digest = self._begun.copy()
        digest.update(f"{names}]]".encode())
        return digest.hexdigest()[:32]

    def of_month(self, text: bytes) -> str:
        """Return the key of a month, from its text in the list of books: its hours and tags."""
        digest = self._begun.copy()
        digest.update(text)
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
