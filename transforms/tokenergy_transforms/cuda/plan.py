"""How a batch that is larger than the memory of a device is cut into shards. Pure NumPy.

In: a `Batch` and a number of bytes. Out: batches of neighbouring segments, each with the readings
that its segments look at, whose results are those of the whole to the bit.

A segment needs the readings inside it and one on either side, because its edges cut those pairs; a
device without such a neighbour has a gap there. The same holds for the counter. So a device may be
cut at any segment's edge if the shard includes the neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from tokenergy_collectors.base.errors import UserError
from tokenergy_transforms.batch import I64, Batch, Result

ALIGN = 512
"""Every array begins at a multiple of this in device memory; CuPy allocates in these units, too."""

INPUT_BYTES = (8, 4, 8, 8, 8, 4, 8, 8, 4, 8, 8)
"""Bytes of one element of each array of a `Batch`, in the order of its fields."""

OUTPUT_BYTES = tuple(a.itemsize for a in Result.empty(0).arrays())
"""The same for a `Result`."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Half-open ranges into the arrays of a batch, for the segments begin:end."""

    begin: int
    end: int
    devices: tuple[int, int]
    readings: tuple[int, int]
    counters: tuple[int, int]

    @property
    def lengths(self) -> tuple[int, ...]:
        """Elements of each array of the shard's `Batch`, in the order of its fields."""
        devices = self.devices[1] - self.devices[0]
        readings = self.readings[1] - self.readings[0]
        counters = self.counters[1] - self.counters[0]
        segments = self.end - self.begin
        return (
            *(readings, readings, devices + 1),
            *(counters, counters, counters, devices + 1, devices),
            *(segments, segments, segments),
        )

    @property
    def bytes(self) -> int:
        """Device memory for its arrays and their results."""
        segments = self.end - self.begin
        inputs = zip(self.lengths, INPUT_BYTES, strict=True)
        return sum(aligned(n * size) for n, size in inputs) + sum(
            aligned(segments * size) for size in OUTPUT_BYTES
        )


def aligned(size: int) -> int:
    """Return a size rounded up to where the next array may begin."""
    return -(-size // ALIGN) * ALIGN


def whole(batch: Batch) -> Shard:
    """Return a batch that has segments as a single shard."""
    return _shard(batch, 0, len(batch.seg_start_us))


def shards(batch: Batch, wanted_bytes: int, most_bytes: int) -> Iterator[Shard]:
    """Cut a batch into shards that need about `wanted_bytes`, and never more than `most_bytes`.

    More than wanted is taken where one segment needs it.

    Raises:
        UserError: one segment needs more than `most_bytes`.
        ValueError: the batch must be cut and the segments of a device do not ascend.
    """
    count = len(batch.seg_start_us)
    begin = 0
    while begin < count:
        shard = _furthest(batch, begin, wanted_bytes)
        if shard.bytes > most_bytes:
            raise UserError(
                f"device memory {most_bytes:,} bytes a shard: expected at least {shard.bytes:,}, "
                f"which one segment of {shard.readings[1] - shard.readings[0]:,} readings needs"
            )
        if shard.end - shard.begin < count:
            _check_ascending(batch, shard)
        yield shard
        begin = shard.end


def _furthest(batch: Batch, begin: int, wanted_bytes: int) -> Shard:
    """Return the longest shard from a segment on that needs no more than `wanted_bytes`."""
    a_segment = sum(INPUT_BYTES[8:]) + sum(OUTPUT_BYTES)
    good = begin + 1
    least = _shard(batch, begin, good)
    bad = min(len(batch.seg_start_us), begin + wanted_bytes // a_segment) + 1
    while bad - good > 1:
        middle = (good + bad) // 2
        shard = _shard(batch, begin, middle)
        if shard.bytes <= wanted_bytes:
            good, least = middle, shard
        else:
            bad = middle
    return least


def _shard(batch: Batch, begin: int, end: int) -> Shard:
    """Return the shard of the segments begin:end, with the neighbours of its readings."""
    d0, d1 = int(batch.seg_device[begin]), int(batch.seg_device[end - 1])
    start, stop = int(batch.seg_start_us[begin]), int(batch.seg_end_us[end - 1])
    return Shard(
        begin,
        end,
        (d0, d1 + 1),
        _range(batch.ts_us, batch.offsets, d0, d1, start, stop),
        _range(batch.counter_ts_us, batch.counter_offsets, d0, d1, start, stop),
    )


def _range(ts: I64, offsets: I64, d0: int, d1: int, start: int, stop: int) -> tuple[int, int]:
    """Return the range from the reading before `start` of d0 to that at or after `stop` of d1."""
    first, last = int(offsets[d0]), int(offsets[d1 + 1])
    begin = first + int(np.searchsorted(ts[first : offsets[d0 + 1]], start))
    end = int(offsets[d1]) + int(np.searchsorted(ts[offsets[d1] : last], stop))
    return max(begin - 1, first), min(end + 1, last)


def _check_ascending(batch: Batch, shard: Shard) -> None:
    """Raise if the ends of the shard are not the outermost cuts of their devices."""
    part = slice(shard.begin, min(shard.end + 1, len(batch.seg_device)))
    device = batch.seg_device[part]
    follows = batch.seg_start_us[part][1:] >= batch.seg_end_us[part][:-1]
    if not (follows | (device[1:] > device[:-1])).all():
        raise ValueError(
            "segments: expected those of a device in ascending order, none overlapping"
        )


def cut(batch: Batch, shard: Shard) -> Batch:
    """Return the batch of a shard. Its large arrays are views of the batch's."""
    d0, d1 = shard.devices
    readings, counters = slice(*shard.readings), slice(*shard.counters)
    segments = slice(shard.begin, shard.end)
    return Batch(
        ts_us=batch.ts_us[readings],
        power_mw=batch.power_mw[readings],
        offsets=_clip(batch.offsets[d0 : d1 + 1], shard.readings),
        counter_ts_us=batch.counter_ts_us[counters],
        counter_mj=batch.counter_mj[counters],
        counter_epoch=batch.counter_epoch[counters],
        counter_offsets=_clip(batch.counter_offsets[d0 : d1 + 1], shard.counters),
        gap_limit_us=batch.gap_limit_us[d0:d1],
        seg_device=batch.seg_device[segments] - np.int32(d0),
        seg_start_us=batch.seg_start_us[segments],
        seg_end_us=batch.seg_end_us[segments],
    )


def put(result: Result, shard: Shard, part: Result) -> None:
    """Write the result of a shard to its place in the whole."""
    for field in fields(Result):
        getattr(result, field.name)[shard.begin : shard.end] = getattr(part, field.name)


def _clip(offsets: I64, kept: tuple[int, int]) -> I64:
    return np.clip(offsets, *kept) - np.int64(kept[0])
