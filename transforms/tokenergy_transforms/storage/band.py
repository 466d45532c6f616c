"""Solves symmetric systems whose matrix is a narrow band around its diagonal.

In: the lower half of a band, by diagonals. Out: its Cholesky factor, and solutions. Interior points
drive some pivots to 0; such a pivot is made huge, which leaves its unknown where it is, as solvers
of linear programs do. LAPACK would stop there instead.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_TINY = 1e-30
_HUGE = 1e120


@njit(cache=True)
def factor(band):  # type: ignore[no-untyped-def]
    """Replace a band by its Cholesky factor.

    Args:
        band: float64[n, b + 1]; `band[i, j]` is entry (i + j, i) of the matrix. Overwritten.
    """
    n, width = band.shape
    for i in range(n):
        pivot = band[i, 0]
        if pivot <= _TINY:
            pivot = _HUGE
        root = np.sqrt(pivot)
        band[i, 0] = root
        most = min(width, n - i)
        for j in range(1, most):
            band[i, j] /= root
        for j in range(1, most):
            lead = band[i, j]
            for m in range(j, most):
                band[i + j, m - j] -= lead * band[i, m]


@njit(cache=True)
def solve(band, right):  # type: ignore[no-untyped-def]
    """Solve for several right sides at once, in place.

    Args:
        band: what `factor` left.
        right: float64[n, m], overwritten by the solutions.
    """
    n, width = band.shape
    count = right.shape[1]
    for i in range(n):
        most = min(width, n - i)
        for c in range(count):
            right[i, c] /= band[i, 0]
            for j in range(1, most):
                right[i + j, c] -= band[i, j] * right[i, c]
    for i in range(n - 1, -1, -1):
        most = min(width, n - i)
        for c in range(count):
            value = right[i, c]
            for j in range(1, most):
                value -= band[i, j] * right[i + j, c]
            right[i, c] = value / band[i, 0]
