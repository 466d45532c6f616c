"""Readings of some devices of a node in a span of time, as flat arrays for the kernels.

In: row groups of the lake's `power` files. Out: stamps, powers and counters by device, sorted, each
stamp once, with the nearest readings around the span. Files are sorted and hardly ever overlap, so
that their rows need only be poured together; where that gives no ascending stamps they are sorted.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import BOUNDS, HOUR_US, POWER
from tokenergy_collectors.lake.reading import BrokenFileError, RawFile
from tokenergy_transforms.batch import COUNTER_SPAN_US, I64
from tokenergy_transforms.powerfiles import TEXTS, Part, PowerFiles, Runs
from tokenergy_transforms.rows import Readings as Readings
from tokenergy_transforms.rows import Rows, assemble

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMNS = ("ts_us", "power_mw", "energy_mj")
_FEW_RUNS = 1024
_NO_BITS = np.empty(0, np.uint8)

Columns = tuple[Any, ...]
"""The columns of a decoded row group as `assembly` takes them."""

Chunk = tuple[Columns, I64, I64]
"""A decoded row group, its runs of rows of one device, and the place among the wanted devices of
each device that these name."""


class StaleError(Exception):
    """A file was found broken, or had gone, while it was read: plan anew."""


def load(
    lake: Lake,
    node: str,
    hour_us: int,
    devices: list[str],
    margin_us: int,
) -> Readings:
    """Load the readings of some devices of a node in an hour, and the nearest ones around it.

    Args:
        lake: the lake.
        node: the node.
        hour_us: start of the hour.
        devices: the devices, sorted.
        margin_us: how far from the hour the nearest readings are looked for. It is widened to the
            longest bridged counter spacing where a device with a counter has none that near.

    Raises:
        UserError: a file cannot be reached.
    """
    files = PowerFiles(lake)
    while True:
        try:
            return load_span(files, node, devices, hour_us, hour_us, hour_us + HOUR_US, margin_us)
        except StaleError:
            continue


def load_span(
    files: PowerFiles,
    node: str,
    devices: list[str],
    hour_us: int,
    begin_us: int,
    end_us: int,
    margin_us: int,
) -> Readings:
    """Load the readings of some devices in a span of an hour, as `load` does those of the hour.

    Raises:
        StaleError: a file is broken, and now in quarantine, or has gone.
        UserError: a file cannot be reached.
    """
    if not devices:
        return _pour([], devices, begin_us, end_us)
    wide = (begin_us - margin_us, end_us + margin_us)
    chunks = list(_decode(files, files.around(node, hour_us, margin_us), devices, *wide))
    loaded = _pour(chunks, devices, *wide)
    del chunks
    partial = (begin_us, end_us) != (hour_us, hour_us + HOUR_US)
    near = _reach_over(loaded.counter_ts_us, loaded.counter_offsets, begin_us, end_us, partial)
    if partial:  # a gap inside the hour may be of any length
        near = near and _reach_over(loaded.ts_us, loaded.offsets, begin_us, end_us, partial)
    far = (hour_us - COUNTER_SPAN_US, hour_us + HOUR_US + COUNTER_SPAN_US)
    if near or margin_us >= COUNTER_SPAN_US:
        return _sorted(loaded)
    outside = [
        part
        for part in files.around(node, hour_us, COUNTER_SPAN_US)
        if part.first_us < begin_us or part.last_us >= end_us
    ]
    held = np.zeros((2, 2, len(devices), 4), np.int64)
    _nearest(_decode(files, outside, devices, *far), begin_us, end_us, far, held)
    return _sorted(_with_nearest(loaded, held))


def metered_devices(lake: Lake, node: str, hour_us: int) -> list[str]:
    """Return the devices that have readings of this node in this hour, sorted."""
    return sorted(row_counts(PowerFiles(lake), node, hour_us))


def row_counts(files: PowerFiles, node: str, hour_us: int, workers: int = 1) -> dict[str, int]:
    """Return how many rows each device has in the files of a node and hour.

    Args:
        files: the power files of the lake.
        node: the node.
        hour_us: start of the hour.
        workers: files that are read at once.

    Raises:
        UserError: a file cannot be reached.
    """
    found: dict[str, int] = {}
    with ThreadPoolExecutor(workers) as pool:
        of_files = pool.map(lambda of: _rows_by_device(files, *of), files.of_hour(node, hour_us))
        for rows in of_files:
            if rows is None:
                return row_counts(files, node, hour_us, workers)
            for name, count in rows.items():
                found[name] = found.get(name, 0) + count
    return found


def _rows_by_device(files: PowerFiles, path: Path, parts: list[Part]) -> dict[str, int] | None:
    """Return how many rows each device has in a file; None if it had to be given up."""
    found: dict[str, int] = {}
    try:
        with RawFile(path, POWER, TEXTS) as file:
            for part in parts:
                names, runs = _runs_of(files, file, part)
                for place, first, end in runs.tolist():
                    found[names[place]] = found.get(names[place], 0) + end - first
    except (BrokenFileError, FileNotFoundError) as error:
        files.drop(path, error)
        return None
    return found


def _runs_of(files: PowerFiles, file: RawFile, part: Part) -> Runs:
    """Return which rows of a row group are whose: as noted, or decoded and noted."""
    from tokenergy_transforms import assembly

    noted = files.runs(part)
    if noted is not None:
        return noted
    ids = file.read(part.number, TEXTS)["device_id"].combine_chunks()
    runs = np.empty((_FEW_RUNS, 3), np.int64)
    used = assembly.runs_of(_numbers(ids.indices), runs)
    if used > len(runs):
        runs = np.empty((used, 3), np.int64)
        assembly.runs_of(_numbers(ids.indices), runs)
    found = (ids.dictionary.to_pylist(), runs[:used].copy())
    files.note_runs(part, found)
    return found


def _decode(
    files: PowerFiles, parts: Sequence[Part], devices: list[str], begin_us: int, end_us: int
) -> Iterator[Chunk]:
    """Decode the row groups that may hold some devices in a span, files in the order of time."""
    wanted = [part for part in parts if part.holds(devices[0], devices[-1], begin_us, end_us)]
    place_of = {device: place for place, device in enumerate(devices)}
    first_us: dict[Path, int] = {}
    for part in wanted:
        first_us[part.path] = min(part.first_us, first_us.get(part.path, part.first_us))
    wanted.sort(key=lambda part: (first_us[part.path], str(part.path), part.number))
    for path, of_file in itertools.groupby(wanted, key=lambda part: part.path):
        try:
            with RawFile(path, POWER, TEXTS) as file:
                for part in of_file:
                    names, runs = _runs_of(files, file, part)
                    places = np.array([place_of.get(name, -1) for name in names], np.int64)
                    yield _columns_of(file, part), runs, places
        except (BrokenFileError, FileNotFoundError) as error:
            files.drop(path, error)
            raise StaleError from None


def _columns_of(file: RawFile, part: Part) -> Columns:
    """Decode one row group; an epoch that its statistics tell is not read."""
    names = _COLUMNS if part.epoch is not None else (*_COLUMNS, "epoch")
    table = file.read(part.number, names)
    columns: list[Any] = [_numbers(_one(table["ts_us"]))]
    for name in ("power_mw", "energy_mj"):
        column = _one(table[name])
        columns += [_numbers(column), *_bits(column)]
    if part.epoch is not None:
        columns.append(np.full(len(table), part.epoch, np.int32))
    else:
        columns.append(_numbers(_one(table["epoch"])))
    return tuple(columns)


def _one(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array, without a copy where it is one."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _numbers(array: pa.Array) -> np.ndarray:
    """Return an Arrow array of numbers without a copy; where values are missing, anything."""
    width = np.dtype(array.type.to_pandas_dtype())
    return np.frombuffer(array.buffers()[1], width, len(array), array.offset * width.itemsize)


def _bits(array: pa.Array) -> tuple[np.ndarray, int]:
    """Return the bitmap of an Arrow array and where it begins; empty if no value is missing."""
    if not array.null_count:
        return _NO_BITS, 0
    return np.frombuffer(array.buffers()[0], np.uint8), array.offset


def _pour(chunks: Sequence[Chunk], devices: list[str], begin_us: int, end_us: int) -> Readings:
    """Pour what lies in a span together, as it comes; the epochs are those of the files."""
    from tokenergy_transforms import assembly

    counts = np.zeros((len(devices), 2), np.int64)
    runs = [_runs(chunk, begin_us, end_us, counts) for chunk in chunks]
    offsets = np.zeros((2, len(devices) + 1), np.int64)
    np.cumsum(counts.T, axis=1, out=offsets[:, 1:])
    total, counted = offsets[0, -1], offsets[1, -1]
    readings = (np.empty(total, np.int64), np.empty(total, np.int32))
    counters = (
        np.empty(counted, np.int64),
        np.empty(counted, np.int64),
        np.empty(counted, np.int32),
    )
    cursors = np.ascontiguousarray(offsets[:, :-1].T)
    for (columns, _, _), of_chunk in zip(chunks, runs, strict=True):
        assembly.pour(columns, of_chunk, cursors, readings, counters)
    return Readings(devices, readings[0], readings[1], offsets[0], *counters, offsets[1])


def _sorted(poured: Readings) -> Readings:
    """Number the epochs anew; sort first, where the stamps are not ascending."""
    from tokenergy_transforms import assembly

    if not (
        assembly.ascending(poured.ts_us, poured.offsets)
        and assembly.ascending(poured.counter_ts_us, poured.counter_offsets)
    ):
        return assemble(_rows_of(poured), poured.devices)
    epochs = np.empty(len(poured.counter_mj), np.int32)
    assembly.number_epochs(poured.counter_mj, poured.counter_epoch, poured.counter_offsets, epochs)
    return replace(poured, counter_epoch=epochs)


def _runs(chunk: Chunk, begin_us: int, end_us: int, counts: I64) -> I64:
    """Return the runs of one row group that are wanted; add to the counts of their devices."""
    from tokenergy_transforms import assembly

    runs = np.empty((_FEW_RUNS, 3), np.int64)
    more = np.zeros_like(counts)
    used = assembly.count(*chunk, begin_us, end_us, runs, more)
    if used > len(runs):
        runs = np.empty((used, 3), np.int64)
        more[:] = 0
        assembly.count(*chunk, begin_us, end_us, runs, more)
    counts += more
    return runs[:used]


def _rows_of(loaded: Readings) -> Rows:
    """Return readings and counter readings as rows of either kind."""
    power = len(loaded.ts_us)
    total = power + len(loaded.counter_ts_us)
    places = np.arange(len(loaded.devices))
    is_power = np.arange(total) < power
    nothing, no_counter = np.zeros(total - power, np.int64), np.zeros(power, np.int64)
    return Rows(
        code=np.concatenate(
            [
                np.repeat(places, np.diff(loaded.offsets)),
                np.repeat(places, np.diff(loaded.counter_offsets)),
            ]
        ),
        ts_us=np.concatenate([loaded.ts_us, loaded.counter_ts_us]),
        power_mw=np.concatenate([loaded.power_mw, nothing]),
        has_power=is_power,
        energy_mj=np.concatenate([no_counter, loaded.counter_mj]),
        has_energy=~is_power,
        epoch=np.concatenate([no_counter, loaded.counter_epoch]),
    )


def _reach_over(ts_us: I64, offsets: I64, begin_us: int, end_us: int, every: bool) -> bool:
    """Tell whether each device with stamps in a span, or every one, has some on either side."""
    for first, last in itertools.pairwise(offsets):
        ts = ts_us[first:last]
        if (every or ((ts >= begin_us) & (ts < end_us)).any()) and not (
            len(ts) and ts.min() <= begin_us and ts.max() >= end_us
        ):
            return False
    return True


def _nearest(
    chunks: Iterable[Chunk], begin_us: int, end_us: int, far: tuple[int, int], held: I64
) -> None:
    """Look for the nearest rows on either side of a span, of those in [far[0], far[1])."""
    from tokenergy_transforms import assembly

    for chunk in chunks:
        assembly.nearest(*chunk, begin_us, end_us, *far, held)


def _with_nearest(loaded: Readings, held: I64) -> Readings:
    """Return readings with the nearest ones outside of theirs put in front and behind."""
    (ts, power), offsets = _put((loaded.ts_us, loaded.power_mw), loaded.offsets, held[:, 0, :, :3])
    (c_ts, c_mj, c_epoch), c_offsets = _put(
        (loaded.counter_ts_us, loaded.counter_mj, loaded.counter_epoch),
        loaded.counter_offsets,
        held[:, 1],
    )
    return Readings(loaded.devices, ts, power, offsets, c_ts, c_mj, c_epoch, c_offsets)


def _put(
    columns: tuple[np.ndarray, ...], offsets: I64, held: I64
) -> tuple[tuple[np.ndarray, ...], I64]:
    """Put what is held of either side around each device's part of some columns.

    Args:
        columns: stamps first, then what belongs to them.
        offsets: int64[D + 1], where each device's part begins.
        held: int64[2, D, 1 + columns]; see `assembly.nearest`.
    """
    ts = columns[0]
    spots, found = [], []
    more = np.zeros(len(offsets) - 1, np.int64)
    for device, (first, last) in enumerate(itertools.pairwise(offsets.tolist())):
        before, after = held[0, device], held[1, device]
        if before[0] and (first == last or before[1] < ts[first:last].min()):
            spots.append(first)
            found.append(before[1:])
            more[device] += 1
        if after[0] and (first == last or after[1] > ts[first:last].max()):
            spots.append(last)
            found.append(after[1:])
            more[device] += 1
    if not found:
        return columns, offsets
    rows = np.array(found)
    put = tuple(np.insert(column, spots, rows[:, k]) for k, column in enumerate(columns))
    return put, offsets + np.concatenate([[0], np.cumsum(more)])


def gap_limits(update_us: Mapping[str, int | None], devices: list[str]) -> I64:
    """Return the gap limit of each device: the larger of 3 update periods and 1.5 s.

    Source: design rule; a reading missing for three periods is no longer a late one.
    """
    low, high = BOUNDS["gap_limit_us"]
    limits = [max(3 * (update_us.get(d) or 0), 1_500_000) for d in devices]
    return np.clip(np.array(limits, np.int64), low, high)
