"""The power at the right cut of every segment, between its two neighbouring readings."""

from __future__ import annotations

import numpy as np
from numba import njit

from tokenergy_transforms.batch import NONE
from tokenergy_transforms.maths import advance, next_stride


@njit(cache=True, error_model="numpy", nogil=True)
def power_at_right_cuts(  # type: ignore[no-untyped-def]
    ts, power, offsets, gap_limit, seg_device, seg_end, found
):
    """Write the power (mW) at each right cut, linear between readings and rounded down.

    NONE where the readings around it are further apart than the gap limit, or one is missing.

    Args:
        ts, power, offsets, gap_limit, seg_device, seg_end: arrays of a `Batch`.
        found: int32[S], written.
    """
    device = -1
    first = last = place = stride = np.int64(0)
    for s in range(len(seg_end)):
        if seg_device[s] != device:
            device = seg_device[s]
            first, last = offsets[device], offsets[device + 1]
            place, stride = first, np.int64(0)
        before = place
        cut = seg_end[s]
        place = advance(ts, place, last, cut, stride)
        stride = next_stride(stride, place - before)
        found[s] = NONE
        if place == last:
            continue
        if ts[place] == cut:
            found[s] = power[place]
        elif place > first:
            dt = ts[place] - ts[place - 1]
            if dt <= gap_limit[device]:
                p0, p1 = np.int64(power[place - 1]), np.int64(power[place])
                found[s] = p0 + (p1 - p0) * (cut - ts[place - 1]) // dt
