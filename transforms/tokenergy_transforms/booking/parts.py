"""What the meters say of each segment: energy, method, bounds.

In: `Hour`, `Blocks`, the error bounds of each sensor, what each edge moves. Out: `Parts`, one a
segment.

The meter's total is spread in the samples' shape: with S the running sum of integrals inside a
block, I its total and D the meter's (the counter's, or I itself), a segment is booked
floor(S D / I) minus the same of its predecessor, so a block adds up to D exactly. At a job's edge
D takes what the meter was behind at its right end and gives what it was behind at its left end
(see `edge.sql`): what one side gives the other takes, so the sum stays the meter's.

Between sparse readings the power is anything from nothing to the limit. Of a segment that samples
cover in part, the part is what was covered; the rest is a row of its own
(`missing`), between nothing and the power limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from tokenergy_transforms.batch import I64
from tokenergy_transforms.booking.blocks import (
    COUNTER,
    SAMPLES,
    UNKNOWN,
    Blocks,
    Edges,
)
from tokenergy_transforms.booking.exact import mixed, scaled
from tokenergy_transforms.booking.hour import Hour, each_device
from tokenergy_transforms.maths import lower_bound

METHODS = ("counter", "counter_flagged", "disputed", "counter_gap", "samples", "missing")
AGREED, FLAGGED, DISPUTED, COUNTER_GAP, SAMPLED, MISSING = range(6)
METERS = ("counter", "samples", "none")
BY_COUNTER, BY_SAMPLES, BY_NONE = range(3)
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Sensors:
    """Error bounds of the meters of D devices; columns of `sensor_class.sql`, int64[D] each."""

    limit_mw: I64
    seen_ppm: I64
    sensor_low_ppm: I64
    sensor_high_ppm: I64
    sensor_offset_low_mw: I64
    sensor_offset_high_mw: I64
    counter_low_ppm: I64
    counter_high_ppm: I64
    counter_offset_low_mw: I64
    counter_offset_high_mw: I64


@dataclass(frozen=True, slots=True)
class Shifts:
    """What each of E edges moves, and how uncertain that is (see `edge.sql`); int64[E], 0 if none.

    Attributes:
        shift_nj: moved from its right to its left.
        left_below_nj, left_above_nj: by how much the bounds on its left widen.
        right_below_nj, right_above_nj: by how much those on its right widen.
    """

    shift_nj: I64
    left_below_nj: I64
    left_above_nj: I64
    right_below_nj: I64
    right_above_nj: I64


@dataclass(frozen=True, slots=True)
class Parts:
    """Energy and bounds of n segments.

    Attributes:
        booked_nj: int64[n]; undefined where the method is `missing`.
        method: int8[n], places in `METHODS`.
        low_nj, high_nj: int64[n].
    """

    booked_nj: I64
    method: npt.NDArray[np.int8]
    low_nj: I64
    high_nj: I64


def book(hour: Hour, blocks: Blocks, edges: Edges, sensors: Sensors, shifts: Shifts) -> Parts:
    """Return the energy and bounds to book for each segment of an hour."""
    n = len(hour.start_us)
    booked_nj, low_nj, high_nj = (np.zeros(n, np.int64) for _ in range(3))
    method = np.zeros(n, np.int8)
    total_nj = blocks.total_nj.copy()
    left_of = (shifts.shift_nj, shifts.left_below_nj, shifts.left_above_nj)
    right_of = (shifts.shift_nj, shifts.right_below_nj, shifts.right_above_nj)
    below_nj, above_nj = np.zeros(n, np.int64), np.zeros(n, np.int64)
    segments = (hour.start_us, hour.end_us, hour.covered_us, hour.energy_nj, blocks.counter_nj)
    found = (blocks.metered_by, blocks.k, blocks.head, blocks.integral_nj, blocks.running_nj)

    def one(d: int) -> None:
        first, last = hour.offsets[d], hour.offsets[d + 1]
        at, until = edges.offsets[d], edges.offsets[d + 1]
        _move(
            first, last, segments, edges.cut_us[at:until],
            tuple(m[at:until] for m in left_of), tuple(m[at:until] for m in right_of),
            (blocks.beside, blocks.at_edge, blocks.head), (total_nj, below_nj, above_nj),
        )  # fmt: skip
        _book(first, last, segments, found, total_nj, booked_nj, method)
        limits = (sensors.limit_mw[d], sensors.seen_ppm[d], np.int64(blocks.idle_mw[d]))
        sensor = (
            sensors.sensor_low_ppm[d], sensors.sensor_high_ppm[d],
            sensors.sensor_offset_low_mw[d], sensors.sensor_offset_high_mw[d],
        )  # fmt: skip
        counter = (
            sensors.counter_low_ppm[d], sensors.counter_high_ppm[d],
            sensors.counter_offset_low_mw[d], sensors.counter_offset_high_mw[d],
        )  # fmt: skip
        meters = (limits, sensor, counter)
        doubts = (hour.sparse_us, hour.doubt_nj)
        _bound(
            first, last, segments, doubts, blocks.metered_by, meters, booked_nj, method,
            low_nj, high_nj,
        )  # fmt: skip
        _widen(first, last, blocks.at_edge, blocks.metered_by, below_nj, above_nj, low_nj, high_nj)

    each_device(hour, one)
    return Parts(booked_nj, method, low_nj, high_nj)


@njit(cache=True, error_model="numpy", nogil=True)
def _move(  # type: ignore[no-untyped-def]
    first, last, segments, cuts, left_of, right_of, marks, into
):
    """Add to each block what its edges move, and to each tenure what stays uncertain there."""
    beside, at_edge, head = marks
    total_nj, below_nj, above_nj = into
    tenure = first
    for i in range(first, last):
        if at_edge[i]:
            tenure = i
        if not beside[i]:
            continue
        left = lower_bound(cuts, 0, len(cuts), segments[0][i])
        if left < len(cuts) and cuts[left] == segments[0][i]:
            total_nj[head[i]] -= right_of[0][left]
            below_nj[tenure] += right_of[1][left]
            above_nj[tenure] += right_of[2][left]
        right = lower_bound(cuts, left, len(cuts), segments[1][i])
        if right < len(cuts) and cuts[right] == segments[1][i]:
            total_nj[head[i]] += left_of[0][right]
            below_nj[tenure] += left_of[1][right]
            above_nj[tenure] += left_of[2][right]


@njit(cache=True, error_model="numpy", nogil=True)
def _book(first, last, segments, found, total_nj, booked_nj, method):  # type: ignore[no-untyped-def]
    energy_nj, counter_nj = segments[3], segments[4]
    metered_by, k, head, integral_nj, running_nj = found
    for i in range(first, last):
        if metered_by[i] == COUNTER:
            booked_nj[i] = counter_nj[i]
            method[i] = COUNTER_GAP
            continue
        if metered_by[i] == UNKNOWN:
            method[i] = MISSING
            continue
        whole, total = integral_nj[head[i]], total_nj[head[i]]
        if whole > 0:
            until = scaled(running_nj[i], total, whole)
            booked_nj[i] = until - scaled(running_nj[i] - energy_nj[i], total, whole)
        if metered_by[i] == SAMPLES:
            method[i] = SAMPLED
        elif abs(k[i] - 1) <= 0.02:
            method[i] = AGREED
        else:
            method[i] = FLAGGED if abs(k[i] - 1) <= 0.05 else DISPUTED


@njit(cache=True, error_model="numpy", nogil=True)
def _bound(  # type: ignore[no-untyped-def]
    first, last, segments, doubts, metered_by, meters, booked_nj, method, low_nj, high_nj
):
    """Set the bounds from the error bounds of the meter.

    In the time that a sensor does not see, the power is between idle and the limit.
    """
    sparse_us, doubt_nj = doubts
    start_us, end_us, covered_us, energy_nj = segments[0], segments[1], segments[2], segments[3]
    (limit_mw, seen_ppm, idle_mw), sensor, counter = meters
    unseen_ppm = _MILLION - seen_ppm
    idle_mw = _least(idle_mw, 1, sensor)
    for i in range(first, last):
        length_us, covered = end_us[i] - start_us[i], covered_us[i]
        booked, sampled, doubt = booked_nj[i], energy_nj[i], doubt_nj[i]
        if metered_by[i] == UNKNOWN:
            low, high = np.int64(0), limit_mw * length_us
        elif metered_by[i] == SAMPLES:
            low = _least(booked - doubt, covered, sensor)
            high = _most(booked + doubt, covered, sensor)
            low = min(low, mixed(low, seen_ppm, idle_mw * covered, unseen_ppm))
            high = max(high, mixed(high, seen_ppm, limit_mw * covered, unseen_ppm))
            if sparse_us[i] > 0:
                # The lowest reading of the hour need not be idle: few moments were seen.
                dense_us = covered - sparse_us[i]
                low = scaled(dense_us, low, covered)
                high = max(high, scaled(dense_us, high, covered) + 1 + limit_mw * sparse_us[i])
        else:
            low, high = _least(booked, length_us, counter), _most(booked, length_us, counter)
            if metered_by[i] == COUNTER:
                rest_us = length_us - covered
                low = min(low, _least(sampled - doubt, covered, sensor) + idle_mw * rest_us)
                high = max(high, _most(sampled + doubt, covered, sensor) + limit_mw * rest_us)
            elif method[i] == DISPUTED:
                low = min(low, _least(sampled - doubt, covered, sensor))
                high = max(high, _most(sampled + doubt, covered, sensor))
        low_nj[i], high_nj[i] = low, high


@njit(cache=True, error_model="numpy", nogil=True)
def _least(read, time_us, meter):  # type: ignore[no-untyped-def]
    """Return the least true value for a reading of a meter (nJ over us, or mW over 1)."""
    low_ppm, _, _, offset_high_mw = meter
    return mixed(max(np.int64(0), read - offset_high_mw * time_us), low_ppm, 0, 0)


@njit(cache=True, error_model="numpy", nogil=True)
def _most(read, time_us, meter):  # type: ignore[no-untyped-def]
    """Return the largest true value; see `_least`."""
    _, high_ppm, offset_low_mw, _ = meter
    return mixed(max(np.int64(0), read - offset_low_mw * time_us), high_ppm, 0, 0) + 1


@njit(cache=True, error_model="numpy", nogil=True)
def _widen(  # type: ignore[no-untyped-def]
    first, last, at_edge, metered_by, below_nj, above_nj, low_nj, high_nj
):
    """Spread the uncertainty at the edges of a tenure over its segments, in proportion.

    So no lower bound falls below 0, and the sum over a job contains all of it.
    """
    i = first
    while i < last:
        begin, low, high = i, np.int64(0), np.int64(0)
        while i < last and (i == begin or not at_edge[i]):
            if metered_by[i] != UNKNOWN:
                low += low_nj[i]
                high += high_nj[i]
            i += 1
        give, take = min(below_nj[begin], low), above_nj[begin]
        lows, highs = np.int64(0), np.int64(0)
        given, taken = np.int64(0), np.int64(0)
        for j in range(begin, i):
            if metered_by[j] == UNKNOWN:
                continue
            lows += low_nj[j]
            highs += high_nj[j]
            if low > 0 and give > 0:
                until = scaled(lows, give, low)
                low_nj[j] -= until - given
                given = until
            if high > 0 and take > 0:
                until = scaled(highs, take, high)
                high_nj[j] += until - taken
                taken = until
