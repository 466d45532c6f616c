"""Which row groups of which files hold a node's power readings, told by their ends alone.

In: a lake. Out: the row groups of a node around an hour, each with the devices and the time it
spans, so that a reader can leave out those that hold nothing of his. What a file's end says is kept
for the next hour, which asks again.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US, POWER
from tokenergy_collectors.lake.paths import parse_raw_name
from tokenergy_collectors.lake.reading import BrokenFileError, RawFile, RowGroup
from tokenergy_transforms.batch import I64

TEXTS = ("device_id",)
"""Columns that are read as dictionaries: a number a row, and each text once."""

_ALWAYS = 2**63 - 1
_ROWS_A_RUN = 1024
"""Runs of fewer rows are not worth keeping: a file that is not sorted has as many runs as rows."""

Runs = tuple[list[str], I64]
"""Which rows of a row group are whose: device_ids, and int64[R, 3]: the place among them, the first
row and one past the last row of each run of rows of one device."""


@dataclass(frozen=True, slots=True)
class Part:
    """One row group: its file and place there, its rows, and what it spans.

    Without statistics it may hold any device and any time. `epoch` is that of all its rows, None if
    there may be several.
    """

    path: Path
    number: int
    rows: int
    first_id: str | None
    last_id: str | None
    first_us: int
    last_us: int
    epoch: int | None = None

    def holds(self, first_id: str, last_id: str, begin_us: int, end_us: int) -> bool:
        """Tell whether it may hold readings of first_id..last_id in [begin_us, end_us)."""
        if self.last_us < begin_us or self.first_us >= end_us:
            return False
        if self.first_id is None or self.last_id is None:
            return True
        return self.first_id <= last_id and first_id <= self.last_id


class PowerFiles:
    """The power files of a lake. May be asked by several threads.

    Args:
        lake: the lake.
    """

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._known: dict[Path, list[Part]] = {}
        self._around: dict[tuple[str, int, int], list[Part]] = {}
        self._runs: dict[Path, dict[int, Runs]] = {}
        self._lock = threading.Lock()

    def around(self, node: str, hour_us: int, margin_us: int) -> list[Part]:
        """Return the row groups that may hold readings of a node in an hour and a margin around it.

        Broken files go to quarantine. Files of other hours are opened only where their names do
        not tell that they begin too late. The folders are looked at once.
        """
        key = (node, hour_us, margin_us)
        with self._lock:
            found = self._around.get(key)
        if found is None:
            found = self._look_around(node, hour_us, margin_us)
            with self._lock:
                self._around[key] = found
        return found

    def _look_around(self, node: str, hour_us: int, margin_us: int) -> list[Part]:
        begin_us, end_us = hour_us - margin_us, hour_us + HOUR_US + margin_us
        found = []
        for hour in (hour_us - HOUR_US, hour_us, hour_us + HOUR_US):
            for path in self.lake.files("power", [hour], node):
                if hour > hour_us and _first_us(path) >= end_us:
                    continue
                found += [
                    part
                    for part in self._parts(path)
                    if part.last_us >= begin_us and part.first_us < end_us
                ]
        return found

    def of_hour(self, node: str, hour_us: int) -> list[tuple[Path, list[Part]]]:
        """Return the files of a node that lie in an hour, each with its row groups."""
        paths = self.lake.files("power", [hour_us], node)
        return [(path, parts) for path in paths if (parts := self._parts(path))]

    def runs(self, part: Part) -> Runs | None:
        """Return which rows of a row group are whose, if it was noted."""
        with self._lock:
            return self._runs.get(part.path, {}).get(part.number)

    def note_runs(self, part: Part, runs: Runs) -> None:
        """Note which rows of a row group are whose, if they are few runs."""
        if len(runs[1]) * _ROWS_A_RUN <= part.rows:
            with self._lock:
                self._runs.setdefault(part.path, {})[part.number] = runs

    def drop(self, path: Path, why: Exception) -> None:
        """Take a file out that cannot be read: to quarantine, if it is still there."""
        if isinstance(why, BrokenFileError):
            self.lake.quarantine(path, POWER, str(why))
        with self._lock:
            self._known.pop(path, None)
            self._runs.pop(path, None)
            self._around.clear()

    def forget_before(self, hour_us: int) -> None:
        """Forget what lies wholly before an hour."""
        with self._lock:
            self._known = {
                path: parts
                for path, parts in self._known.items()
                if any(part.last_us >= hour_us for part in parts)
            }
            self._runs = {path: runs for path, runs in self._runs.items() if path in self._known}
            self._around = {key: found for key, found in self._around.items() if key[1] >= hour_us}

    def _parts(self, path: Path) -> list[Part]:
        with self._lock:
            known = self._known.get(path)
        if known is None:
            known = self._look(path)
            with self._lock:
                self._known[path] = known
        return known

    def _look(self, path: Path) -> list[Part]:
        try:
            return _parts_of(path)
        except BrokenFileError as error:
            self.lake.quarantine(path, POWER, str(error))
        except FileNotFoundError:  # another process moved it
            pass
        return []


def _parts_of(path: Path) -> list[Part]:
    with RawFile(path, POWER, TEXTS) as file:
        return [
            Part(
                path=path,
                number=group.number,
                rows=group.rows,
                first_id=group.first["device_id"],
                last_id=group.last["device_id"],
                first_us=_or(group.first["ts_us"], -_ALWAYS),
                last_us=_or(group.last["ts_us"], _ALWAYS),
                epoch=_epoch(group),
            )
            for group in file.groups(("device_id", "ts_us", "epoch"))
        ]


def _epoch(group: RowGroup) -> int | None:
    """Return the epoch of all rows, if there is but one and it is a counter's."""
    epoch = group.first["epoch"] if "epoch" in group.constant else None
    return epoch if epoch is not None and abs(epoch) < 2**31 else None


def _or(value: int | None, other: int) -> int:
    return other if value is None else value


def _first_us(path: Path) -> int:
    """Return the first stamp that a raw file's name tells; else the smallest there is."""
    name = parse_raw_name(path.name)
    return -_ALWAYS if name is None else name.first_us
