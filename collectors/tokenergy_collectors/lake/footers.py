"""The columns of files whose footers were read before, kept in the lake's cache.

In: files of a table. Out: the columns of the contract that each has. To open a footer costs a
hundred times as much as to look at a file's size and time, and a lake of a year has a million
files.

`cache/footers/TABLE/date=YYYY-MM-DD.json` has the files of a day. The folder may be removed at any
time; a lake that cannot be written has none.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tokenergy_collectors.lake.absent import stat_of
from tokenergy_collectors.lake.contract import TABLES, Table
from tokenergy_collectors.lake.modes import make_file, make_folders
from tokenergy_collectors.lake.reading import columns_of

FOLDER = "cache/footers"

_DEPTH = 3
"""Levels of folders between the lake and a file."""


@dataclass(slots=True)
class _Day:
    """What is known of the files of one table and day.

    Attributes:
        sets: sets of columns; few, since all files of a version have the same.
        files: by `hour=HH/NAME`: size, time (ns) and place in `sets`.
        fresh: whether there is more than what was read from the cache.
    """

    sets: list[frozenset[str]] = field(default_factory=list)
    files: dict[str, list[int]] = field(default_factory=dict)
    fresh: bool = False


class Footers:
    """Knows the columns of the files of a lake.

    Args:
        root: the lake.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._days: dict[tuple[str, str], _Day] = {}

    def columns(self, path: Path, table: Table) -> frozenset[str]:
        """Return the columns of a file that a table's contract has.

        Args:
            path: a file in an hour folder of the table.
            table: the table.

        Raises:
            BrokenFileError, FileNotFoundError, UserError: as `reading.columns_of`.
        """
        day = self._day(table.name, path.parent.parent.name)
        key = f"{path.parent.name}/{path.name}"
        now = list(stat_of(path))
        known = day.files.get(key)
        if known is not None and known[:2] == now:
            return day.sets[known[2]]
        found = columns_of(path, table)
        if found not in day.sets:
            day.sets.append(found)
        day.files[key] = [*now, day.sets.index(found)]
        day.fresh = True
        return found

    def save(self) -> None:
        """Keep what was read. A cache that cannot be written is left as it is."""
        for (table, date), day in self._days.items():
            if day.fresh:
                with suppress(OSError):
                    self._write(self._path(table, date), table, day)
                day.fresh = False

    def _day(self, table: str, date: str) -> _Day:
        if (table, date) not in self._days:
            self._days[table, date] = self._read(table, date)
        return self._days[table, date]

    def _read(self, table: str, date: str) -> _Day:
        try:
            content = json.loads(self._path(table, date).read_text("utf-8"))
            if content["contract"] != _version(table):
                return _Day()
            sets = [frozenset(names) for names in content["sets"]]
            files = {key: [*map(int, of_file)] for key, of_file in content["files"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return _Day()
        whole = all(len(of_file) == 3 and 0 <= of_file[2] < len(sets) for of_file in files.values())
        return _Day(sets, files) if whole else _Day()

    def _write(self, path: Path, table: str, day: _Day) -> None:
        make_folders(path.parent, _DEPTH)
        content = {
            "contract": _version(table),
            "sets": [sorted(names) for names in day.sets],
            "files": day.files,
        }
        aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        make_file(aside)
        aside.write_text(json.dumps(content), "utf-8")
        aside.replace(path)

    def _path(self, table: str, date: str) -> Path:
        return self._root / FOLDER / table / f"{date}.json"


def _version(table: str) -> str:
    """Return a digest of a table's contract: what a footer must have depends on it."""
    return hashlib.sha256(repr(TABLES[table]).encode()).hexdigest()[:16]
