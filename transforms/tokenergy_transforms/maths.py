"""The arithmetic that everything integrates with: exact, in integers, for numba's compiled code.

In: stamps (us), powers (mW). Out: energies (nJ), places in sorted stamps. The head of
`segments.cu` explains the maths; that file has the same formulas in CUDA, and the tests hold both
to the same bits.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def lower_bound(ts, lo, hi, t):  # type: ignore[no-untyped-def]
    """Return the first place in [lo, hi) of the ascending stamps `ts` with a stamp >= t, or hi."""
    while lo < hi:
        mid = lo + (hi - lo) // 2
        if ts[mid] < t:
            lo = mid + 1
        else:
            hi = mid
    return lo


@njit(cache=True, error_model="numpy")
def advance(ts, lo, hi, t, stride):  # type: ignore[no-untyped-def]
    """Return the same as `lower_bound`; look first `stride` places on, which is often right."""
    place = min(lo + stride, hi)
    if place > lo and ts[place - 1] >= t:
        if place - 1 > lo and ts[place - 2] >= t:
            return lower_bound(ts, lo, place - 2, t)
        return place - 1
    if place < hi and ts[place] < t:
        if place + 1 < hi and ts[place + 1] < t:
            return lower_bound(ts, place + 2, hi, t)
        return place + 1
    return place


@njit(cache=True, error_model="numpy")
def advance_near(ts, lo, hi, t, stride):  # type: ignore[no-untyped-def]
    """Return the same as `lower_bound`; look first `stride` places on and one to either side.

    The right one of the three is found by addition, without a branch: where readings are close to
    every cut it is as good as random, and the processor would mispredict a branch.
    """
    place = lo + stride
    if stride > 1 and place + 1 < hi:
        at = np.uint64(place)
        at = at + np.uint64(ts[at] < t) - np.uint64(ts[at - np.uint64(1)] >= t)
        if (ts[at - np.uint64(1)] < t) & (ts[at] >= t):
            return np.int64(at)
    return lower_bound(ts, lo, hi, t)


@njit(cache=True, error_model="numpy")
def next_stride(stride, moved):  # type: ignore[no-untyped-def]
    """Return how far on to look next: as before if that was right to within one place."""
    return stride if -1 <= moved - stride <= 1 else moved


@njit(cache=True, error_model="numpy")
def share(whole, dt, x):  # type: ignore[no-untyped-def]
    """Return floor(whole * x / dt) for non-negative int64 with x <= dt < 2^32, without overflow."""
    d = np.uint64(dt)
    w = np.uint64(whole)
    part = np.uint64(x)
    q = w // d
    return np.int64(q * part + (w - q * d) * part // d)


@njit(cache=True, error_model="numpy")
def pair_energy(p0, p1, dt, x):  # type: ignore[no-untyped-def]
    """Return the energy (nJ) of one pair of readings from the left one to x us after it.

    It is the integral of the line from p0 to p1 mW over dt us, rounded down. All are int64 and
    0 <= x <= dt.
    """
    d = np.uint64(dt)
    part = np.uint64(x)
    m = np.uint64(p0) * (d - part) + np.uint64(p1) * part
    q = m // d
    twice = (np.uint64(p0) + q) * part + (m - q * d) * part // d
    return np.int64(twice >> np.uint64(1))


@njit(cache=True, error_model="numpy")
def whole_energy(p0, p1, dt):  # type: ignore[no-untyped-def]
    """Return the energy (nJ) of a whole pair: `pair_energy` at x = dt, where nothing is divided."""
    return ((np.int64(p0) + np.int64(p1)) * np.int64(dt)) >> 1
