"""Finds where the cuts of a block of segments fall.

In: stamps of readings, segments. Out: for every cut the first stamp at or after it; for every
segment the number of its left cut. Neighbouring segments of a device share a cut: it is looked up
once, from where the last one was found.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tokenergy_transforms.maths import advance, advance_near, lower_bound, next_stride

BLOCK = 2048
"""Segments of a block. Their intermediate values fit the second-level cache. With smaller blocks,
partly filled tiles at their ends would cost more than the first-level cache saves."""

CUTS = 2 * BLOCK
"""Cuts that a block may have: two of each segment where no two segments touch."""


@njit(cache=True, error_model="numpy", nogil=True)
def locate(begin, count, ts, offsets, segments, cuts, left_cut):  # type: ignore[no-untyped-def]
    """Look up the cuts of the segments begin..begin + count - 1; return how many there are.

    Args:
        begin, count: places of the segments, at most BLOCK.
        ts, offsets: stamps of readings, and where each device's begin.
        segments: seg_device, seg_start_us, seg_end_us of a `Batch`.
        cuts: (at, device, right), int64[CUTS] each, written: when the cut is (us), its device, the
            first place of the device with a stamp >= it.
        left_cut: int64[BLOCK], written: the number of each segment's left cut; its right: one more.
    """
    seg_device, seg_start, seg_end = segments
    at, of_device, right = cuts
    used = np.uint64(0)
    device = np.int64(-1)
    low = high = place = stride = np.int64(0)
    until = np.int64(0)
    for k in range(np.uint64(begin), np.uint64(begin + count)):
        fresh = seg_device[k] != device
        if fresh:
            device = np.int64(seg_device[k])
            low, high = offsets[device], offsets[device + 1]
            stride = np.int64(0)
        if fresh or seg_start[k] != until:
            until = seg_start[k]
            place = lower_bound(ts, low, high, until)
            at[used], of_device[used], right[used] = until, device, place
            used += np.uint64(1)
        left_cut[k - np.uint64(begin)] = used - np.uint64(1)
        until = seg_end[k]
        before = place
        place = advance_near(ts, place, high, until, stride)
        stride = next_stride(stride, place - before)
        at[used], of_device[used], right[used] = until, device, place
        used += np.uint64(1)
    return np.int64(used)


@njit(cache=True, error_model="numpy", nogil=True)
def locate_again(used, ts, offsets, cuts):  # type: ignore[no-untyped-def]
    """Look up cuts that are known among other stamps of the same devices, few between two cuts.

    Args:
        used: how many cuts there are.
        ts, offsets: the stamps, and where each device's begin.
        cuts: as in `locate`; `right` is written.
    """
    at, of_device, right = cuts
    device = np.int64(-1)
    high = place = stride = np.int64(0)
    for k in range(np.uint64(used)):
        if of_device[k] != device:
            device = of_device[k]
            high = offsets[device + 1]
            place = lower_bound(ts, offsets[device], high, at[k])
            stride = np.int64(0)
        else:
            before = place
            place = advance(ts, place, high, at[k], stride)
            stride = next_stride(stride, place - before)
        right[k] = place
