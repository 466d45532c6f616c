"""The first and the last readings of each board in an hour: they join it to the hours beside it.

In: files of `power`, a column or two of them. Out: `Edges`. What is known of a board at an hour's
edge follows from its last reading before and its first one after, and nothing between.

It shares no code with the integration, which checks are to be independent of.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import POWER
from tokenergy_collectors.lake.reading import BrokenFileError, RawFile

if TYPE_CHECKING:
    import pyarrow as pa

Codes = npt.NDArray[np.int16 | np.int32]
I64 = npt.NDArray[np.int64]

LONGEST_US = 600_000_000
"""No power is known over a longer time than this from one reading to the next."""

_COLUMNS = ("device_id", "ts_us", "power_mw", "energy_mj")


class Edge(NamedTuple):
    """Of one board: stamps of the first and last power; stamps and values (mJ) of the counter.

    Where one stamp has several counters, the lowest is here.
    """

    first_us: int | None = None
    last_us: int | None = None
    first_counter_us: int | None = None
    first_mj: int | None = None
    last_counter_us: int | None = None
    last_mj: int | None = None


Edges = dict[str, Edge]
"""By device."""


def near(lake: Lake, hour_us: int, edge_us: int) -> Edges:
    """Return the edges of an hour's readings within `LONGEST_US` of one of its two ends, at least.

    Row groups that lie further away are not read.

    Args:
        lake: the lake.
        hour_us: start of the hour, microseconds UTC.
        edge_us: its start, or the start of the next.
    """

    def of_file(path: Path) -> Edges:
        try:
            with RawFile(path, POWER, ("device_id",)) as file:
                wanted = [
                    group.number
                    for group in file.groups(("ts_us",))
                    if _is_near(group.first["ts_us"], group.last["ts_us"], edge_us)
                ]
                parts = [file.read(number, _COLUMNS) for number in wanted]
        except BrokenFileError as error:
            lake.quarantine(path, POWER, str(error))
            return {}
        return added(
            of_rows(*codes(p["device_id"]), p["ts_us"].to_numpy(), p["power_mw"], p["energy_mj"])
            for p in parts
        )

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return added(pool.map(of_file, lake.files("power", [hour_us])))


def rows(edges: Edges, hour_us: int) -> list[dict[str, Any]]:
    """Return rows of `board_edge`: device_id, hour_us and the fields of `Edge`."""
    return [
        {"device_id": device, "hour_us": hour_us, **edge._asdict()}
        for device, edge in edges.items()
    ]


def before(edges: Edges) -> Edges:
    """Return what edges say of the hour that follows: the last readings alone."""
    none = {"first_us": None, "first_counter_us": None, "first_mj": None}
    return {device: edge._replace(**none) for device, edge in edges.items()}


def after(edges: Edges) -> Edges:
    """Return what edges say of the hour before: the first readings alone."""
    none = {"last_us": None, "last_counter_us": None, "last_mj": None}
    return {device: edge._replace(**none) for device, edge in edges.items()}


def added(several: Iterable[Edges]) -> Edges:
    """Return the edges of all readings of several parts."""
    found: Edges = {}
    for edges in several:
        for device, edge in edges.items():
            found[device] = _both(found[device], edge) if device in found else edge
    return found


def of_rows(
    devices: list[str], device: Codes, ts_us: I64, power_mw: pa.ChunkedArray, mj: pa.ChunkedArray
) -> Edges:
    """Return the edges of some readings.

    Args:
        devices: the names of the devices.
        device: n places among them.
        ts_us: int64[n], stamps.
        power_mw: n powers, or NULL.
        mj: n values of the counter, or NULL.
    """
    found = dict.fromkeys(devices, Edge())
    known = slice(None) if not power_mw.null_count else power_mw.is_valid().to_numpy()
    for place, first_us, last_us, *_ in _ends(device[known], ts_us[known]):
        found[devices[place]] = Edge(first_us, last_us)
    known = slice(None) if not mj.null_count else mj.is_valid().to_numpy()
    for place, *counter in _ends(device[known], ts_us[known], mj.drop_null().to_numpy()):
        first_us, last_us, first_mj, last_mj = counter
        edge = found[devices[place]]
        found[devices[place]] = Edge(*edge[:2], first_us, first_mj, last_us, last_mj)
    return {name: edge for name, edge in found.items() if edge != Edge()}


def codes(names: pa.ChunkedArray) -> tuple[list[str], Codes]:
    """Return the different names of a column, and the place of each row's among them."""
    import pyarrow as pa

    found = names.cast(pa.dictionary(pa.int32(), pa.string())).unify_dictionaries().combine_chunks()
    devices: list[str] = found.dictionary.to_pylist()
    places = found.indices.to_numpy(zero_copy_only=False)
    return devices, places.astype(code(len(devices)))


def code(count: int) -> type[np.int16 | np.int32]:
    """Return the type of places in a list: numpy sorts two bytes by counting."""
    return np.int16 if count < 1 << 15 else np.int32


def by_device(device: Codes, *columns: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], ...]:
    """Return the devices of rows in ascending order, and the rows' columns in the same order."""
    if (device[1:] >= device[:-1]).all():  # as files are, of one node and hour
        return device, *columns
    order = np.argsort(device, kind="stable")
    return device[order], *(column[order] for column in columns)


def _is_near(first_us: int | None, last_us: int | None, edge_us: int) -> bool:
    if first_us is None or last_us is None:  # a file without statistics
        return True
    return first_us <= edge_us + LONGEST_US and last_us >= edge_us - LONGEST_US


def _ends(device: Codes, ts_us: I64, value: I64 | None = None) -> list[tuple[int, ...]]:
    """Return of each device its place, first and last stamp, and the lowest value at either."""
    if not len(device):
        return []
    device, ts_us, *values = by_device(device, ts_us, *(() if value is None else (value,)))
    begins = np.flatnonzero(np.diff(device, prepend=-1))
    ends = np.append(begins[1:], len(device))
    step = np.diff(ts_us)
    step[begins[1:] - 1] = 1
    if step.min(initial=1) > 0:
        found = [ts_us[begins], ts_us[ends - 1]]
        found += [of[at] for of in values for at in (begins, ends - 1)]
    else:  # files whose times overlap, or one stamp several times
        found = [np.minimum.reduceat(ts_us, begins), np.maximum.reduceat(ts_us, begins)]
        of_row = np.repeat(np.arange(len(begins)), ends - begins)
        most = np.iinfo(np.int64).max
        found += [
            np.minimum.reduceat(np.where(ts_us == at[of_row], of, most), begins)
            for of in values
            for at in tuple(found)
        ]
    return [*zip(device[begins].tolist(), *(column.tolist() for column in found), strict=True)]


def _both(one: Edge, other: Edge) -> Edge:
    """Return the edges of the readings of both."""
    return Edge(
        _least(one.first_us, other.first_us),
        _most(one.last_us, other.last_us),
        *_first(one[2:4], other[2:4]),
        *_last(one[4:6], other[4:6]),
    )


def _least(one: int | None, other: int | None) -> int | None:
    return min((us for us in (one, other) if us is not None), default=None)


def _most(one: int | None, other: int | None) -> int | None:
    return max((us for us in (one, other) if us is not None), default=None)


def _first(*several: tuple[int | None, ...]) -> tuple[int | None, ...]:
    return min((of for of in several if of[0] is not None), default=(None, None))


def _last(*several: tuple[int | None, ...]) -> tuple[int | None, ...]:
    last_us = max((of[0] for of in several if of[0] is not None), default=None)
    return min(of for of in several if of[0] == last_us)


def schema() -> pa.Schema:
    """Return the schema of `board_edge`."""
    import pyarrow as pa

    numbers = dict.fromkeys(("hour_us", *Edge._fields), pa.int64())
    return pa.schema({"device_id": pa.string(), **numbers})
