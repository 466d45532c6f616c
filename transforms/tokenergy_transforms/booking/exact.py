"""Exact products and quotients of whole numbers, where the product does not fit 64 bits.

In: int64 that are not negative. Out: floor(a * b / d), as 128-bit arithmetic gives it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_NEAR = np.int64(1) << 53
_WIDE = np.int64(1) << 60


@njit(cache=True, error_model="numpy")
def quotient(a, d):  # type: ignore[no-untyped-def]
    """Return floor(a / d) for 0 <= a, 0 < d.

    Below 2^53 a is a double, and the quotient in doubles is off by 1 at most; dividing doubles is
    several times faster.
    """
    if a >= _NEAR:
        return a // d
    found = np.int64(np.float64(a) / np.float64(d))
    rest = a - found * d
    return found - 1 if rest < 0 else found + 1 if rest >= d else found


@njit(cache=True, error_model="numpy")
def scaled(a, b, d):  # type: ignore[no-untyped-def]
    """Return floor(a * b / d) for 0 <= a <= d, 0 <= b, 0 < d.

    Below 2^53 the quotient in doubles is off by less than 4. Its remainder is then below 4 d, so
    the product modulo 2^64 gives it exactly, and the quotient is corrected.
    """
    if b >= _NEAR or d >= _WIDE:
        return _scaled_slowly(np.uint64(a), np.uint64(b), np.uint64(d))
    quotient = np.int64(np.float64(a) * np.float64(b) / np.float64(d))
    rest = a * b - quotient * d
    while rest < 0:
        rest += d
        quotient -= 1
    while rest >= d:
        rest -= d
        quotient += 1
    return quotient


@njit(cache=True, error_model="numpy")
def _scaled_slowly(a, b, d):  # type: ignore[no-untyped-def]
    """Return the same, bit by bit of b: a * b is never formed."""
    quotient = np.uint64(0)
    rest = np.uint64(0)
    whole = a // d
    part = a - whole * d
    for place in range(62, -1, -1):
        quotient <<= np.uint64(1)
        rest <<= np.uint64(1)
        if rest >= d:
            rest -= d
            quotient += np.uint64(1)
        if (b >> np.uint64(place)) & np.uint64(1):
            quotient += whole
            rest += part
            if rest >= d:
                rest -= d
                quotient += np.uint64(1)
    return np.int64(quotient)


@njit(cache=True, error_model="numpy")
def share(x, part, whole):  # type: ignore[no-untyped-def]
    """Return x * part / whole, rounded toward 0, for 0 <= part <= whole < 2^31."""
    size = -x if x < 0 else x
    found = size // whole * part + size % whole * part // whole
    return -found if x < 0 else found


@njit(cache=True, error_model="numpy")
def mixed(a, s, b, t):  # type: ignore[no-untyped-def]
    """Return floor((a * s + b * t) / 10^6) for 0 <= a, b and 0 <= s, t < 2^32.

    The result must fit 63 bits.
    """
    million = 1_000_000
    rest = (a % million * s + b % million * t) // million
    return a // million * s + b // million * t + rest
