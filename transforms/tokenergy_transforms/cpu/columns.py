"""Adds up the pairs of readings of sixteen segments side by side, one segment a column.

In: powers and spacings of a tile. Out: energy, largest spacing, steepest rise and fall a column.

Slopes are compared as double quotients dp * 1e6 / dt. dp * 1e6 is below 2^53, so the quotient,
rounded to nearest, is below the next whole number wherever the true one is: its floor is
exact, and so is the floor of the largest.

Places are unsigned: numba lets signed ones count from the end of an array, and what it adds for
that keeps the compiler from loading neighbours as one vector.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tokenergy_transforms.cpu.network import LANES

STEP = 4
"""Pairs of a column that are added up in registers between two looks at memory."""

_ROW = np.uint64(LANES)
_ROW2, _ROW3, _ROW4 = np.uint64(2 * LANES), np.uint64(3 * LANES), np.uint64(4 * LANES)
_LOW_BITS = np.int64(0xFFFFFFFF)
_ONE = np.int32(1)


@njit(cache=True, error_model="numpy")
def slope_mw_s(p0, p1, dt):  # type: ignore[no-untyped-def]
    """Return the slope of a pair in mW/s as a double; floor and trunc of it are exact."""
    return (np.float64(p1) - np.float64(p0)) * 1e6 / np.float64(dt)


@njit(cache=True, error_model="numpy")
def _fold(p0, p1, dt, energy, gap, rise, fall):  # type: ignore[no-untyped-def]
    """Add one pair to a column's sums; dt = 0 adds nothing where p0 = p1.

    Both factors of the energy are below 2^32; the masks let the compiler know.
    """
    slope = slope_mw_s(p0, p1, max(dt, _ONE))
    factor = (np.int64(p0) + np.int64(p1)) & _LOW_BITS
    return (
        energy + ((factor * (np.int64(dt) & _LOW_BITS)) >> 1),
        max(gap, np.int64(dt)),
        slope if slope > rise else rise,
        slope if slope < fall else fall,
    )


@njit(cache=True, error_model="numpy")
def fold_columns(power, stamps, pairs, whole, slope):  # type: ignore[no-untyped-def]
    """Add up the pairs of all columns of a tile.

    Args:
        power: int32[rows * LANES], mW; row k holds the left reading of pair k, row k + 1 its right.
        stamps: int32[rows * LANES], low bits of us; two equal ones beside equal powers are no pair.
        pairs: rows of pairs, a multiple of STEP.
        whole: int64[2 * LANES], written: energy (nJ), then largest spacing (us).
        slope: float64[2 * LANES], written: steepest rise, then fall (mW/s, at most 0).
    """
    for lane in range(LANES):
        whole[lane] = 0
        whole[lane + LANES] = 0
        slope[lane] = 0.0
        slope[lane + LANES] = 0.0
    for row in range(0, pairs, STEP):
        base = np.uint64(row) * _ROW
        for lane in range(LANES):
            at = base + np.uint64(lane)
            sums = (whole[lane], whole[lane + LANES], slope[lane], slope[lane + LANES])
            p0, p1, p2 = power[at], power[at + _ROW], power[at + _ROW2]
            p3, p4 = power[at + _ROW3], power[at + _ROW4]
            t0, t1, t2 = stamps[at], stamps[at + _ROW], stamps[at + _ROW2]
            t3, t4 = stamps[at + _ROW3], stamps[at + _ROW4]
            sums = _fold(p0, p1, np.int32(t1 - t0), *sums)
            sums = _fold(p1, p2, np.int32(t2 - t1), *sums)
            sums = _fold(p2, p3, np.int32(t3 - t2), *sums)
            sums = _fold(p3, p4, np.int32(t4 - t3), *sums)
            whole[lane] = sums[0]
            whole[lane + LANES] = sums[1]
            slope[lane] = sums[2]
            slope[lane + LANES] = sums[3]
