"""Which row groups of which files hold a node's power readings, by the files' footers alone.

In: a lake. Out: the row groups of a node around an hour, each with the devices and the time it
spans, so that a reader can skip those that hold nothing it wants. Footers are kept in memory for
the next hour, which asks for them again; so are the names in each folder, which each node asks for.
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
from tokenergy_transforms.powerfolders import PowerFolders

TEXTS = ("device_id",)
"""Columns that are read as dictionaries: a number for each row, and each text once."""

_ALWAYS = 2**63 - 1
_WHOLE_TEXT = 16
_ROWS_A_RUN = 1024
"""Shorter runs are not noted: a file that is not sorted has as many runs as rows."""

Runs = tuple[list[str], I64]
"""Which rows of a row group belong to which device: device_ids, and int64[R, 3]: the place among
them, the first row and one past the last row of each run of rows of one device."""


@dataclass(frozen=True, slots=True)
class RowGroupRef:
    """One row group: its file and place there, its rows, and what it spans.

    Without statistics it may hold any device and any time. `epoch` is the epoch of all its rows,
    None if there may be several; `sensor` likewise.
    """

    path: Path
    number: int
    rows: int
    first_id: str | None
    last_id: str | None
    first_us: int
    last_us: int
    epoch: int | None = None
    sensor: str | None = None

    def holds(self, first_id: str, last_id: str, begin_us: int, end_us: int) -> bool:
        """Say whether it may hold readings of first_id..last_id in [begin_us, end_us)."""
        if self.last_us < begin_us or self.first_us >= end_us:
            return False
        if self.first_id is None or self.last_id is None:
            return True
        return self.first_id <= last_id and first_id <= self.last_id


class PowerFiles:
    """The power files of a lake. May be asked by several threads.

    Args:
        lake: the lake.

    Attributes:
        lake: as given.
        folders: the files that are there; another object after one of them has gone.
    """

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.folders = PowerFolders(lake)
        self._row_groups: dict[Path, list[RowGroupRef]] = {}
        self._around: dict[tuple[str, int, int], list[RowGroupRef]] = {}
        self._runs: dict[Path, dict[int, Runs]] = {}
        self._forgotten_us = -_ALWAYS
        self._lock = threading.Lock()

    def around(self, node: str, hour_us: int, margin_us: int) -> list[RowGroupRef]:
        """Return the row groups that may hold readings of a node in an hour and a margin around it.

        Broken files go to quarantine. Files of the next hour are opened only if their names do not
        show that they begin too late. Each folder is listed once.
        """
        key = (node, hour_us, margin_us)
        with self._lock:
            found = self._around.get(key)
        if found is None:
            found = self._look_around(node, hour_us, margin_us)
            with self._lock:
                self._around[key] = found
        return found

    def _look_around(self, node: str, hour_us: int, margin_us: int) -> list[RowGroupRef]:
        begin_us, end_us = hour_us - margin_us, hour_us + HOUR_US + margin_us
        found = []
        for hour in (hour_us - HOUR_US, hour_us, hour_us + HOUR_US):
            for path in self.folders.files(node, hour):
                if hour > hour_us and _first_us(path) >= end_us:
                    continue
                found += [
                    group
                    for group in self._groups(path)
                    if group.last_us >= begin_us and group.first_us < end_us
                ]
        return found

    def of_hour(self, node: str, hour_us: int) -> list[tuple[Path, list[RowGroupRef]]]:
        """Return the files of a node in the folder of an hour, each with its row groups."""
        paths = self.folders.files(node, hour_us)
        return [(path, groups) for path in paths if (groups := self._groups(path))]

    def runs(self, group: RowGroupRef) -> Runs | None:
        """Return which rows of a row group belong to which device, if that was noted."""
        with self._lock:
            return self._runs.get(group.path, {}).get(group.number)

    def note_runs(self, group: RowGroupRef, runs: Runs) -> None:
        """Note which rows of a row group belong to which device, if they are few runs."""
        if len(runs[1]) * _ROWS_A_RUN <= group.rows:
            with self._lock:
                self._runs.setdefault(group.path, {})[group.number] = runs

    def drop(self, path: Path, why: Exception) -> None:
        """Forget a file that cannot be read; if it is broken, move it to quarantine."""
        if isinstance(why, BrokenFileError):
            self.lake.quarantine(path, POWER, str(why))
        with self._lock:
            self._row_groups.pop(path, None)
            self._runs.pop(path, None)
            self._list_again()

    def forget_before(self, hour_us: int) -> None:
        """Forget what ends before an hour."""
        with self._lock:
            # Once an hour, not once for each of its nodes: all files are looked at.
            if hour_us == self._forgotten_us:
                return
            self._forgotten_us = hour_us
            self._row_groups = {
                path: groups
                for path, groups in self._row_groups.items()
                if any(group.last_us >= hour_us for group in groups)
            }
            self._runs = {
                path: runs for path, runs in self._runs.items() if path in self._row_groups
            }
            self._around = {key: found for key, found in self._around.items() if key[1] >= hour_us}
            self.folders.forget_before(hour_us)

    def _list_again(self) -> None:
        self.folders = PowerFolders(self.lake)
        self._around.clear()

    def _groups(self, path: Path) -> list[RowGroupRef]:
        with self._lock:
            groups = self._row_groups.get(path)
        if groups is None:
            groups = self._read_footer(path)
            with self._lock:
                self._row_groups[path] = groups
        return groups

    def _read_footer(self, path: Path) -> list[RowGroupRef]:
        try:
            return _row_groups_of(path)
        except BrokenFileError as error:
            self.lake.quarantine(path, POWER, str(error))
        except FileNotFoundError:  # another process moved it
            pass
        with self._lock:
            self._list_again()
        return []


def _row_groups_of(path: Path) -> list[RowGroupRef]:
    with RawFile(path, POWER, TEXTS) as file:
        return [
            RowGroupRef(
                path=path,
                number=group.number,
                rows=group.rows,
                first_id=group.first["device_id"],
                last_id=group.last["device_id"],
                first_us=_or(group.first["ts_us"], -_ALWAYS),
                last_us=_or(group.last["ts_us"], _ALWAYS),
                epoch=_epoch(group),
                sensor=_sensor(group),
            )
            for group in file.groups(("device_id", "ts_us", "epoch", "sensor"))
        ]


def _epoch(group: RowGroup) -> int | None:
    """Return the epoch of all rows, if there is only one and it fits a counter's."""
    epoch = group.first["epoch"] if "epoch" in group.constant else None
    return epoch if epoch is not None and abs(epoch) < 2**31 else None


def _sensor(group: RowGroup) -> str | None:
    """Return the sensor of all rows, if there is only one; long texts may be cut off."""
    sensor: str | None = group.first["sensor"]
    same = sensor == group.last["sensor"] and "sensor" in group.full
    return sensor if sensor is not None and same and len(sensor) <= _WHOLE_TEXT else None


def _or(value: int | None, other: int) -> int:
    return other if value is None else value


def _first_us(path: Path) -> int:
    """Return the first stamp in a raw file's name; the smallest possible one if it has none."""
    name = parse_raw_name(path.name)
    return -_ALWAYS if name is None else name.first_us
