"""What the power readings of each board in an hour say, read once for all checks.

In: the files of `power` of some hours. Out: two small tables: `board_reading`, one row a board and
hour, and `file_span`, from when to when each file has readings of each board. Checks look at single
readings only where these tables leave something open: an hour of 1,000 boards has 36 million.

It shares no code with the integration, which checks are to be independent of.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import POWER
from tokenergy_collectors.lake.paths import hour_of_path, node_of
from tokenergy_collectors.lake.reading import BrokenFileError, RawFile

if TYPE_CHECKING:
    import pyarrow as pa

Codes = npt.NDArray[np.int16 | np.int32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

_COLUMNS = ("device_id", "ts_us", "power_mw", "sensor")
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


def board_readings(lake: Lake, hours: Sequence[int]) -> Mapping[str, pa.Table]:
    """Return the tables `board_reading` and `file_span`.

    `board_reading` has, of the rows with a power: device_id, hour_us, readings (rows), stamps
    (different ones), first_us, last_us, widest_us (the longest time from one to the next; NULL of a
    single one), highest_mw, unequal (stamps at which powers differ) and
    unequal_mw (by how much at most), whole_seconds, whole_watts (more than ten different ones); and
    implausible, the rows whose sensor says so. `file_span` has device_id, file (its name),
    first_us, last_us.

    Args:
        lake: the lake.
        hours: starts of the hours, microseconds UTC.
    """
    import pyarrow as pa

    groups: dict[tuple[int, str], list[Path]] = defaultdict(list)
    for path in lake.files("power", hours):
        groups[hour_of_path(path), node_of(path)].append(path)
    boards: list[dict[str, Any]] = []
    spans: list[dict[str, Any]] = []
    found: dict[tuple[str, int], tuple[int, str]] = {}
    again: dict[tuple[str, int], list[tuple[int, str]]] = {}

    def of_group(key: tuple[int, str]) -> list[_Rows]:
        read = {path: _read(lake, path) for path in groups[key]}
        groups[key] = [path for path in groups[key] if read[path] is not None]
        return [rows for rows in read.values() if rows is not None]

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        # Each result is taken before the next but one is read: a node's readings are in memory.
        for key, (own, of_files) in zip(
            groups, pool.map(lambda key: _added(of_group(key), key[0]), groups), strict=True
        ):
            spans += of_files
            for row in own:
                place = row["device_id"], key[0]
                if place in found:
                    again.setdefault(place, [found[place]]).append(key)
                found.setdefault(place, key)
            boards += own
    if again:  # a board that was read on several nodes
        boards = [row for row in boards if (row["device_id"], row["hour_us"]) not in again]
        for (device, hour_us), keys in again.items():
            files = [rows for key in keys for rows in of_group(key)]
            boards += [r for r in _added(files, hour_us)[0] if r["device_id"] == device]
    return {
        "board_reading": pa.Table.from_pylist(boards, schema=_board_schema()),
        "file_span": pa.Table.from_pylist(spans, schema=_span_schema()),
    }


def _board_schema() -> pa.Schema:
    import pyarrow as pa

    numbers = (
        *("readings", "stamps", "first_us", "last_us", "widest_us"),
        *("highest_mw", "unequal", "unequal_mw"),
    )
    return pa.schema(
        {
            "device_id": pa.string(),
            "hour_us": pa.int64(),
            **dict.fromkeys(numbers, pa.int64()),
            "whole_seconds": pa.bool_(),
            "whole_watts": pa.bool_(),
            "implausible": pa.int64(),
        }
    )


def _span_schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        {
            "device_id": pa.string(),
            "file": pa.string(),
            "first_us": pa.int64(),
            "last_us": pa.int64(),
        }
    )


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
    rows = rows.filter(pc.is_valid(rows["power_mw"]))
    names = rows["device_id"].cast(pa.dictionary(pa.int32(), pa.string()))
    names = names.unify_dictionaries().combine_chunks()
    return _Rows(
        path.name,
        names.dictionary.to_pylist(),
        names.indices.to_numpy(zero_copy_only=False).astype(_code(len(names.dictionary))),
        rows["ts_us"].to_numpy(),
        rows["power_mw"].to_numpy(),
        {one["values"]: one["counts"] for one in counts},
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
                np.array([place[name] for name in rows.devices], _code(len(place)))[rows.device]
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


def _code(count: int) -> type[np.int16 | np.int32]:
    """Return the type of places in a list: numpy sorts two bytes by counting."""
    return np.int16 if count < 1 << 15 else np.int32


def _spans(rows: _Rows) -> Iterator[dict[str, Any]]:
    if not len(rows.device):
        return
    device, ts_us = _by_device(rows.device, rows.ts_us)
    begins = np.flatnonzero(np.diff(device, prepend=-1))
    least, most = np.minimum.reduceat(ts_us, begins), np.maximum.reduceat(ts_us, begins)
    for at, first_us, last_us in zip(begins.tolist(), least.tolist(), most.tolist(), strict=True):
        name = rows.devices[device[at]]
        yield {"device_id": name, "file": rows.file, "first_us": first_us, "last_us": last_us}


def _boards(
    devices: Sequence[str], device: Codes, ts_us: I64, power_mw: I32, hour_us: int
) -> Iterator[dict[str, Any]]:
    """Yield the rows of `board_reading` of one node, without `implausible`."""
    device, ts_us, power_mw = _by_device(device, ts_us, power_mw)
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


def _by_device(device: Codes, *columns: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], ...]:
    """Return the devices of rows in ascending order, and the rows' columns in the same order."""
    if (device[1:] >= device[:-1]).all():  # as files are, of one node and hour
        return device, *columns
    order = np.argsort(device, kind="stable")
    return device[order], *(column[order] for column in columns)


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
