"""The pairs of one segment of any length and shape: gaps, edges of the record, no readings at all.

In: the readings of a device, the places of those inside the segment, what its cuts leave on their
left. Out: covered time, energy, gap, ramps. Whole pairs, those that no edge cuts, are added up in
blocks of plain loops that the compiler turns into vector instructions; only a block that holds a
gap is walked pair by pair.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tokenergy_transforms.cpu.columns import slope_mw_s
from tokenergy_transforms.maths import whole_energy

_BLOCK = 512
_ONE = np.uint64(1)


# The two flags only let the compiler take maxima in any order; divisions stay correctly rounded.
@njit(cache=True, error_model="numpy", fastmath={"nnan", "nsz"})
def _block(ts, power, first, last):  # type: ignore[no-untyped-def]
    """Return energy, largest spacing, steepest rise and fall of the pairs first..last - 1."""
    energy = gap = np.int64(0)
    rise = fall = 0.0
    for i in range(np.uint64(first), np.uint64(last)):
        p0, p1 = power[i], power[i + _ONE]
        dt = ts[i + _ONE] - ts[i]
        energy += whole_energy(p0, p1, dt)
        gap = max(gap, dt)
        slope = slope_mw_s(p0, p1, dt)
        rise = slope if slope > rise else rise
        fall = slope if slope < fall else fall
    return energy, gap, rise, fall


@njit(cache=True, error_model="numpy")
def _walk(ts, power, first, last, limit):  # type: ignore[no-untyped-def]
    """Return covered time, energy, steepest rise and fall of those pairs that are no gaps."""
    covered = energy = np.int64(0)
    rise = fall = 0.0
    for i in range(first, last):
        dt = ts[i + 1] - ts[i]
        if dt <= limit:
            covered += dt
            energy += whole_energy(power[i], power[i + 1], dt)
            slope = slope_mw_s(power[i], power[i + 1], dt)
            rise = max(rise, slope)
            fall = min(fall, slope)
    return covered, energy, rise, fall


@njit(cache=True, error_model="numpy")
def pairs(ts, power, first, last, lo, hi, start, end, limit, at_start, at_end):  # type: ignore[no-untyped-def]
    """Return covered time, energy, largest spacing, steepest rise and fall of one segment.

    Args:
        ts, power: readings; int64 us, int32 mW.
        first, last: those of the device.
        lo, hi: those inside [start, end).
        start, end: the segment, us.
        limit: gap limit, us.
        at_start, at_end: energy of the pair that each edge cuts, left of the edge (nJ).

    Returns:
        us, nJ, us as int64; mW/s as doubles, the fall at most 0.
    """
    covered = energy = gap = np.int64(0)
    rise = fall = 0.0
    for i in range(lo, hi - 1, _BLOCK):
        j = min(i + _BLOCK, hi - 1)
        more, widest, up, down = _block(ts, power, i, j)
        span = ts[j] - ts[i]
        if widest > limit:
            span, more, up, down = _walk(ts, power, i, j, limit)
        covered += span
        energy += more
        gap = max(gap, widest)
        rise = max(rise, up)
        fall = min(fall, down)
    # The pairs that the segment's edges cut: one to its left, one to its right, or one around it.
    for i in (lo - 1, hi - 1) if hi > lo else (lo - 1, last):
        if i < first or i + 1 >= last:
            continue
        a, b = max(ts[i], start), min(ts[i + 1], end)
        if b <= a:
            continue
        dt = ts[i + 1] - ts[i]
        gap = max(gap, dt)
        if dt > limit:
            continue
        covered += b - a
        until = at_end if i == hi - 1 else whole_energy(power[i], power[i + 1], dt)
        energy += until - (at_start if i == lo - 1 else 0)
        slope = slope_mw_s(power[i], power[i + 1], dt)
        rise = max(rise, slope)
        fall = min(fall, slope)
    # Time before the first and after the last reading of the device has no second neighbour.
    head = ts[first] if first < last else end
    tail = ts[last - 1] if first < last else start
    if head > start:
        gap = max(gap, min(head, end) - start)
    if tail < end:
        gap = max(gap, end - max(tail, start))
    return covered, energy, gap, rise, fall
