"""Integrates a run of consecutive segments on one thread.

In: readings, counter readings and segments of a `Batch`, which segments. Out: those places of a
`Result`. A block of segments at a time, so that its intermediate values stay in the cache.
Segments of up to tiles.ROOM readings go through tiles, sixteen at a time. Those with more, with
none, with a gap or at an end of the record are done one by one.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tokenergy_transforms.batch import NONE
from tokenergy_transforms.cpu import tiles
from tokenergy_transforms.cpu.columns import fold_columns
from tokenergy_transforms.cpu.counter import count_block
from tokenergy_transforms.cpu.locate import BLOCK, CUTS, locate
from tokenergy_transforms.cpu.network import LANES
from tokenergy_transforms.cpu.ranks import BINS, SHORT, WANTED, extremes, percentiles
from tokenergy_transforms.cpu.segment import pairs
from tokenergy_transforms.cpu.shares import share_all

_ONE = np.uint64(1)


@njit(cache=True, error_model="numpy", nogil=True)
def run(begin, finish, readings, counters, segments, by_readings, by_counter):  # type: ignore[no-untyped-def]
    """Write the figures of the segments begin..finish - 1.

    Args:
        begin, finish: places of the segments.
        readings: ts_us, power_mw, offsets, gap_limit_us of a `Batch`.
        counters: counter_ts_us, counter_mj, counter_epoch, counter_offsets of a `Batch`.
        segments: seg_device, seg_start_us, seg_end_us of a `Batch`.
        by_readings: the arrays of `Result`, without those of the counter.
        by_counter: counter_nj, counter_off_us of `Result`.
    """
    ts, power, offsets, _ = readings
    noted = np.empty((4, CUTS), np.int64)
    at, of_device, right, counter_right = noted[0], noted[1], noted[2], noted[3]
    rows = np.empty((5, CUTS), np.int64)
    sums = (rows[0], rows[1], rows[2], rows[3], rows[4])
    left_cut = np.empty(BLOCK, np.int64)
    tile = (np.zeros(tiles.ROWS * LANES, np.int32), np.zeros(tiles.ROWS * LANES, np.int32))
    totals = (np.empty(2 * LANES, np.int64), np.empty(2 * LANES, np.float64))
    columns = np.zeros((4, LANES), np.int64)
    ranks = (
        np.empty(BINS, np.int32),
        np.empty(BINS, np.uint8),
        np.empty(WANTED * SHORT, np.int32),
        np.empty(WANTED, np.int64),
    )
    for block in range(begin, finish, BLOCK):
        count = min(BLOCK, finish - block)
        used = locate(block, count, ts, offsets, segments, (at, of_device, right), left_cut)
        again = (at, of_device, counter_right)
        count_block(block, count, used, counters, again, left_cut, sums, by_counter)
        widest = energy_left_of_cuts(used, ts, power, offsets, (at, of_device, right), sums)
        places = (left_cut, right, sums[4])
        if widest <= tiles.WIDEST_US:
            _in_tiles(block, count, readings, segments, places, tile, totals, columns, by_readings)
        _one_by_one(block, count, readings, segments, places, ranks, by_readings)


@njit(cache=True, error_model="numpy", nogil=True)
def energy_left_of_cuts(used, ts, power, offsets, cuts, sums):  # type: ignore[no-untyped-def]
    """Write the energy (nJ) of the pair that each cut divides, from its left reading to the cut.

    It is `pair_energy`, for many at once; 0 where a cut is outside the device's record.

    Args:
        used: how many cuts there are.
        ts, power, offsets: readings of a `Batch`.
        cuts: as `locate` leaves them.
        sums: five times int64[CUTS]; the last is written, the others are scratch.

    Returns:
        No less than the time (us) between the readings before and after any segment of the block.
    """
    at, of_device, right = cuts
    whole, span, part, product, left_nj = sums
    for k in range(np.uint64(used)):
        whole[k], span[k], part[k], product[k] = 0, 1, 0, 0
        r = right[k]
        if offsets[of_device[k]] < r < offsets[of_device[k] + 1]:
            i = np.uint64(r)
            before = i - _ONE
            dt = ts[i] - ts[before]
            x = at[k] - ts[before]
            p0 = np.int64(power[before])
            whole[k] = p0 * (dt - x) + np.int64(power[i]) * x
            span[k] = dt
            part[k] = x
            product[k] = p0 * x
    share_all(whole, span, part, used, left_nj)
    widest = longest = np.int64(0)
    for k in range(np.uint64(used)):
        left_nj[k] = (product[k] + left_nj[k]) >> 1
        widest = max(widest, span[k])
    for k in range(_ONE, np.uint64(used)):
        longest = max(longest, at[k] - at[k - _ONE])
    return longest + 2 * widest


@njit(cache=True, error_model="numpy", nogil=True)
def _in_tiles(  # type: ignore[no-untyped-def]
    block, count, readings, segments, places, tile, totals, columns, outputs
):
    """Do the segments of a block that fit a tile; set the left cut of those done to NONE."""
    ts, power, offsets, gap_limit = readings
    seg_device, seg_start, seg_end = segments
    left_cut, right, left_nj = places
    tile_power, tile_us = tile
    whole, slope = totals
    used = np.uint64(0)
    for k in range(np.uint64(count)):
        s = np.uint64(block) + k
        cut = np.uint64(left_cut[k])
        lo, hi = right[cut], right[cut + _ONE]
        device = seg_device[s]
        start = seg_start[s]
        fits = 0 < hi - lo <= tiles.ROOM and hi < offsets[device + 1]
        if fits and (lo > offsets[device] or ts[np.uint64(lo)] == start):
            outside = tiles.place_column(ts, power, lo, hi, start, used, tile_power, tile_us)
            outside -= left_nj[cut + _ONE]
            if ts[np.uint64(lo)] > start:
                outside += left_nj[cut]
            columns[tiles.SEGMENT, used] = k
            columns[tiles.COUNT, used] = hi - lo
            columns[tiles.LENGTH, used] = seg_end[s] - start
            columns[tiles.OUTSIDE, used] = outside
            used += _ONE
        if used == LANES or (used > 0 and k == count - 1):
            full = np.int64(used)
            rows, shortest = tiles.level_columns(columns, full, tile_power, tile_us)
            fold_columns(tile_power, tile_us, rows, whole, slope)
            tiles.sort_readings(columns, shortest, rows, tile_power)
            for lane in range(full):
                at = columns[tiles.SEGMENT, lane]
                columns[tiles.SEGMENT, lane] = block + at
                if whole[lane + LANES] <= gap_limit[seg_device[block + at]]:
                    left_cut[at] = NONE
            tiles.store_sums(columns, full, whole, slope, outputs)
            tiles.store_ranks(columns, full, tile_power, outputs)
            used = np.uint64(0)


@njit(cache=True, error_model="numpy", nogil=True)
def _one_by_one(block, count, readings, segments, places, ranks, outputs):  # type: ignore[no-untyped-def]
    """Do the segments of a block that did not go through a tile."""
    left_cut, right, left_nj = places
    for k in range(count):
        cut = left_cut[k]
        if cut != NONE:
            s = block + k
            lo, hi = right[cut], right[cut + 1]
            _sums(s, lo, hi, readings, segments, left_nj[cut], left_nj[cut + 1], outputs)
            _ranks(s, lo, hi, readings[1], ranks, outputs)


@njit(cache=True, error_model="numpy", nogil=True)
def _sums(s, lo, hi, readings, segments, at_start, at_end, outputs):  # type: ignore[no-untyped-def]
    """Write what the pairs of one segment add up to."""
    ts, power, offsets, gap_limit = readings
    seg_device, seg_start, seg_end = segments
    device = seg_device[s]
    covered, energy, gap, rise, fall = pairs(
        ts,
        power,
        offsets[device],
        offsets[device + 1],
        lo,
        hi,
        seg_start[s],
        seg_end[s],
        gap_limit[device],
        at_start,
        at_end,
    )
    outputs[0][s] = hi - lo
    outputs[1][s] = covered
    outputs[2][s] = gap
    outputs[3][s] = energy
    outputs[5][s] = energy / covered if covered > 0 else np.nan
    outputs[10][s] = np.int64(rise)
    outputs[11][s] = np.int64(-fall)


@njit(cache=True, error_model="numpy", nogil=True)
def _ranks(s, lo, hi, power, scratch, outputs):  # type: ignore[no-untyped-def]
    """Write extremes and percentiles of one segment with many readings, or none."""
    counts, marks, kept, found = scratch
    low = high = np.int32(NONE)
    found[:] = NONE
    if hi > lo:
        low, high = extremes(power, lo, hi)
        percentiles(power, lo, hi, low, high, counts, marks, kept, found)
    outputs[4][s] = low
    outputs[6][s] = high
    outputs[7][s] = found[0]
    outputs[8][s] = found[1]
    outputs[9][s] = found[2]
