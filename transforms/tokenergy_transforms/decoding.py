"""Decodes row groups of power files into arrays that compiled functions take, without a copy.

In: row groups that may hold some devices in a span. Out: their columns, and which rows belong to
which device.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenergy_collectors.lake.contract import IMPLAUSIBLE_SENSOR, POWER
from tokenergy_collectors.lake.reading import BrokenFileError, RawFile
from tokenergy_transforms.batch import I64
from tokenergy_transforms.powerfiles import TEXTS, PowerFiles, RowGroupRef, Runs

if TYPE_CHECKING:
    import pyarrow as pa

FEW_RUNS = 1024
"""Room for runs at the first try; a sorted file has one run for each device of a row group."""

_COLUMNS = ("ts_us", "power_mw", "energy_mj")
_HIGHEST_MW = 2**31 - 1
_NO_BITS = np.empty(0, np.uint8)

Columns = tuple[Any, ...]
"""The columns of a decoded row group as `rowgroups` takes them."""

Chunk = tuple[Columns, I64, I64, int]
"""A decoded row group, its runs of rows of one device, the place among the wanted devices of each
device that these name, and the number of its file."""


class StaleError(Exception):
    """A file turned out broken, or was gone, while it was read: plan again."""


def runs_of(files: PowerFiles, file: RawFile, group: RowGroupRef) -> Runs:
    """Return which rows of a row group belong to which device: as noted, or decoded and noted."""
    from tokenergy_transforms import rowgroups

    noted = files.runs(group)
    if noted is not None:
        return noted
    ids = file.read(group.number, TEXTS)["device_id"].combine_chunks()
    runs = np.empty((FEW_RUNS, 3), np.int64)
    used = rowgroups.runs_of(_numbers(ids.indices), runs)
    if used > len(runs):
        runs = np.empty((used, 3), np.int64)
        rowgroups.runs_of(_numbers(ids.indices), runs)
    found = (ids.dictionary.to_pylist(), runs[:used].copy())
    files.note_runs(group, found)
    return found


def decode(
    files: PowerFiles, groups: Sequence[RowGroupRef], devices: list[str], begin_us: int, end_us: int
) -> Iterator[Chunk]:
    """Decode the row groups that may hold some devices in a span, files in the order of time."""
    wanted = [group for group in groups if group.holds(devices[0], devices[-1], begin_us, end_us)]
    place_of = {device: place for place, device in enumerate(devices)}
    first_us: dict[Path, int] = {}
    for group in wanted:
        first_us[group.path] = min(group.first_us, first_us.get(group.path, group.first_us))
    wanted.sort(key=lambda group: (first_us[group.path], str(group.path), group.number))
    by_file = itertools.groupby(wanted, key=lambda group: group.path)
    for number, (path, of_file) in enumerate(by_file):
        try:
            with RawFile(path, POWER, TEXTS) as file:
                for group in of_file:
                    names, runs = runs_of(files, file, group)
                    places = np.array([place_of.get(name, -1) for name in names], np.int64)
                    yield _columns_of(file, group), runs, places, number
        except (BrokenFileError, FileNotFoundError) as error:
            files.drop(path, error)
            raise StaleError from None


def _columns_of(file: RawFile, group: RowGroupRef) -> Columns:
    """Decode one row group; the epoch is not read if the statistics give it."""
    names = _COLUMNS if group.epoch is not None else (*_COLUMNS, "epoch")
    table = file.read(group.number, names)
    columns: list[Any] = [_numbers(_one(table["ts_us"]))]
    power = _one(table["power_mw"])
    if power.null_count:
        power = _with_implausible(power, file, group)
    for column in (power, _one(table["energy_mj"])):
        columns += [_numbers(column), *_bits(column)]
    if group.epoch is not None:
        columns.append(np.full(len(table), group.epoch, np.int32))
    else:
        columns.append(_numbers(_one(table["epoch"])))
    return tuple(columns)


def _with_implausible(power: pa.Array, file: RawFile, group: RowGroupRef) -> pa.Array:
    """Return powers with the highest value where the collector read what no board can draw.

    It recorded no value there (see `sampler/`); so those readings are left out, and reported, as
    those that a log holds.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    sensor = file.read(group.number, ("sensor",))["sensor"]
    marked = pc.and_(pc.is_null(power), pc.equal(_one(sensor), IMPLAUSIBLE_SENSOR))
    return pc.if_else(marked, pa.scalar(_HIGHEST_MW, power.type), power)


def _one(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array, without a copy where it is one."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _numbers(array: pa.Array) -> np.ndarray:
    """Return an Arrow array of numbers without a copy; missing values are arbitrary numbers."""
    width = np.dtype(array.type.to_pandas_dtype())
    return np.frombuffer(array.buffers()[1], width, len(array), array.offset * width.itemsize)


def _bits(array: pa.Array) -> tuple[np.ndarray, int]:
    """Return the bitmap of an Arrow array and where it begins; empty if no value is missing."""
    if not array.null_count:
        return _NO_BITS, 0
    return np.frombuffer(array.buffers()[0], np.uint8), array.offset
