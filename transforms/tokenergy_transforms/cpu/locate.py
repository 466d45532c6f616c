"""Finds where the cuts of a block of segments fall.

In: stamps of readings, segments. Out: for every cut the first stamp at or after it; for every
segment the number of its left cut. Neighbouring segments of a device share a cut: it is looked up
once, from where the last one was found.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tokenergy_transforms.maths import advance, advance_near, lower_bound, next_stride

BLOCK = 256
"""Segments of a block: what is noted of them stays in the first-level cache."""

CUTS = 2 * BLOCK
"""Cuts that a block may have: two of each segment where no two segments touch."""


@njit(cache=True, error_model="numpy", nogil=True)
def locate(begin, count, ts, offsets, many, segments, cuts, left_cut):  # type: ignore[no-untyped-def]
    """Look up the cuts of the segments begin..begin + count - 1; return how many there are.

    Args:
        begin, count: places of the segments, at most BLOCK.
        ts, offsets: stamps of readings or of counter readings, and where each device's begin.
        segments: seg_device, seg_start_us, seg_end_us of a `Batch`.
        many: whether there are many stamps between two cuts, a few more or less.
        cuts: (at, right, first, last), int64[CUTS] each, written: when the cut is (us), the first
            place with a stamp >= it, the places of the device's first and one past its last stamp.
        left_cut: int64[BLOCK], written: the number of each segment's left cut; its right: one more.
    """
    seg_device, seg_start, seg_end = segments
    at, right, first, last = cuts
    used = np.uint64(0)
    device = -1
    low = high = place = stride = np.int64(0)
    until = np.int64(0)
    for k in range(np.uint64(begin), np.uint64(begin + count)):
        fresh = seg_device[k] != device
        if fresh:
            device = seg_device[k]
            low, high = offsets[device], offsets[device + 1]
            stride = np.int64(0)
        if fresh or seg_start[k] != until:
            until = seg_start[k]
            place = lower_bound(ts, low, high, until)
            at[used], right[used], first[used], last[used] = until, place, low, high
            used += np.uint64(1)
        left_cut[k - np.uint64(begin)] = used - np.uint64(1)
        until = seg_end[k]
        before = place
        if many:
            place = advance_near(ts, place, high, until, stride)
        else:
            place = advance(ts, place, high, until, stride)
        stride = next_stride(stride, place - before)
        at[used], right[used], first[used], last[used] = until, place, low, high
        used += np.uint64(1)
    return np.int64(used)
