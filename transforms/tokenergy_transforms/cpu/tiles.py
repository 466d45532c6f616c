"""Short segments, sixteen at a time, one a column of a tile, for vector instructions.

In: segments of 1 to ROOM readings with a neighbour on either side. Out: their figures. A column
holds the reading before the segment, those inside and the one after; its pairs are added up whole,
and the parts outside the segment's edges are subtracted, exactly, since all are integers.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tokenergy_transforms.cpu.columns import STEP
from tokenergy_transforms.cpu.network import LANES, sort_columns, sort_tall, sort_twelve
from tokenergy_transforms.maths import whole_energy

ROOM = 128
"""Readings of a segment that a column takes; adding up more in columns costs more than in a row."""

TWELVE, SORTED = 12, 16
"""Rows that networks in registers sort."""

ROWS = ROOM + 2 + STEP
"""Rows of a tile: a reading before, one after, and what rounds up to whole steps."""

SEGMENT, COUNT, OUTSIDE, LENGTH = range(4)
"""Rows of what is known of a tile's columns: the segment, how many readings it has, the energy of
its pairs outside its edges (nJ), its length (us)."""

WIDEST_US = np.int64(2**31 - 1)
"""What a column may span: of its stamps the low 32 bits are kept."""

_COUNTS = np.arange(ROOM + 1, dtype=np.uint64)
_ROW_50, _ROW_95, _ROW_99 = ((_COUNTS * q + 99) // 100 * LANES for q in (50, 95, 99))
"""Where the row of a percentile begins, by the number of readings: `rank_of`, looked up."""

_LARGEST = np.int32(2**31 - 1)
_ROW = np.uint64(LANES)
_ONE = np.uint64(1)


@njit(cache=True, error_model="numpy")
def place_column(ts, power, lo, hi, start, lane, tile_power, tile_us):  # type: ignore[no-untyped-def]
    """Write the readings lo - 1 .. hi into a column; return the energy (nJ) of its last pair.

    Where the first reading is on the left edge, the segment does not include the one before it: a
    pair of no length replaces it. Rows are written in whole steps, with whatever readings follow:
    `level_columns` clears them. The processor predicts a number of rows that hardly ever changes.
    """
    i = np.uint64(lo)
    at = np.uint64(lane)
    before = i - _ONE if ts[i] > start else i
    tile_power[at], tile_us[at] = power[before], np.int32(ts[before])
    rows = (hi - lo + STEP) // STEP * STEP
    if lo + rows > len(ts):
        rows = hi - lo + 1
    for k in range(i, i + np.uint64(rows)):
        at += _ROW
        tile_power[at], tile_us[at] = power[k], np.int32(ts[k])
    right = np.uint64(hi)
    left = right - _ONE
    return whole_energy(power[left], power[right], ts[right] - ts[left])


@njit(cache=True, error_model="numpy")
def level_columns(columns, used, tile_power, tile_us):  # type: ignore[no-untyped-def]
    """Fill columns below their readings with pairs that add nothing.

    Returns:
        The rows of pairs, and how many readings the shortest column has.
    """
    counts = columns[COUNT]
    for lane in range(used, LANES):
        counts[lane] = 0
        for row in (0, LANES):
            tile_power[row + lane], tile_us[row + lane] = 0, 0
    shortest, longest = np.int64(ROOM), np.int64(0)
    for lane in range(LANES):
        longest = max(longest, counts[lane])
        shortest = min(shortest, counts[lane])
    pairs = (longest + 1 + STEP - 1) // STEP * STEP
    for row in range(shortest + 2, pairs + 1):
        base = np.uint64(row) * _ROW
        for lane in range(LANES):
            at = base + np.uint64(lane)
            behind = row > counts[lane] + 1
            tile_power[at] = tile_power[at - _ROW] if behind else tile_power[at]
            tile_us[at] = tile_us[at - _ROW] if behind else tile_us[at]
    return pairs, shortest


@njit(cache=True, error_model="numpy")
def sort_readings(columns, shortest, rows, tile_power):  # type: ignore[no-untyped-def]
    """Sort the readings of each column, in the rows from 1 on; `rows` is at least what it has.

    The rows that hold no reading get the largest value there is, so that they stay behind.
    """
    rows = TWELVE if rows <= TWELVE else SORTED if rows <= SORTED else rows
    counts = columns[COUNT]
    for row in range(shortest + 1, rows + 1):
        base = np.uint64(row) * _ROW
        for lane in range(LANES):
            at = base + np.uint64(lane)
            tile_power[at] = _LARGEST if row > counts[lane] else tile_power[at]
    if rows == TWELVE:
        sort_twelve(tile_power[LANES:])
    elif rows == SORTED:
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
    """Write extremes and percentiles; the readings are sorted in the rows from 1 on."""
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
