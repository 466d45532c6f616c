"""The nearest readings outside of a span, for devices that have none near its edges.

In: row groups around a span. Out: readings with one more at either end of a device. A gap limit is
a few periods, but a counter may be read rarely: energy is interpolated between readings up to 50
minutes apart.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from tokenergy_transforms.batch import I64, Readings
from tokenergy_transforms.decoding import Chunk


def lacking(ts_us: I64, offsets: I64, begin_us: int, end_us: int, every: bool) -> tuple[bool, bool]:
    """Say whether a device has no stamp before a span, and whether one has none after it.

    Args:
        ts_us: stamps, in any order inside a device.
        offsets: int64[D + 1], where each device's part begins.
        begin_us, end_us: the span.
        every: whether devices without a stamp in the span count too.
    """
    before = after = False
    for first, last in itertools.pairwise(offsets):
        ts = ts_us[first:last]
        if every or ((ts >= begin_us) & (ts < end_us)).any():
            before = before or not len(ts) or bool(ts.min() > begin_us)
            after = after or not len(ts) or bool(ts.max() < end_us)
    return before, after


def trimmed(loaded: Readings, from_us: I64, to_us: I64) -> Readings:
    """Return the readings of each device in a span of its own.

    Args:
        loaded: readings in any order inside a device.
        from_us, to_us: int64[D], the span of each device.
    """

    def inside(ts_us: I64, offsets: I64) -> tuple[np.ndarray, I64]:
        counts = np.diff(offsets)
        kept = (ts_us >= np.repeat(from_us, counts)) & (ts_us < np.repeat(to_us, counts))
        return kept, np.concatenate([[0], np.cumsum(kept)])[offsets].astype(np.int64)

    power, offsets = inside(loaded.ts_us, loaded.offsets)
    counter, counter_offsets = inside(loaded.counter_ts_us, loaded.counter_offsets)
    return replace(
        loaded,
        ts_us=loaded.ts_us[power],
        power_mw=loaded.power_mw[power],
        offsets=offsets,
        counter_ts_us=loaded.counter_ts_us[counter],
        counter_mj=loaded.counter_mj[counter],
        counter_epoch=loaded.counter_epoch[counter],
        counter_offsets=counter_offsets,
    )


def looked_until(loaded: Readings, begin_us: int, end_us: int, far_us: int) -> int:
    """Return until when readings after a span matter: up to the nearest of each device.

    Args:
        loaded: readings, ascending inside a device.
        begin_us, end_us: the span; only devices with readings in it count.
        far_us: until when readings are looked for.
    """
    until_us = end_us
    for ts_us, offsets in (
        (loaded.ts_us, loaded.offsets),
        (loaded.counter_ts_us, loaded.counter_offsets),
    ):
        for first, last in itertools.pairwise(offsets.tolist()):
            ts = ts_us[first:last]
            inside, after = np.searchsorted(ts, [begin_us, end_us])
            if inside < after:
                until_us = max(until_us, far_us if after == len(ts) else int(ts[after]))
    return until_us


def find_nearest(
    chunks: Iterable[Chunk], begin_us: int, end_us: int, far: tuple[int, int], nearest: I64
) -> None:
    """Look for the nearest rows on either side of a span, of those in [far[0], far[1])."""
    from tokenergy_transforms import rowgroups

    for chunk in chunks:
        rowgroups.nearest(*chunk[:3], begin_us, end_us, *far, nearest)


def with_nearest(loaded: Readings, nearest: I64) -> Readings:
    """Return readings with the nearest ones outside put in front and behind."""
    (ts, power), offsets = _insert(
        (loaded.ts_us, loaded.power_mw), loaded.offsets, nearest[:, 0, :, :3]
    )
    (c_ts, c_mj, c_epoch), c_offsets = _insert(
        (loaded.counter_ts_us, loaded.counter_mj, loaded.counter_epoch),
        loaded.counter_offsets,
        nearest[:, 1],
    )
    return Readings(loaded.devices, ts, power, offsets, c_ts, c_mj, c_epoch, c_offsets)


def _insert(
    columns: tuple[np.ndarray, ...], offsets: I64, nearest: I64
) -> tuple[tuple[np.ndarray, ...], I64]:
    """Insert the nearest readings of either side around each device's part of some columns.

    Args:
        columns: stamps first, then the values.
        offsets: int64[D + 1], where each device's part begins.
        nearest: int64[2, D, 1 + columns]; see `rowgroups.nearest`.
    """
    ts = columns[0]
    spots, found = [], []
    more = np.zeros(len(offsets) - 1, np.int64)
    for device, (first, last) in enumerate(itertools.pairwise(offsets.tolist())):
        before, after = nearest[0, device], nearest[1, device]
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
