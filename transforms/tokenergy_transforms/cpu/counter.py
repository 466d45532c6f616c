"""The energy of a block of segments by the energy counters.

In: counter readings and segments of a `Batch`. Out: the counter's difference between the two cuts
of each segment, linear between its readings, and how far its right cut is from a reading.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tokenergy_transforms.batch import COUNTER_SPAN_US, NONE
from tokenergy_transforms.cpu.locate import locate_again
from tokenergy_transforms.cpu.shares import share_all

_ONE = np.uint64(1)


@njit(cache=True, error_model="numpy", nogil=True)
def count_block(block, count, used, counters, cuts, left_cut, sums, outputs):  # type: ignore[no-untyped-def]
    """Write the counter energy of the segments block..block + count - 1.

    Args:
        block, count: places of the segments.
        used: how many cuts they have.
        counters: counter_ts_us, counter_mj, counter_epoch, counter_offsets of a `Batch`.
        cuts: as `locate` leaves them, with a `right` to be written.
        left_cut: as `locate` leaves it.
        sums: five times int64[CUTS]; scratch.
        outputs: counter_nj, counter_off_us of `Result`.
    """
    ts, mj, epoch, offsets = counters
    whole, span, part, part_nj, left = sums
    locate_again(used, ts, offsets, cuts)
    _pairs_of_cuts(used, ts, mj, epoch, offsets, cuts, whole, span, part, left)
    share_all(whole, span, part, used, part_nj)
    _subtract(block, count, mj, epoch, left_cut, left, span, part, part_nj, outputs)


@njit(cache=True, error_model="numpy", nogil=True)
def _pairs_of_cuts(used, ts, mj, epoch, offsets, cuts, whole, span, part, left):  # type: ignore[no-untyped-def]
    """Note for every cut the reading at or before it (`left`, or NONE) and what it divides.

    whole (nJ) is the counter's rise from there to the next reading, span (us) the time between the
    two, part (us) that up to the cut.
    """
    at, of_device, right = cuts
    for k in range(np.uint64(used)):
        whole[k], span[k], part[k], left[k] = 0, 1, 0, NONE
        t = at[k]
        if right[k] >= offsets[of_device[k] + 1]:
            continue
        r = np.uint64(right[k])
        if ts[r] == t:
            left[k] = right[k]
        elif right[k] > offsets[of_device[k]]:
            before = r - _ONE
            dt = ts[r] - ts[before]
            if epoch[before] == epoch[r] and dt <= COUNTER_SPAN_US:
                whole[k] = (mj[r] - mj[before]) * 1_000_000
                span[k] = dt
                part[k] = t - ts[before]
                left[k] = before


@njit(cache=True, error_model="numpy", nogil=True)
def _subtract(  # type: ignore[no-untyped-def]
    block, count, mj, epoch, left_cut, left, span, part, part_nj, outputs
):
    """Write the differences, and how far the right cuts are from a reading."""
    counter_nj, counter_off_us = outputs
    for k in range(np.uint64(count)):
        s = np.uint64(block) + k
        cut = np.uint64(left_cut[k])
        after = cut + _ONE
        counter_nj[s] = NONE
        counter_off_us[s] = NONE
        if left[cut] != NONE and left[after] != NONE:
            i, j = np.uint64(left[cut]), np.uint64(left[after])
            if epoch[i] == epoch[j]:
                counter_nj[s] = (mj[j] - mj[i]) * 1_000_000 + part_nj[after] - part_nj[cut]
                x = part[after]
                counter_off_us[s] = min(x, span[after] - x) if x > 0 else 0
