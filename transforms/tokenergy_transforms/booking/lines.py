"""What a counter that is read rarely leaves open at an edge that it does not divide.

In: segments of an hour and their blocks. Out: energy for each side of an edge, in nJ.

Between two readings the counter is a straight line. At an end of a block that is off from the
nearest reading, the line is wrong by at most off x the largest power: off to that reading neither
the line nor the board rises by more. Booked up to an edge inside a block from s to e is
(1 - x) L(s) + x L(e), where L is the line and x the part of the block's samples before the edge.
So (1 - x) x what is open at s + x x what is open at e holds the error, and it moves with the edge.

Where a block goes on after segments without samples, both ends of such a silence count in full.
An edge within it takes, for each side, what is open where the samples of that side end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tokenergy_transforms.batch import I64, NONE
from tokenergy_transforms.booking.blocks import BOTH, COUNTER, SLOT_US, Blocks
from tokenergy_transforms.booking.exact import scaled
from tokenergy_transforms.booking.hour import Hour

Arrays = tuple[np.ndarray[Any, np.dtype[Any]], ...]
"""Columns of segments or blocks, of several types of numbers."""

Power = tuple[np.int64, np.int64, np.int64]
"""Start of the hour, the most that a board drew in it, and the most that it can draw, in mW."""

_HOUR_US = 3_600_000_000
_RARE_US = 1_000_000


def open_beside(
    rows: I64, device: I64, hour: Hour, hour_us: int, blocks: Blocks, limit_mw: I64
) -> tuple[I64, I64]:
    """Return what the line leaves open at the start and at the end of segments, in nJ.

    Args:
        rows: int64[r], places of segments, ascending.
        device: int64[r], places of their devices.
        hour, blocks: of all devices.
        hour_us: start of the hour.
        limit_mw: int64[D].

    Returns:
        int64[r] twice.
    """
    segments = (hour.start_us, hour.end_us, hour.energy_nj, hour.counter_off_us)
    found = (
        blocks.counter_nj, blocks.metered_by, blocks.divides, blocks.head, blocks.integral_nj,
        blocks.running_nj,
    )  # fmt: skip
    at_start, at_end = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    _fill(
        rows, device, hour.offsets, np.int64(hour_us), segments, found, (hour.max_mw, limit_mw),
        (at_start, at_end),
    )  # fmt: skip
    return at_start, at_end


# numba reads no annotations: it compiles for the types that it is called with.
@njit(cache=True, error_model="numpy", nogil=True)
def _fill(
    rows: I64,
    device: I64,
    offsets: I64,
    hour_us: np.int64,
    segments: Arrays,
    found: Arrays,
    powers: Arrays,
    into: Arrays,
) -> None:
    (max_mw, limit_mw), (at_start, at_end) = powers, into
    top_mw = most_mw = np.int64(0)
    for n in range(len(rows)):
        d = device[n]
        first, last = offsets[d], offsets[d + 1]
        if n == 0 or d != device[n - 1]:
            top_mw = np.int64(limit_mw[d]) * 105 // 100
            largest = np.int64(NONE)
            for mw in max_mw[first:last]:
                largest = max(largest, np.int64(mw))
            most_mw = top_mw if largest == NONE else largest * 105 // 100
        power = (hour_us, most_mw, top_mw)
        right = _samples_from(rows[n], 1, first, last, segments, found)
        if right >= 0:
            part = found[5][right] - segments[2][right]
            at_start[n] = _open(right, part, first, last, segments, found, power)
        left = _samples_from(rows[n], -1, first, last, segments, found)
        if left >= 0:
            at_end[n] = _open(left, found[5][left], first, last, segments, found, power)


@njit(cache=True, error_model="numpy", nogil=True)
def _samples_from(
    i: np.int64, step: int, first: np.int64, last: np.int64, segments: Arrays, found: Arrays
) -> np.int64 | int:
    """Return the first segment from i on, to one side, that has both meters; NONE without one.

    Only segments that the counter alone has are passed.
    """
    start_us, end_us = segments[0], segments[1]
    metered_by = found[1]
    while metered_by[i] == COUNTER:
        i += step
        if i < first or i >= last:
            return NONE
        if (step > 0 and start_us[i] != end_us[i - 1]) or (
            step < 0 and end_us[i] != start_us[i + 1]
        ):
            return NONE
    return i if metered_by[i] == BOTH else NONE


@njit(cache=True, error_model="numpy", nogil=True)
def _open(
    i: np.int64 | int,
    part_nj: np.int64,
    first: np.int64,
    last: np.int64,
    segments: Arrays,
    found: Arrays,
    power: Power,
) -> np.int64:
    """Return what is open where `part_nj` of the samples' energy of the block of i is passed."""
    start_us, end_us, _, off_us = segments
    counter_nj, _, divides, head, integral_nj, _ = found
    begin = np.int64(head[i])
    end, furthest_us, silences_nj = begin, np.int64(0), np.int64(0)
    m = begin
    while m < last and (m == begin or not divides[m]):
        if start_us[m] // SLOT_US != start_us[begin] // SLOT_US:
            break
        if head[m] == begin:
            if m > end + 1:
                silences_nj += _line(end, end + 1, segments, counter_nj, power)
                silences_nj += _line(m - 1, m, segments, counter_nj, power)
            end = m
            furthest_us = max(furthest_us, off_us[m])
        m += 1
    before, after = np.int64(begin - 1), np.int64(end + 1)
    if before < first or end_us[before] != start_us[begin] or counter_nj[before] == NONE:
        before = np.int64(NONE)
        # How far the line's first reading is, no segment says. A counter that is read often is
        # taken as read at an edge there.
        if part_nj == 0 and furthest_us <= _RARE_US:
            return np.int64(0)
    if after >= last or start_us[after] != end_us[end] or counter_nj[after] == NONE:
        after = np.int64(NONE)
    left_nj = _line(before, begin, segments, counter_nj, power)
    right_nj = _line(end, after, segments, counter_nj, power)
    whole = integral_nj[begin]
    passed_nj = scaled(part_nj, right_nj, whole) - scaled(part_nj, left_nj, whole)
    open_nj: np.int64 = left_nj + passed_nj + silences_nj
    return open_nj


@njit(cache=True, error_model="numpy", nogil=True)
def _line(
    left: np.int64, right: np.int64, segments: Arrays, counter_nj: I64, power: Power
) -> np.int64:
    """Return how far the line may be off at the cut between two segments; one may be NONE."""
    start_us, end_us, _, off_us = segments
    hour_us, most_mw, top_mw = power
    if left != NONE:
        at_us, away_us = end_us[left], off_us[left]
    else:
        at_us, away_us = start_us[right], off_us[right] + end_us[right] - start_us[right]
    if away_us >= min(at_us - hour_us, hour_us + _HOUR_US - at_us):
        most_mw = max(most_mw, top_mw)  # the hour's readings do not show all of that time
    if left != NONE:
        most_mw = max(most_mw, counter_nj[left] // (end_us[left] - start_us[left]) + 1)
    if right != NONE:
        most_mw = max(most_mw, counter_nj[right] // (end_us[right] - start_us[right]) + 1)
    off_nj: np.int64 = away_us * most_mw
    return off_nj
