"""Which kernel of `segments.cu` takes which segments, and with what grid. Pure NumPy.

In: the readings and segments of every device. Out: launches over runs of neighbouring segments.
Every kernel is exact for any segment; the choice only decides how fast it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tokenergy_transforms.batch import I32, I64


@dataclass(frozen=True, slots=True)
class Lane:
    """A kernel and the segments it is fast for.

    Attributes:
        kernel: its name in `segments.cu`.
        threads: of a block.
        segments: that a block takes, at most.
        mean_readings: the lane takes devices with at most so many readings a segment on average:
            four fifths of what the kernel holds, because windows differ.
    """

    kernel: str
    threads: int
    segments: int
    mean_readings: float


LANES = (
    Lane("segments_thread", 128, 128, 13),
    Lane("segments_warp8", 128, 128, 102),
    Lane("segments_warp32", 128, 128, 409),
    Lane("segments_block", 256, 32, float("inf")),
)

_BLOCKS_WANTED = 2048
"""Blocks that keep a large GPU busy; the block lane takes fewer segments a block to reach them."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One kernel over the segments begin:end, in `blocks` blocks."""

    lane: Lane
    begin: int
    end: int
    blocks: int


def launches(offsets: I64, seg_device: I32, forced: Lane | None = None) -> list[Launch]:
    """Return the launches that cover all segments, in order.

    Args:
        offsets: int64[D + 1] of the readings.
        seg_device: int32[S], ascending.
        forced: the lane of every segment, instead of the one that fits.
    """
    if len(seg_device) == 0:
        return []
    if forced is not None:
        return [_launch(forced, 0, len(seg_device))]
    bounds = np.searchsorted(seg_device, np.arange(len(offsets)))
    counts = np.diff(bounds)
    mean = np.diff(offsets) / np.maximum(counts, 1)
    choice = np.searchsorted([lane.mean_readings for lane in LANES], mean)
    with_segments = np.flatnonzero(counts)
    choice = choice[with_segments]
    first = np.flatnonzero(np.diff(choice, prepend=-1))
    begins = bounds[:-1][with_segments[first]].tolist()
    ends = [*begins[1:], len(seg_device)]
    return [
        _launch(LANES[lane], begin, end)
        for lane, begin, end in zip(choice[first].tolist(), begins, ends, strict=True)
    ]


def _launch(lane: Lane, begin: int, end: int) -> Launch:
    count = end - begin
    each = lane.segments
    if lane.threads > each:  # the block lane: the kernel takes any number of segments a block
        each = min(max(count // _BLOCKS_WANTED, 1), each)
    return Launch(lane, begin, end, -(-count // each))
