"""The rows of the ledger: every part is split among those who hold the device, and booked.

In: `Hour`, `Blocks`, `Parts`; who holds what (`Claims`), when tokens moved (`Activity`), readings
of the state gauges (`Gauges`). Out: `LedgerRows` of some devices, in the ledger's order.

Energy, time and bounds are split by the shares of the jobs, with a telescoping rule, so that the
parts add up to the unit. Then the account is chosen: see `docs/ledger.md`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from tokenergy_transforms.anomalies import SPARSE
from tokenergy_transforms.batch import F64, I32, I64, NONE
from tokenergy_transforms.booking.activity import Activity
from tokenergy_transforms.booking.blocks import SAMPLES, UNKNOWN, Blocks
from tokenergy_transforms.booking.exact import share
from tokenergy_transforms.booking.gauges import UNSET, YES, Gauges, busy_and_running
from tokenergy_transforms.booking.hour import Hour
from tokenergy_transforms.booking.parts import (
    BY_COUNTER,
    BY_NONE,
    BY_SAMPLES,
    MISSING,
    SAMPLED,
    Parts,
    Sensors,
)
from tokenergy_transforms.maths import lower_bound

ACCOUNTS = ("active", "free_idle", "gap", "resident_idle", "unattributed")
"""In the order in which rows are sorted."""

ACTIVE, FREE_IDLE, GAP, RESIDENT_IDLE, UNATTRIBUTED = range(5)

_NOBODY = 2**31 - 1
COUNTER = 4
"""Place of the counter among the values that are split."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Who holds the devices in each of S spans (see `Blocks.span`), and which share of them.

    Attributes:
        offsets: int64[S + 1]; claims of span s are offsets[s]:offsets[s + 1].
        job: int32[C], places in a sorted list of jobs, ascending in a span; `NONE`, at the end, for
            the share that nobody holds.
        lower_ppm, upper_ppm, whole_ppm: int64[C]; a claim is that of `whole` between both.
        shared: bool[C].
    """

    offsets: I64
    job: I32
    lower_ppm: I64
    upper_ppm: I64
    whole_ppm: I64
    shared: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LedgerRows:
    """m rows of the ledger.

    Attributes:
        codes: int32[6, m]: account, job, method, meter, shared; places in their lists, or 0 and 1;
            and reasons, bits of `anomalies.REASONS`. A job is `NONE` where there is none.
        values: int64[8, m]: place of the segment in its `Hour`, then energy, low, high, integral
            and counter (nJ), covered and device time (us). The energy is undefined where the
            account is `GAP`; a counter may be `NONE`.
        k: float64[m], NaN where there is none.
    """

    codes: I32
    values: I64
    k: F64


def ledger_rows(
    devices: range,
    hour: Hour,
    blocks: Blocks,
    parts: Parts,
    sensors: Sensors,
    claims: Claims,
    looked: Activity,
    moved: Activity,
    gauges: Gauges,
) -> LedgerRows:
    """Return the ledger's rows of some neighbouring devices, in its order.

    Args:
        devices: their places.
        hour, blocks, parts, sensors, claims, gauges: of all devices.
        looked: when the tokens of the jobs were looked at.
        moved: when they moved.
    """
    first, last = int(hour.offsets[devices.start]), int(hour.offsets[devices.stop])
    busy, running = busy_and_running(devices, hour, gauges)
    limit_mw = np.repeat(
        sensors.limit_mw[devices.start : devices.stop],
        np.diff(hour.offsets[devices.start : devices.stop + 1]),
    )
    segments = (
        hour.start_us, hour.end_us, hour.covered_us, hour.energy_nj, blocks.counter_nj,
        hour.reasons,
    )  # fmt: skip
    held = (claims.offsets, claims.job, claims.lower_ppm, claims.upper_ppm, claims.whole_ppm)
    count = _count(first, last, segments, blocks.metered_by, blocks.span, claims.offsets)
    rows = LedgerRows(
        np.empty((6, count), np.int32), np.empty((8, count), np.int64), np.empty(count)
    )
    _fill(
        (first, last), segments, (blocks.metered_by, blocks.span, blocks.k),
        (parts.booked_nj, parts.low_nj, parts.high_nj, parts.method), limit_mw,
        held, claims.shared, (busy, running), (looked.offsets, looked.from_us, looked.to_us),
        (moved.offsets, moved.from_us, moved.to_us), (rows.codes, rows.values, rows.k),
    )  # fmt: skip
    return rows


@njit(cache=True, error_model="numpy", nogil=True)
def _in_part(metered_by, covered_us, length_us):  # type: ignore[no-untyped-def]
    """Say whether samples cover only a part of a segment: the rest is a row of its own."""
    return metered_by == SAMPLES and covered_us < length_us


@njit(cache=True, error_model="numpy", nogil=True)
def _count(first, last, segments, metered_by, span, offsets):  # type: ignore[no-untyped-def]
    count = np.int64(0)
    for i in range(first, last):
        holders = max(np.int64(1), offsets[span[i] + 1] - offsets[span[i]])
        length_us = segments[1][i] - segments[0][i]
        count += 2 * holders if _in_part(metered_by[i], segments[2][i], length_us) else holders
    return count


@njit(cache=True, error_model="numpy", nogil=True)
def _touches(offsets, from_us, to_us, job, start_us, end_us):  # type: ignore[no-untyped-def]
    """Say whether an interval of a job overlaps [start, end)."""
    at = lower_bound(to_us, offsets[job], offsets[job + 1], start_us + 1)
    return at < offsets[job + 1] and from_us[at] < end_us


@njit(cache=True, error_model="numpy", nogil=True)
def _fill(  # type: ignore[no-untyped-def]
    bounds, segments, found, booked, limit_mw, held, all_shared, evidence, looked, moved, out
):
    # Arrays are taken out of tuples once: to take one costs more than a sum.
    start_us, end_us, covered_us, energy_nj, counter_nj, reasons = segments
    (metered_by, span, k), (booked_nj, low_nj, high_nj, method) = found, booked
    offsets, jobs, lowers, uppers, wholes = held
    (busy, running), (codes, numbers, ratio) = evidence, out
    looks, look_from_us, look_to_us = looked
    moves, move_from_us, move_to_us = moved
    at = np.int64(0)
    for i in range(bounds[0], bounds[1]):
        begin, n = at, i - bounds[0]
        length_us = end_us[i] - start_us[i]
        claim, until = offsets[span[i]], offsets[span[i] + 1]
        alone = claim == until
        in_part = _in_part(metered_by[i], covered_us[i], length_us)
        while alone or claim < until:
            job, shared = np.int32(NONE), False
            lower, upper, whole = np.int64(0), np.int64(1), np.int64(1)
            if not alone:
                job, shared = jobs[claim], all_shared[claim]
                lower, upper, whole = lowers[claim], uppers[claim], wholes[claim]
            if metered_by[i] == UNKNOWN:
                account = GAP
            elif job == NONE:
                works = not shared and (running[n] == YES or busy[n] == YES)
                account = UNATTRIBUTED if works else FREE_IDLE
            # With no evidence at all, the allocation itself counts as work.
            elif (
                busy[n] == YES
                or _touches(moves, move_from_us, move_to_us, job, start_us[i], end_us[i])
                or (
                    busy[n] == UNSET
                    and not _touches(looks, look_from_us, look_to_us, job, start_us[i], end_us[i])
                )
            ):
                account = ACTIVE
            else:
                account = RESIDENT_IDLE
            device_us = covered_us[i] if metered_by[i] == SAMPLES else length_us
            values = (
                booked_nj[i], low_nj[i], high_nj[i], energy_nj[i], counter_nj[i], covered_us[i],
                device_us,
            )  # fmt: skip
            _name(codes, at, account, job, shared, method[i])
            _share(numbers, at, i, values, lower, upper, whole)
            codes[5, at], ratio[at] = _concerning(reasons[i], method[i]), k[i]
            at += 1
            if in_part:
                left_us = length_us - covered_us[i]
                none = np.int64(0)
                values = (none, none, limit_mw[n] * left_us, none, np.int64(NONE), none, left_us)
                _name(codes, at, GAP, job, shared, MISSING)
                _share(numbers, at, i, values, lower, upper, whole)
                codes[5, at], ratio[at] = _concerning(reasons[i], MISSING), np.nan
                at += 1
            claim += 1
            alone = False
        if at - begin > 1:
            _sort(codes, numbers, ratio, begin, at)


@njit(cache=True, error_model="numpy", nogil=True)
def _concerning(reasons, method):  # type: ignore[no-untyped-def]
    """Return the reasons that concern a row: sparse readings only where they are what is booked."""
    return reasons if method == SAMPLED else reasons & ~np.int32(SPARSE)


@njit(cache=True, error_model="numpy", nogil=True)
def _name(codes, at, account, job, shared, method):  # type: ignore[no-untyped-def]
    codes[0, at], codes[1, at], codes[2, at], codes[4, at] = account, job, method, shared
    codes[3, at] = BY_NONE if method == MISSING else BY_SAMPLES if method == SAMPLED else BY_COUNTER


@njit(cache=True, error_model="numpy", nogil=True)
def _share(numbers, at, i, values, lower, upper, whole):  # type: ignore[no-untyped-def]
    """Write a claim's share of what is booked of segment i."""
    numbers[0, at] = i
    for place in range(len(values)):
        numbers[place + 1, at] = _between(values[place], lower, upper, whole)
    if values[COUNTER] == NONE:
        numbers[COUNTER + 1, at] = NONE


@njit(cache=True, error_model="numpy", nogil=True)
def _between(x, lower, upper, whole):  # type: ignore[no-untyped-def]
    """Return the part of x between two shares of a whole; all of it costs no division."""
    if lower == 0 and upper == whole:
        return x
    return share(x, upper, whole) - share(x, lower, whole)


@njit(cache=True, error_model="numpy", nogil=True)
def _sort(codes, numbers, ratio, begin, end):  # type: ignore[no-untyped-def]
    """Sort the rows of one segment by account and job, those without a job last."""
    for i in range(begin + 1, end):
        j = i
        while j > begin and _later(codes, j - 1, j):
            for row in range(len(codes)):
                codes[row, j - 1], codes[row, j] = codes[row, j], codes[row, j - 1]
            for row in range(len(numbers)):
                numbers[row, j - 1], numbers[row, j] = numbers[row, j], numbers[row, j - 1]
            ratio[j - 1], ratio[j] = ratio[j], ratio[j - 1]
            j -= 1


@njit(cache=True, error_model="numpy", nogil=True)
def _later(codes, i, j):  # type: ignore[no-untyped-def]
    if codes[0, i] != codes[0, j]:
        return codes[0, i] > codes[0, j]
    left = _NOBODY if codes[1, i] == NONE else codes[1, i]
    right = _NOBODY if codes[1, j] == NONE else codes[1, j]
    return left > right
