"""What jobs drew above caps of 50 to 90 % of their boards' power limits.

In: `Hour`, `LedgerRows` of some devices, the limits of the boards. Out: bounds of the energy above
each cap, one row a device and job.

The integral of max(P - cap, 0) over a segment does not follow from its statistics, but its bounds
do. P is between the segment's least and most power and has its mean, and max(x - cap, 0) is convex:
the mean alone gives the lower bound (Jensen), and power that is always either the least or the most
gives the upper one (the chord). Power at both cuts counts among least and most. Uncovered time is
left out. Whole milliwatts, so that sums do not depend on their order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from tokenergy_transforms.batch import I32, I64, NONE
from tokenergy_transforms.booking.accounts import LedgerRows
from tokenergy_transforms.booking.exact import quotient
from tokenergy_transforms.booking.hour import Hour

CAPS = (50, 60, 70, 80, 90)
"""Percent of the limit."""

_CAPS = len(CAPS)
_MOST_MW = np.int64(2**31 - 1)
"""A mean lies between readings, which have 32 bits; what damage says is cut here."""


@dataclass(frozen=True, slots=True)
class OverCaps:
    """r pairs of a device and a job that has covered time on it.

    Attributes:
        job: int32[r], places in the list of jobs.
        limited: bool[r], whether the board's limit is known; where it is not, the sums are 0.
        low_nj, high_nj: int64[5, r], bounds of the energy above each of `CAPS`.
    """

    job: I32
    limited: npt.NDArray[np.bool_]
    low_nj: I64
    high_nj: I64


def over_caps(devices: range, hour: Hour, rows: LedgerRows, limit_mw: I64) -> OverCaps:
    """Return what jobs drew above the caps of some neighbouring devices.

    Args:
        devices: their places.
        hour: segments of all devices.
        rows: the ledger of these devices, in its order.
        limit_mw: int64[D], power limits of all devices; `NONE` where none is known.
    """
    power = (hour.energy_nj, hour.covered_us, hour.min_mw, hour.max_mw, hour.end_mw)
    # Pages that no pair reaches are never touched.
    size = rows.codes.shape[1]
    job, device = np.empty(size, np.int32), np.empty(size, np.int32)
    low, high = np.empty((size, _CAPS), np.int64), np.empty((size, _CAPS), np.int64)
    count = _add_rows(
        (devices.start, devices.stop), hour.offsets, power, limit_mw,
        (rows.values[0], rows.codes[1], rows.values[6]), (job, device, low, high),
    )  # fmt: skip
    limited = limit_mw[device[:count]] != NONE
    return OverCaps(job[:count], limited, low[:count].T, high[:count].T)


@njit(cache=True, error_model="numpy", nogil=True)
def _add_rows(devices, offsets, power, limits, rows, out):  # type: ignore[no-untyped-def]
    """Add each row to the pair of its device and job; return how many pairs there are."""
    # Arrays are taken out of tuples once: to take one costs more than a sum.
    energy_nj, all_covered_us, min_mw, max_mw, end_mw = power
    (segments, jobs, covered_us), (job, of_device, low, high) = rows, out
    cap_mw = np.empty(_CAPS, np.int64)
    count = opened = 0  # pairs begun: of all devices; of those before this one
    device = devices[0] - 1
    for i in range(len(segments)):
        n = segments[i]
        while device < devices[0] or n >= offsets[device + 1]:
            device += 1
            opened = count
            for place in range(_CAPS):
                cap_mw[place] = limits[device] * CAPS[place] // 100
        if jobs[i] == NONE or covered_us[i] <= 0:
            continue
        at = opened
        while at < count and job[at] != jobs[i]:
            at += 1
        if at == count:
            count += 1
            job[at], of_device[at] = jobs[i], device
            low[at], high[at] = 0, 0
        if limits[device] == NONE:
            continue
        mean_mw = min(quotient(energy_nj[n], all_covered_us[n]), _MOST_MW)
        before_mw = _before_mw(n, offsets[device], all_covered_us, end_mw)
        least_mw = min(mean_mw, _or(min_mw[n], mean_mw), _or(end_mw[n], mean_mw))
        least_mw = min(least_mw, _or(before_mw, mean_mw))
        most_mw = max(mean_mw + 1, max_mw[n], end_mw[n], before_mw)
        rise_mw, range_mw = mean_mw + 1 - least_mw, most_mw - least_mw
        for place in range(_CAPS):
            over_mw = most_mw - cap_mw[place]
            if over_mw <= 0:
                break
            over_mw = quotient(rise_mw * over_mw + range_mw - 1, range_mw)
            low[at, place] += covered_us[i] * max(mean_mw - cap_mw[place], 0)
            high[at, place] += covered_us[i] * max(mean_mw + 1 - cap_mw[place], over_mw)
    return count


@njit(cache=True, error_model="numpy", nogil=True)
def _or(power_mw, other_mw):  # type: ignore[no-untyped-def]
    return other_mw if power_mw == NONE else np.int64(power_mw)


@njit(cache=True, error_model="numpy", nogil=True)
def _before_mw(segment, first, covered_us, end_mw):  # type: ignore[no-untyped-def]
    """Return the power at the end of the covered segment before, `NONE` if there is none."""
    for before in range(segment - 1, first - 1, -1):
        if covered_us[before] > 0:
            return end_mw[before]
    return np.int32(NONE)
