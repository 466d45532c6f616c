"""Short segments, sixteen at a time, one a column of a tile, for vector instructions.

In: segments of 1 to ROOM readings with a neighbour on either side. Out: their figures. A column
holds the reading before the segment, those inside and the one after; its pairs are added up whole,
and what lies outside the segment's edges is taken off again, exactly, since all are integers.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tokenergy_transforms.cpu.columns import STEP
from tokenergy_transforms.cpu.network import LANES, sort_columns, sort_tall
from tokenergy_transforms.cpu.ranks import rank_of
from tokenergy_transforms.maths import whole_energy

ROOM = 128
"""Readings of a segment that a column takes; adding up more in columns costs more than in a row."""

SORTED = 16
"""Rows that the network in registers sorts."""

ROWS = ROOM + 2 + STEP
"""Rows of a tile: a reading before, one after, and what rounds up to whole steps."""

SEGMENT, COUNT, OUTSIDE, LENGTH = range(4)
"""Rows of what is known of a tile's columns: the segment, how many readings it has, the energy of
its pairs outside its edges (nJ), its length (us)."""

_WIDEST = np.int64(2**31 - 1)
_LARGEST = np.int32(2**31 - 1)
_ROW = np.uint64(LANES)
_ONE = np.uint64(1)


@njit(cache=True, error_model="numpy")
def place_column(ts, power, lo, hi, start, lane, tile_power, spacing):  # type: ignore[no-untyped-def]
    """Write the readings lo - 1 .. hi into a column; return the energy (nJ) of its last pair.

    Where the first reading lies on the left edge, the one before it is none of the segment's: then
    a pair of no length stands in its place.
    """
    i = np.uint64(lo)
    at = np.uint64(lane)
    t0 = ts[i]
    inside = t0 > start
    before = i - _ONE if inside else i
    p0 = power[before]
    spacing[at] = min(t0 - ts[before], _WIDEST)
    tile_power[at] = p0
    for k in range(i, np.uint64(hi)):
        at += _ROW
        p0 = power[k]
        tile_power[at] = p0
        t1 = ts[k + _ONE]
        spacing[at] = min(t1 - t0, _WIDEST)
        dt = t1 - t0
        t0 = t1
    p1 = power[np.uint64(hi)]
    tile_power[at + _ROW] = p1
    return whole_energy(p0, p1, dt)


@njit(cache=True, error_model="numpy")
def level_columns(columns, used, tile_power, spacing):  # type: ignore[no-untyped-def]
    """Fill columns below their readings with pairs that add nothing; return the rows of pairs."""
    longest = np.int64(0)
    for lane in range(used):
        longest = max(longest, columns[COUNT, lane])
    pairs = (longest + 1 + STEP - 1) // STEP * STEP
    for lane in range(LANES):
        filled = columns[COUNT, lane] + 1 if lane < used else 0
        at = np.uint64(filled * LANES + lane)
        if lane >= used:
            tile_power[at] = 0
        level = tile_power[at]
        for _ in range(filled, pairs):
            spacing[at] = 0
            at += _ROW
            tile_power[at] = level
    return pairs


@njit(cache=True, error_model="numpy")
def sort_readings(columns, used, rows, tile_power):  # type: ignore[no-untyped-def]
    """Sort the readings of each column, in the rows from 1 on; `rows` is at least what it has.

    The rows that hold no reading get the largest value there is, so that they stay behind.
    """
    rows = SORTED if rows <= SORTED else rows
    for lane in range(used):
        at = np.uint64((columns[COUNT, lane] + 1) * LANES + lane)
        for _ in range(columns[COUNT, lane], rows):
            tile_power[at] = _LARGEST
            at += _ROW
    if rows == SORTED:
        sort_columns(tile_power[LANES:])
    else:
        sort_tall(tile_power[LANES:], rows)


@njit(cache=True, error_model="numpy")
def store_sums(columns, used, whole, slope, outputs):  # type: ignore[no-untyped-def]
    """Write what the pairs of a tile add up to.

    Args:
        columns: int64[4, LANES]; what each column holds, see the constants.
        used: columns in use.
        whole, slope: sums of the columns, see `fold_columns`.
        outputs: the arrays of `Result`, without those of the counter.
    """
    readings, covered_us, max_gap_us, energy_nj = outputs[0], outputs[1], outputs[2], outputs[3]
    mean_mw, rise_mw_s, fall_mw_s = outputs[5], outputs[10], outputs[11]
    for lane in range(used):
        s = np.uint64(columns[SEGMENT, lane])
        energy = whole[lane] - columns[OUTSIDE, lane]
        readings[s] = columns[COUNT, lane]
        covered_us[s] = columns[LENGTH, lane]
        max_gap_us[s] = whole[lane + LANES]
        energy_nj[s] = energy
        mean_mw[s] = energy / columns[LENGTH, lane]
        rise_mw_s[s] = np.int64(slope[lane])
        fall_mw_s[s] = np.int64(-slope[lane + LANES])


@njit(cache=True, error_model="numpy")
def store_ranks(columns, used, tile_power, outputs):  # type: ignore[no-untyped-def]
    """Write extremes and percentiles; the readings stand sorted in the rows from 1 on."""
    min_mw, max_mw = outputs[4], outputs[6]
    p50_mw, p95_mw, p99_mw = outputs[7], outputs[8], outputs[9]
    for lane in range(used):
        s = np.uint64(columns[SEGMENT, lane])
        n = columns[COUNT, lane]
        min_mw[s] = tile_power[LANES + lane]
        max_mw[s] = tile_power[n * LANES + lane]
        p50_mw[s] = tile_power[(rank_of(n, 50) + 1) * LANES + lane]
        p95_mw[s] = tile_power[(rank_of(n, 95) + 1) * LANES + lane]
        p99_mw[s] = tile_power[(rank_of(n, 99) + 1) * LANES + lane]
