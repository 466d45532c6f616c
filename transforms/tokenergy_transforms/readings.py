"""Readings of some devices of a node in a span of time, as flat arrays for the kernels.

In: row groups of the lake's `power` files. Out: stamps, powers and counters by device, sorted, each
stamp once, with the nearest readings around the span, and without those that cannot be. Files are
sorted and hardly ever overlap, so their rows are only copied together; they are sorted where that
leaves stamps out of order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import BOUNDS, HOUR_US, POWER
from tokenergy_collectors.lake.reading import BrokenFileError, RawFile
from tokenergy_transforms import anomalies
from tokenergy_transforms.batch import COUNTER_SPAN_US, I64, Readings
from tokenergy_transforms.decoding import FEW_RUNS, Chunk, StaleError, decode, runs_of
from tokenergy_transforms.neighbours import find_nearest, lacking, trimmed, with_nearest
from tokenergy_transforms.plausible import Plausible, is_doubtful, judged, without_high_power
from tokenergy_transforms.powerfiles import TEXTS, PowerFiles, RowGroupRef
from tokenergy_transforms.unsorted import UnsortedRows, once, sort_rows

SPARSE_US = 1_500_000
"""Readings further apart than this say little of the power between them: a sensor's window is at
most a second. Shorter gap limits do not exist."""

_SLOW_US = 500_000
_SLOW_LIMIT_US = 10_000_000


def load(
    lake: Lake,
    node: str,
    hour_us: int,
    devices: list[str],
    margin_us: int,
    plausible: Plausible,
    files: PowerFiles | None = None,
) -> Readings:
    """Load the readings of some devices of a node in an hour, and the nearest ones around it.

    Args:
        lake: the lake.
        node: the node.
        hour_us: start of the hour.
        devices: the devices, sorted.
        margin_us: how far outside of the hour to look for the nearest readings. Where a device with
            readings in the hour has none that near, it is widened to `COUNTER_SPAN_US`.
        plausible: what the readings are measured against.
        files: the lake's power files, if a caller asks for many nodes: each folder is listed once.

    Raises:
        UserError: a file cannot be reached.
    """
    files = files or PowerFiles(lake)
    while True:
        try:
            span = (hour_us, hour_us + HOUR_US)
            margins_us = np.full(len(devices), margin_us, np.int64)
            return load_span(files, node, devices, hour_us, span, margins_us, plausible)
        except StaleError:
            continue


def load_span(
    files: PowerFiles,
    node: str,
    devices: list[str],
    hour_us: int,
    span: tuple[int, int],
    margins_us: I64,
    plausible: Plausible,
) -> Readings:
    """Load the readings of some devices in a span of an hour, as `load` does those of the hour.

    Args:
        margins_us: int64[D], how far outside of the span those of each device are looked for.

    Raises:
        StaleError: a file is broken, and now in quarantine, or is gone.
        UserError: a file cannot be reached.
    """
    begin_us, end_us = span
    if not devices:
        return _copy_together([], devices, begin_us, end_us)
    margin_us = int(margins_us.max())
    wide = (begin_us - margin_us, end_us + margin_us)
    chunks = list(decode(files, files.around(node, hour_us, margin_us), devices, *wide))
    loaded = _copy_together(chunks, devices, *wide)
    del chunks
    if margins_us.min() < margin_us:
        # Or what a device's readings mean would depend on the slowest of its neighbours.
        loaded = trimmed(loaded, begin_us - margins_us, end_us + margins_us)
    partial = (begin_us, end_us) != (hour_us, hour_us + HOUR_US)
    # Power as well as counters: a silence over the edge is time of the device, however long it is
    # and whatever the counters of its neighbours say.
    sides = [
        lacking(ts_us, offsets, begin_us, end_us, partial)
        for ts_us, offsets in (
            (loaded.counter_ts_us, loaded.counter_offsets),
            (loaded.ts_us, loaded.offsets),
        )
    ]
    before, after = (any(side) for side in zip(*sides, strict=True))
    far = (hour_us - COUNTER_SPAN_US, hour_us + HOUR_US + COUNTER_SPAN_US)
    if not (before or after) or margin_us >= COUNTER_SPAN_US:
        return _cleaned(loaded, plausible)
    # Only where a device lacks some: the first hour of a lake has none before it, and need not read
    # all of the next one for that.
    outside = [
        group
        for group in files.around(node, hour_us, COUNTER_SPAN_US)
        if (before and group.first_us < begin_us) or (after and group.last_us >= end_us)
    ]
    nearest = np.zeros((2, 2, len(devices), 4), np.int64)
    find_nearest(decode(files, outside, devices, *far), begin_us, end_us, far, nearest)
    return _cleaned(with_nearest(loaded, nearest), plausible)


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


def _rows_by_device(
    files: PowerFiles, path: Path, groups: list[RowGroupRef]
) -> dict[str, int] | None:
    """Return how many rows each device has in a file; None if the file was moved to quarantine."""
    found: dict[str, int] = {}
    try:
        with RawFile(path, POWER, TEXTS) as file:
            for group in groups:
                names, runs = runs_of(files, file, group)
                for place, first, end in runs.tolist():
                    found[names[place]] = found.get(names[place], 0) + end - first
    except (BrokenFileError, FileNotFoundError) as error:
        files.drop(path, error)
        return None
    return found


def _copy_together(
    chunks: Sequence[Chunk], devices: list[str], begin_us: int, end_us: int
) -> Readings:
    """Copy the readings of a span together, as they come; the epochs are those of the files."""
    from tokenergy_transforms import rowgroups

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
    for (columns, _, _, _), of_chunk in zip(chunks, runs, strict=True):
        rowgroups.copy_runs(columns, of_chunk, cursors, readings, counters)
    copied = Readings(devices, readings[0], readings[1], offsets[0], *counters, offsets[1])
    if len(chunks) < 2 or rowgroups.ascending(copied.ts_us, copied.offsets):
        return copied
    return once(copied, _files_of(chunks, runs, offsets))


def _files_of(chunks: Sequence[Chunk], runs: Sequence[I64], offsets: I64) -> I64:
    """Return the number of the file of each power reading: copied as its power would be."""
    from tokenergy_transforms import rowgroups

    stamps, files = np.empty(offsets[0, -1], np.int64), np.empty(offsets[0, -1], np.int64)
    none = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int32))
    cursors = np.ascontiguousarray(offsets[:, :-1].T)
    for (columns, _, _, number), of_chunk in zip(chunks, runs, strict=True):
        ts, _, bits, offset, energy, _, _, epoch = columns
        numbers = np.full(len(ts), number, np.int64)
        no_energy = np.zeros(len(ts) // 8 + 1, np.uint8)
        of_file = (ts, numbers, bits, offset, energy, no_energy, 0, epoch)
        rowgroups.copy_runs(of_file, of_chunk, cursors, (stamps, files), none)
    return files


def _cleaned(copied: Readings, plausible: Plausible) -> Readings:
    """Return what can be integrated: sorted, each stamp once, without what cannot have been read.

    A record without faults is looked at, and not copied again.
    """
    from tokenergy_transforms import rowgroups

    most_mw = plausible.most_mw
    found, device, at_us = without_high_power(copied, most_mw)
    if not (
        rowgroups.ascending(found.ts_us, found.offsets)
        and rowgroups.ascending(found.counter_ts_us, found.counter_offsets)
    ):
        found = sort_rows(_rows_of(found), found.devices)
    if len(at_us):
        bit = anomalies.IMPLAUSIBLE_POWER
        spans = anomalies.around(device, at_us, bit, found.ts_us, found.offsets)
        found = replace(found, anomalies=anomalies.joined([found.anomalies, spans]))
    if plausible.boots_us is None:
        return found
    stepped, silent = is_doubtful(found, most_mw)
    boots_us = plausible.boots_us() if silent else np.empty(0, np.int64)
    if stepped or len(boots_us):
        return judged(found, most_mw, boots_us)
    return replace(found, counter_epoch=np.zeros(len(found.counter_mj), np.int32))


def _runs(chunk: Chunk, begin_us: int, end_us: int, counts: I64) -> I64:
    """Return the wanted runs of one row group; add to the counts of their devices."""
    from tokenergy_transforms import rowgroups

    runs = np.empty((FEW_RUNS, 3), np.int64)
    more = np.zeros_like(counts)
    used = rowgroups.count(*chunk[:3], begin_us, end_us, runs, more)
    if used > len(runs):
        runs = np.empty((used, 3), np.int64)
        more[:] = 0
        rowgroups.count(*chunk[:3], begin_us, end_us, runs, more)
    counts += more
    return runs[:used]


def _rows_of(loaded: Readings) -> UnsortedRows:
    """Return readings and counter readings as rows, each of one kind."""
    power = len(loaded.ts_us)
    total = power + len(loaded.counter_ts_us)
    places = np.arange(len(loaded.devices))
    is_power = np.arange(total) < power
    nothing, no_counter = np.zeros(total - power, np.int64), np.zeros(power, np.int64)
    return UnsortedRows(
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


def gap_limits(update_us: Mapping[str, int | None], devices: list[str]) -> I64:
    """Return the gap limit of each device: 3 update periods, at least 1.5 s.

    At least 10 s from two readings a second on down: what writes so slow a log is held up for
    seconds under load, and a line between its readings says more of the power than nothing does;
    that it says little is in the bounds (see `SPARSE_US`).

    Source: design rule; a reading missing for three periods is no longer a late one.
    """
    low, high = BOUNDS["gap_limit_us"]
    periods = [update_us.get(d) or 0 for d in devices]
    limits = [max(3 * p, _SLOW_LIMIT_US if p >= _SLOW_US else SPARSE_US) for p in periods]
    return np.clip(np.array(limits, np.int64), low, high)
