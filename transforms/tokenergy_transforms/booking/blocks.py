"""Which meters have a value for each segment, and the blocks in which counter and samples meet.

In: an `Hour` and the jobs' edges of each device. Out: `Blocks`.

In a slot of 30 s, k = counter / integral over the segments that have both. A block is a slot, cut
at those job edges where the meter itself separates both sides: the counter was read within 50 ms,
or both sides have samples only. A tenure is the time between two neighbouring edges: the same jobs
hold the device throughout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from tokenergy_transforms.batch import F64, I32, I64, NONE
from tokenergy_transforms.booking.hour import Hour, each_device
from tokenergy_transforms.maths import lower_bound

SLOT_US = 30_000_000
NEAR_US = 50_000
"""A counter reading this close to an edge divides the block there."""

METERED_BY = ("none", "samples", "counter", "both")
UNKNOWN, SAMPLES, COUNTER, BOTH = range(4)
_SHORT_US = 5_000_000
_RECENT_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Edges:
    """Stamps at which an allocation of D devices begins or ends, each once.

    Attributes:
        cut_us: int64[E], ascending inside a device.
        offsets: int64[D + 1]; edges of device d are offsets[d]:offsets[d + 1].
    """

    cut_us: I64
    offsets: I64


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks and meters of n segments of D devices.

    Attributes:
        counter_nj: int64[n]; `NONE` where there is no counter or it is broken.
        metered_by: int8[n], places in `METERED_BY`: which meters have a value.
        at_edge, divides, beside: bool[n]: begins at an edge or after time that is not the device's;
            begins a block; touches an edge.
        head: int32[n], the first segment of the block.
        integral_nj, total_nj: int64[n], of the block; valid at its head alone.
        running_nj: int64[n], integral from the block's head to the segment's end.
        k: float64[n], counter over integral; NaN where there is none.
        span: int32[n]; segments of one span are held by the same jobs.
        idle_mw: int32[D], smallest reading.
    """

    counter_nj: I64
    metered_by: npt.NDArray[np.int8]
    at_edge: npt.NDArray[np.bool_]
    divides: npt.NDArray[np.bool_]
    beside: npt.NDArray[np.bool_]
    head: I32
    integral_nj: I64
    total_nj: I64
    running_nj: I64
    k: F64
    span: I32
    idle_mw: I32


def find_blocks(hour: Hour, edges: Edges) -> Blocks:
    """Return the blocks of an hour."""
    n = len(hour.start_us)
    at_edge, divides, beside, starts_span = (np.zeros(n, np.bool_) for _ in range(4))
    integral_nj, total_nj, running_nj = (np.zeros(n, np.int64) for _ in range(3))
    metered_by, head = np.zeros(n, np.int8), np.zeros(n, np.int32)
    k, idle_mw = np.full(n, np.nan), np.zeros(len(hour.devices), np.int32)
    counter_nj = hour.counter_nj.copy()
    segments = (hour.start_us, hour.end_us, hour.covered_us, hour.energy_nj)
    totals = (integral_nj, total_nj, running_nj)

    def one(d: int) -> None:
        first, last = hour.offsets[d], hour.offsets[d + 1]
        cuts = edges.cut_us[edges.offsets[d] : edges.offsets[d + 1]]
        _drop_broken(first, last, segments, counter_nj)
        _classify(first, last, segments, counter_nj, metered_by)
        _mark(first, last, segments, cuts, at_edge, beside, starts_span)
        _divide(
            first, last, segments, counter_nj, hour.counter_off_us, metered_by, at_edge, divides
        )
        _total(first, last, segments, counter_nj, metered_by, divides, head, totals)
        _ratio(first, last, segments, counter_nj, metered_by, k)
        idle_mw[d] = _least(hour.min_mw[first:last])

    each_device(hour, one)
    span = (np.cumsum(starts_span) - 1).astype(np.int32)
    return Blocks(
        counter_nj, metered_by, at_edge, divides, beside, head, integral_nj, total_nj, running_nj,
        k, span, idle_mw,
    )  # fmt: skip


@njit(cache=True, error_model="numpy", nogil=True)
def _drop_broken(first, last, segments, counter_nj):  # type: ignore[no-untyped-def]
    """Leave out a counter that did not move in a slot in which power was drawn."""
    start_us, _, _, energy_nj = segments
    i = first
    while i < last:
        slot = start_us[i] // SLOT_US
        begin, counted, drawn, seen = i, np.int64(0), np.int64(0), False
        while i < last and start_us[i] // SLOT_US == slot:
            if counter_nj[i] != NONE:
                seen = True
                counted += counter_nj[i]
            drawn += energy_nj[i]
            i += 1
        if seen and counted == 0 and drawn > 0:
            counter_nj[begin:i] = NONE


@njit(cache=True, error_model="numpy", nogil=True)
def _classify(first, last, segments, counter_nj, metered_by):  # type: ignore[no-untyped-def]
    start_us, end_us, covered_us, energy_nj = segments
    for i in range(first, last):
        if counter_nj[i] != NONE:
            whole = covered_us[i] == end_us[i] - start_us[i] and energy_nj[i] > 0
            metered_by[i] = BOTH if whole else COUNTER
        else:
            metered_by[i] = SAMPLES if covered_us[i] > 0 else UNKNOWN


@njit(cache=True, error_model="numpy", nogil=True)
def _mark(first, last, segments, cuts, at_edge, beside, starts_span):  # type: ignore[no-untyped-def]
    """Mark segments that touch an edge, and those before which the edges passed have changed."""
    start_us, end_us = segments[0], segments[1]
    before = behind = np.int64(-1)
    left = np.int64(0)
    for i in range(first, last):
        left = lower_bound(cuts, left, len(cuts), start_us[i])
        at_edge[i] = left < len(cuts) and cuts[left] == start_us[i]
        right = lower_bound(cuts, left, len(cuts), end_us[i])
        beside[i] = at_edge[i] or (right < len(cuts) and cuts[right] == end_us[i])
        passed = left + np.int64(at_edge[i])
        starts_span[i] = passed != before or right != behind
        before, behind = passed, right
        if i > first and start_us[i] != end_us[i - 1]:
            at_edge[i] = True  # what is uncertain at the edges of a job is no one else's


@njit(cache=True, error_model="numpy", nogil=True)
def _divide(  # type: ignore[no-untyped-def]
    first, last, segments, counter_nj, counter_off_us, metered_by, at_edge, divides
):
    """Find where a block begins: the meter itself divides two jobs, or a meter begins or ends.

    A block never spans a hole in the record, so that no energy is moved over one.
    """
    start_us, end_us = segments[0], segments[1]
    if first < last:
        divides[first] = counter_nj[first] != NONE
    for i in range(first + 1, last):
        read = counter_off_us[i - 1] != NONE and counter_off_us[i - 1] <= NEAR_US
        sampled = metered_by[i] == SAMPLES and metered_by[i - 1] == SAMPLES
        divides[i] = (
            (at_edge[i] and (read or sampled))
            or (counter_nj[i] == NONE) != (counter_nj[i - 1] == NONE)
            or (metered_by[i] == UNKNOWN) != (metered_by[i - 1] == UNKNOWN)
            or start_us[i] != end_us[i - 1]
        )


@njit(cache=True, error_model="numpy", nogil=True)
def _total(  # type: ignore[no-untyped-def]
    first, last, segments, counter_nj, metered_by, divides, head, totals
):
    """Add up blocks: the segments of one stretch and slot that have the same meters."""
    start_us, _, _, energy_nj = segments
    integral_nj, total_nj, running_nj = totals
    heads = np.full(4, -1, np.int64)
    slot = np.int64(-1)
    for i in range(first, last):
        if divides[i] or start_us[i] // SLOT_US != slot:
            slot = start_us[i] // SLOT_US
            heads[:] = -1
        kind = metered_by[i]
        if heads[kind] < 0:
            heads[kind] = i
        at = heads[kind]
        head[i] = at
        integral_nj[at] += energy_nj[i]
        total_nj[at] += counter_nj[i] if kind == BOTH else energy_nj[i]
        running_nj[i] = integral_nj[at]


@njit(cache=True, error_model="numpy", nogil=True)
def _ratio(first, last, segments, counter_nj, metered_by, k):  # type: ignore[no-untyped-def]
    """Set k; a slot cut short at the end of the record says little: it takes the k of the hour."""
    start_us, end_us, _, energy_nj = segments
    hour_counter, hour_integral = np.int64(0), np.int64(0)
    for i in range(first, last):
        if metered_by[i] == BOTH:
            hour_counter += counter_nj[i]
            hour_integral += energy_nj[i]
    i = first
    while i < last:
        slot, begin = start_us[i] // SLOT_US, i
        counted, drawn, length_us = np.int64(0), np.int64(0), np.int64(0)
        while i < last and start_us[i] // SLOT_US == slot:
            if metered_by[i] == BOTH:
                counted += counter_nj[i]
                drawn += energy_nj[i]
                length_us += end_us[i] - start_us[i]
            i += 1
        if length_us < _SHORT_US:
            counted, drawn = hour_counter, hour_integral
        for j in range(begin, i):
            if metered_by[j] == BOTH:
                k[j] = np.float64(counted) / np.float64(drawn)


@njit(cache=True, error_model="numpy", nogil=True)
def _least(min_mw):  # type: ignore[no-untyped-def]
    found = np.int32(-1)
    for value in min_mw:
        if value != NONE and (found < 0 or value < found):
            found = value
    return max(found, np.int32(0))


@njit(cache=True, error_model="numpy", nogil=True)
def recent_max(rows, first, end_us, max_mw):  # type: ignore[no-untyped-def]
    """Return the largest reading of the second up to the right cut of each segment in `rows`.

    `first` holds, for each of them, the first segment of its device. `NONE` where there is none.
    """
    found = np.full(len(rows), NONE, np.int32)
    for n in range(len(rows)):
        i = rows[n]
        while i >= first[n] and end_us[i] >= end_us[rows[n]] - _RECENT_US:
            found[n] = max(found[n], max_mw[i])
            i -= 1
    return found
