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

_COUNTS = np.arange(ROOM + 1, dtype=np.uint64)
_ROW_50, _ROW_95, _ROW_99 = ((_COUNTS * q + 99) // 100 * LANES for q in (50, 95, 99))
"""Where the row of a percentile begins, by the number of readings: `rank_of`, looked up."""

_WIDEST = np.int64(2**31 - 1)
_LARGEST = np.int32(2**31 - 1)
_ROW = np.uint64(LANES)
_ONE = np.uint64(1)


@njit(cache=True, error_model="numpy")
def place_column(ts, power, lo, hi, start, lane, tile_power, spacing):  # type: ignore[no-untyped-def]
    """Write the readings lo - 1 .. hi into a column; return the energy (nJ) of its last pair.

    Where the first reading lies on the left edge, the one before it is none of the segment's: then
    a pair of no length stands in its place. Rows are written in whole steps, whatever stands in the
    readings behind: `level_columns` clears them. A number of rows that hardly ever changes is one
    that the processor foresees.
    """
    i = np.uint64(lo)
    at = np.uint64(lane)
    t0 = ts[i]
    inside = t0 > start
    before = i - _ONE if inside else i
    spacing[at] = min(t0 - ts[before], _WIDEST)
    tile_power[at] = power[before]
    rows = (hi - lo + STEP - 1) // STEP * STEP
    if lo + rows >= len(ts):
        rows = hi - lo
    for k in range(i, i + np.uint64(rows)):
        at += _ROW
        tile_power[at] = power[k]
        t1 = ts[k + _ONE]
        spacing[at] = min(t1 - t0, _WIDEST)
        t0 = t1
    right = np.uint64(hi)
    left = right - _ONE
    tile_power[np.uint64(hi - lo + 1) * _ROW + np.uint64(lane)] = power[right]
    return whole_energy(power[left], power[right], ts[right] - ts[left])


@njit(cache=True, error_model="numpy")
def level_columns(columns, used, tile_power, spacing):  # type: ignore[no-untyped-def]
    """Fill columns below their readings with pairs that add nothing; return the rows of pairs."""
    shortest, longest = np.int64(ROOM), np.int64(0)
    counts = columns[COUNT]
    level = np.empty(LANES, np.int32)
    for lane in range(LANES):
        if lane >= used:
            counts[lane] = 0
            tile_power[lane + LANES] = 0
        longest = max(longest, counts[lane])
        shortest = min(shortest, counts[lane])
        level[lane] = tile_power[np.uint64((counts[lane] + 1) * LANES + lane)]
    pairs = (longest + 1 + STEP - 1) // STEP * STEP
    for row in range(shortest + 1, pairs + 1):
        base = np.uint64(row) * _ROW
        for lane in range(LANES):
            at = base + np.uint64(lane)
            behind = row > counts[lane]
            spacing[at] = 0 if behind else spacing[at]
            tile_power[at] = level[lane] if behind else tile_power[at]
    if shortest == 0:
        for lane in range(used, LANES):
            tile_power[lane] = 0
            spacing[lane] = 0
    return pairs


@njit(cache=True, error_model="numpy")
def sort_readings(columns, used, rows, tile_power):  # type: ignore[no-untyped-def]
    """Sort the readings of each column, in the rows from 1 on; `rows` is at least what it has.

    The rows that hold no reading get the largest value there is, so that they stay behind.
    """
    rows = SORTED if rows <= SORTED else rows
    counts = columns[COUNT]
    shortest = np.int64(ROOM)
    for lane in range(used):
        shortest = min(shortest, counts[lane])
    for row in range(shortest + 1, rows + 1):
        base = np.uint64(row) * _ROW
        for lane in range(LANES):
            at = base + np.uint64(lane)
            tile_power[at] = _LARGEST if row > counts[lane] else tile_power[at]
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
        n = np.uint64(columns[COUNT, lane])
        min_mw[s] = tile_power[LANES + lane]
        max_mw[s] = tile_power[n * _ROW + np.uint64(lane)]
        p50_mw[s] = tile_power[_ROW_50[n] + np.uint64(lane)]
        p95_mw[s] = tile_power[_ROW_95[n] + np.uint64(lane)]
        p99_mw[s] = tile_power[_ROW_99[n] + np.uint64(lane)]
