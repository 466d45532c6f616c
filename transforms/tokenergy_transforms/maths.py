"""The arithmetic that everything integrates with: exact, in integers, for numba's compiled code.

In: stamps (us), powers (mW). Out: energies (nJ), places in sorted stamps. The maths stands at the
head of `segments.cu`, which holds the same formulas in CUDA; the tests hold both to the same bits.
"""

from __future__ import annotations

from numba import njit


@njit(cache=True, inline="always")
def lower_bound(ts, lo, hi, t):  # type: ignore[no-untyped-def]
    """Return the first place in [lo, hi) of the ascending stamps `ts` with a stamp >= t, or hi."""
    while lo < hi:
        mid = lo + (hi - lo) // 2
        if ts[mid] < t:
            lo = mid + 1
        else:
            hi = mid
    return lo


@njit(cache=True, inline="always")
def pair_energy(p0, p1, dt, x):  # type: ignore[no-untyped-def]
    """Return the energy (nJ) of one pair of readings from the left one to x us after it.

    It is the integral of the line from p0 to p1 mW over dt us, rounded down. All int64, 0 <= x <= dt.
    """
    m = p0 * (dt - x) + p1 * x
    return ((p0 + m // dt) * x + m % dt * x // dt) >> 1
