"""The segment kernel on the CPU: the twin of `segments.cu`, compiled by numba.

The maths stands at the head of `segments.cu`. Every term is a non-negative integer, so that `//`
rounds down here as it does there, and the results are the same to the bit.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from tokenergy_transforms.batch import COUNTER_SPAN_US, NONE, Batch, Result

_CHUNK = 512
_SORT_MAX = 64


def integrate(batch: Batch) -> Result:
    """Integrate all segments of a batch on all cores.

    Args:
        batch: readings and segments; see `Batch` for shapes and units.

    Returns:
        One value a segment; see `Result`.
    """
    result = Result.empty(len(batch.seg_start_us))
    _segments(*batch.arrays(), *result.arrays())
    return result


@njit(cache=True)
def _lower_bound(ts, lo, hi, t):  # type: ignore[no-untyped-def]
    while lo < hi:
        mid = lo + (hi - lo) // 2
        if ts[mid] < t:
            lo = mid + 1
        else:
            hi = mid
    return lo


@njit(cache=True)
def _pair_energy(p0, p1, dt, x):  # type: ignore[no-untyped-def]
    m = p0 * (dt - x) + p1 * x
    return ((p0 + m // dt) * x + m % dt * x // dt) >> 1


@njit(cache=True)
def _pairs(ts, power, first, last, lo, hi, start, end, limit):  # type: ignore[no-untyped-def]
    """Return covered time, energy, largest spacing, steepest rise and fall of one segment."""
    covered = energy = gap = np.int64(0)
    rise_dp = fall_dp = np.int64(0)
    rise_dt = fall_dt = np.int64(1)
    for i in range(max(lo - 1, first), min(hi, last - 1)):
        t0 = ts[i]
        t1 = ts[i + 1]
        dt = t1 - t0
        a = max(t0, start)
        b = min(t1, end)
        if b <= a:
            continue
        gap = max(gap, dt)
        if dt > limit:
            continue
        p0 = np.int64(power[i])
        p1 = np.int64(power[i + 1])
        covered += b - a
        energy += _pair_energy(p0, p1, dt, b - t0) - _pair_energy(p0, p1, dt, a - t0)
        if p1 > p0 and (p1 - p0) * rise_dt > rise_dp * dt:
            rise_dp = p1 - p0
            rise_dt = dt
        if p0 > p1 and (p0 - p1) * fall_dt > fall_dp * dt:
            fall_dp = p0 - p1
            fall_dt = dt
    head = ts[first] if first < last else end
    tail = ts[last - 1] if first < last else start
    if head > start:
        gap = max(gap, min(head, end) - start)
    if tail < end:
        gap = max(gap, end - max(tail, start))
    return covered, energy, gap, rise_dp * 1_000_000 // rise_dt, fall_dp * 1_000_000 // fall_dt


@njit(cache=True)
def _sort_into(power, lo, n, scratch):  # type: ignore[no-untyped-def]
    """Sort a segment's readings into the scratch space and return it."""
    if n > _SORT_MAX:
        return np.sort(power[lo : lo + n])
    for k in range(n):
        v = power[lo + k]
        j = k
        while j > 0 and scratch[j - 1] > v:
            scratch[j] = scratch[j - 1]
            j -= 1
        scratch[j] = v
    return scratch


@njit(cache=True)
def _counter_at(ts, mj, epoch, lo, hi, t):  # type: ignore[no-untyped-def]
    """Return (index at or before the cut, nJ from there to the cut, us to the nearest reading)."""
    right = _lower_bound(ts, lo, hi, t)
    if right < hi and ts[right] == t:
        return right, np.int64(0), np.int64(0)
    if right in (lo, hi) or epoch[right - 1] != epoch[right]:
        return np.int64(NONE), np.int64(0), np.int64(NONE)
    dt = ts[right] - ts[right - 1]
    if dt > COUNTER_SPAN_US:
        return np.int64(NONE), np.int64(0), np.int64(NONE)
    x = t - ts[right - 1]
    d = (mj[right] - mj[right - 1]) * 1_000_000
    return right - 1, d // dt * x + d % dt * x // dt, min(x, dt - x)


@njit(cache=True)
def _counter(ts, mj, epoch, lo, hi, start, end):  # type: ignore[no-untyped-def]
    left0, part0, _ = _counter_at(ts, mj, epoch, lo, hi, start)
    left1, part1, off = _counter_at(ts, mj, epoch, lo, hi, end)
    if left0 == NONE or left1 == NONE or epoch[left0] != epoch[left1]:
        return np.int64(NONE), np.int64(NONE)
    return (mj[left1] - mj[left0]) * 1_000_000 + part1 - part0, off


@njit(cache=True, parallel=True)
def _segments(  # type: ignore[no-untyped-def]
    ts,
    power,
    offsets,
    counter_ts,
    counter_mj,
    counter_epoch,
    counter_offsets,
    gap_limit,
    seg_device,
    seg_start,
    seg_end,
    readings,
    covered_us,
    max_gap_us,
    energy_nj,
    min_mw,
    mean_mw,
    max_mw,
    p50_mw,
    p95_mw,
    p99_mw,
    rise_mw_s,
    fall_mw_s,
    counter_nj,
    counter_off_us,
):
    count = len(seg_start)
    for chunk in prange((count + _CHUNK - 1) // _CHUNK):
        scratch = np.empty(_SORT_MAX, np.int32)
        for s in range(chunk * _CHUNK, min(count, (chunk + 1) * _CHUNK)):
            dev = seg_device[s]
            first = offsets[dev]
            last = offsets[dev + 1]
            start = seg_start[s]
            end = seg_end[s]
            lo = _lower_bound(ts, first, last, start)
            hi = _lower_bound(ts, lo, last, end)
            covered, energy, gap, rise, fall = _pairs(
                ts, power, first, last, lo, hi, start, end, gap_limit[dev]
            )
            n = hi - lo
            readings[s] = n
            covered_us[s] = covered
            max_gap_us[s] = gap
            energy_nj[s] = energy
            mean_mw[s] = energy / covered if covered > 0 else np.nan
            rise_mw_s[s] = rise
            fall_mw_s[s] = fall
            if n > 0:
                ordered = _sort_into(power, lo, n, scratch)
                min_mw[s] = ordered[0]
                max_mw[s] = ordered[n - 1]
                p50_mw[s] = ordered[(n * 50 + 99) // 100 - 1]
                p95_mw[s] = ordered[(n * 95 + 99) // 100 - 1]
                p99_mw[s] = ordered[(n * 99 + 99) // 100 - 1]
            else:
                min_mw[s] = max_mw[s] = p50_mw[s] = p95_mw[s] = p99_mw[s] = NONE
            counted, off = _counter(
                counter_ts,
                counter_mj,
                counter_epoch,
                counter_offsets[dev],
                counter_offsets[dev + 1],
                start,
                end,
            )
            counter_nj[s] = counted
            counter_off_us[s] = off
