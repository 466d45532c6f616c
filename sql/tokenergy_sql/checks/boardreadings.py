"""What the power readings of each board in an hour say, read once for all checks.

In: the files of `power` of an hour. Out: rows of three small tables, see `HourReadings`. Checks
look at single readings only where these tables leave something open: an hour of 1,000 boards has 36
million.

It shares no code with the integration, which checks are to be independent of.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import POWER
from tokenergy_collectors.lake.paths import node_of
from tokenergy_collectors.lake.reading import BrokenFileError, RawFile
from tokenergy_sql.checks import boardedges
from tokenergy_sql.checks.boardedges import I64, Codes, by_device, code

if TYPE_CHECKING:
    pass

I32 = npt.NDArray[np.int32]

_COLUMNS = ("device_id", "ts_us", "power_mw", "sensor", "energy_mj")
_TEXTS = ("device_id", "sensor")
_SECOND_US = 1_000_000
_WATT_MW = 1_000
_MOST_VALUES = 10
"""A board with no more different powers than this may really draw whole watts."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """The readings of one file: those of a device next to one another, or nearly so."""

    file: str
    devices: list[str]
    device: Codes
    ts_us: I64
    power_mw: I32
    implausible: dict[str, int]
    edges: boardedges.Edges


@dataclass(frozen=True, slots=True)
class HourReadings:
    """Rows of three tables, in dicts.

    Attributes:
        boards: `board_reading`: of the rows with a power device_id, hour_us, readings (rows),
            stamps (different ones), first_us, last_us, widest_us (the longest time from one to the
            next; NULL of a single one), highest_mw, unequal (stamps at which powers differ) and
            unequal_mw (by how much at most), whole_seconds, whole_watts (more than ten different
            ones); and implausible, the rows whose sensor says so.
        spans: `file_span`: device_id, file (its name), first_us, last_us.
        edges: for `board_edge`: see `boardedges.py`.
    """

    boards: list[dict[str, Any]]
    spans: list[dict[str, Any]]
    edges: boardedges.Edges


def read_hour(lake: Lake, hour_us: int) -> HourReadings:
    """Return what the readings of an hour say.

    Args:
        lake: the lake.
        hour_us: start of the hour, microseconds UTC.
    """
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in lake.files("power", [hour_us]):
        groups[node_of(path)].append(path)
    boards: list[dict[str, Any]] = []
    spans: list[dict[str, Any]] = []
    edges: boardedges.Edges = {}
    found: dict[str, str] = {}
    again: dict[str, list[str]] = {}

    def of_group(node: str) -> list[_Rows]:
        read = {path: _read(lake, path) for path in groups[node]}
        groups[node] = [path for path in groups[node] if read[path] is not None]
        return [rows for rows in read.values() if rows is not None]

    def added(node: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]], boardedges.Edges]:
        files = of_group(node)
        return *_added(files, hour_us), boardedges.added(rows.edges for rows in files)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        # Each result is taken before the next but one is read: a node's readings are in memory.
        for node, (own, of_files, ends) in zip(groups, pool.map(added, groups), strict=True):
            spans += of_files
            edges = boardedges.added([edges, ends])
            for row in own:
                device = row["device_id"]
                if device in found:
                    again.setdefault(device, [found[device]]).append(node)
                found.setdefault(device, node)
            boards += own
    if again:  # a board that was read on several nodes
        boards = [row for row in boards if row["device_id"] not in again]
        for device, nodes in again.items():
            files = [rows for node in nodes for rows in of_group(node)]
            boards += [r for r in _added(files, hour_us)[0] if r["device_id"] == device]
    return HourReadings(boards, spans, edges)


def _read(lake: Lake, path: Path) -> _Rows | None:
    """Return the readings of a file; None of a damaged one, which goes to quarantine."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        with RawFile(path, POWER, _TEXTS) as file:
            parts = [file.read(group.number, _COLUMNS) for group in file.groups(())]
    except BrokenFileError as error:
        lake.quarantine(path, POWER, str(error))
        return None
    rows = pa.concat_tables(parts) if parts else POWER.schema().empty_table().select(_COLUMNS)
    marked = rows.filter(pc.equal(rows["sensor"], "implausible"))
    counts = marked["device_id"].cast(pa.string()).value_counts().to_pylist()
    devices, device = boardedges.codes(rows["device_id"])
    ts_us, power_mw = rows["ts_us"].to_numpy(), rows["power_mw"]
    edges = boardedges.of_rows(devices, device, ts_us, power_mw, rows["energy_mj"])
    if power_mw.null_count:
        known = power_mw.is_valid().to_numpy()
        device, ts_us, power_mw = device[known], ts_us[known], power_mw.drop_null()
    return _Rows(
        path.name,
        devices,
        device,
        ts_us,
        power_mw.to_numpy(),
        {one["values"]: one["counts"] for one in counts},
        edges,
    )


def _added(
    files: Sequence[_Rows], hour_us: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of both tables of one node and hour."""
    spans = [span for rows in files for span in _spans(rows)]
    devices = sorted({name for rows in files for name in rows.devices})
    place = {name: number for number, name in enumerate(devices)}
    known = [rows for rows in files if len(rows.device)]
    implausible: dict[str, int] = defaultdict(int)
    for rows in files:
        for name, count in rows.implausible.items():
            implausible[name] += count
    boards = []
    if known:
        device = np.concatenate(
            [
                np.array([place[name] for name in rows.devices], code(len(place)))[rows.device]
                for rows in known
            ]
        )
        ts_us = np.concatenate([rows.ts_us for rows in known])
        power_mw = np.concatenate([rows.power_mw for rows in known])
        boards = [*_boards(devices, device, ts_us, power_mw, hour_us)]
    for row in boards:
        row["implausible"] = implausible.pop(row["device_id"], 0)
    nothing = dict.fromkeys(("readings", "stamps", "unequal"), 0)
    boards += [
        {"device_id": name, "hour_us": hour_us, **nothing, "implausible": count}
        for name, count in implausible.items()
    ]
    return boards, spans


def _spans(rows: _Rows) -> Iterator[dict[str, Any]]:
    if not len(rows.device):
        return
    device, ts_us = by_device(rows.device, rows.ts_us)
    begins = np.flatnonzero(np.diff(device, prepend=-1))
    least, most = np.minimum.reduceat(ts_us, begins), np.maximum.reduceat(ts_us, begins)
    for at, first_us, last_us in zip(begins.tolist(), least.tolist(), most.tolist(), strict=True):
        name = rows.devices[device[at]]
        yield {"device_id": name, "file": rows.file, "first_us": first_us, "last_us": last_us}


def _boards(
    devices: Sequence[str], device: Codes, ts_us: I64, power_mw: I32, hour_us: int
) -> Iterator[dict[str, Any]]:
    """Yield the rows of `board_reading` of one node, without `implausible`."""
    device, ts_us, power_mw = by_device(device, ts_us, power_mw)
    begins = np.flatnonzero(np.diff(device, prepend=-1))
    step = np.diff(ts_us)
    step[begins[1:] - 1] = 1
    if step.min(initial=1) < 0:  # files whose times overlap
        order = np.lexsort((ts_us, device))
        ts_us, power_mw = ts_us[order], power_mw[order]
        step = np.diff(ts_us)
        step[begins[1:] - 1] = 1
    ends = np.append(begins[1:], len(device))
    rows = [slice(begin, end) for begin, end in zip(begins, ends, strict=True)]
    between = [slice(own.start, own.stop - 1) for own in rows]
    unequal, unequal_mw = _unequal(power_mw, np.flatnonzero(step == 0), begins)
    figures = {
        "readings": ends - begins,
        "stamps": [int(np.count_nonzero(step[own])) + 1 for own in between],
        "first_us": ts_us[begins],
        "last_us": ts_us[ends - 1],
        "widest_us": [int(step[own].max()) or None if len(step[own]) else None for own in between],
        "highest_mw": np.maximum.reduceat(power_mw, begins),
        "unequal": unequal,
        "unequal_mw": unequal_mw,
        "whole_seconds": [_are_multiples(ts_us[own], _SECOND_US) for own in rows],
        "whole_watts": [
            _are_multiples(power_mw[own], _WATT_MW) and len(np.unique(power_mw[own])) > _MOST_VALUES
            for own in rows
        ],
    }
    columns = [
        column if isinstance(column, list) else column.tolist() for column in figures.values()
    ]
    for begin, row in zip(begins, zip(*columns, strict=True), strict=True):
        name = devices[device[begin]]
        yield {"device_id": name, "hour_us": hour_us, **dict(zip(figures, row, strict=True))}


def _unequal(power_mw: I32, again: npt.NDArray[np.intp], begins: I64) -> tuple[I64, I64]:
    """Return at how many stamps of each board powers differ, and by how much at most.

    Args:
        power_mw: int32[n], by board and stamp.
        again: the rows whose next row has the same board and stamp.
        begins: the first row of each board.
    """
    count, most = np.zeros(len(begins), np.int64), np.zeros(len(begins), np.int64)
    if len(again):
        first = again[np.diff(again, prepend=-2) > 1]
        last = again[np.diff(again, append=len(power_mw) + 1) > 1] + 1
        # Every other stretch is what lies between two such stamps; one more row ends the last.
        padded, edges = np.append(power_mw, 0), np.column_stack((first, last + 1)).ravel()
        apart = (np.maximum.reduceat(padded, edges) - np.minimum.reduceat(padded, edges))[::2]
        board = np.searchsorted(begins, first, side="right") - 1
        np.add.at(count, board, apart > 0)
        np.maximum.at(most, board, apart)
    return count, most


def _are_multiples(values: npt.NDArray[Any], of: int) -> bool:
    """Say whether all values are multiples of a number: of most boards, the first few are not."""
    return not (values[:64] % of).any() and not (values % of).any()
