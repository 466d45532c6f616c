"""Sorts the columns of a tile without a branch.

In: int32[rows * LANES], a tile. Out: the same, every column ascending. The comparators are those
of Batcher's odd-even merge sort (1968); of twelve rows, which a second of readings at 10 Hz fits
into, those of a network of 39, the fewest known (Knuth, The Art of Computer Programming, vol. 3,
5.3.4). The compiler turns the loop over lanes into vector
instructions that hold all rows in registers, which it cannot do for a loop over comparators.
"""

from __future__ import annotations

import numpy as np
from numba import njit

LANES = 16
"""Columns of a tile: as many int32 as one AVX-512 register holds."""


@njit(cache=True, error_model="numpy")
def sort_columns(rows):  # type: ignore[no-untyped-def]
    """Sort every column of a tile int32[16 * LANES] in place."""
    for lane in range(LANES):
        v0 = rows[lane]
        v1 = rows[lane + LANES]
        v2 = rows[lane + 2 * LANES]
        v3 = rows[lane + 3 * LANES]
        v4 = rows[lane + 4 * LANES]
        v5 = rows[lane + 5 * LANES]
        v6 = rows[lane + 6 * LANES]
        v7 = rows[lane + 7 * LANES]
        v8 = rows[lane + 8 * LANES]
        v9 = rows[lane + 9 * LANES]
        v10 = rows[lane + 10 * LANES]
        v11 = rows[lane + 11 * LANES]
        v12 = rows[lane + 12 * LANES]
        v13 = rows[lane + 13 * LANES]
        v14 = rows[lane + 14 * LANES]
        v15 = rows[lane + 15 * LANES]
        v0, v1 = min(v0, v1), max(v0, v1)
        v2, v3 = min(v2, v3), max(v2, v3)
        v4, v5 = min(v4, v5), max(v4, v5)
        v6, v7 = min(v6, v7), max(v6, v7)
        v8, v9 = min(v8, v9), max(v8, v9)
        v10, v11 = min(v10, v11), max(v10, v11)
        v12, v13 = min(v12, v13), max(v12, v13)
        v14, v15 = min(v14, v15), max(v14, v15)
        v0, v2 = min(v0, v2), max(v0, v2)
        v1, v3 = min(v1, v3), max(v1, v3)
        v4, v6 = min(v4, v6), max(v4, v6)
        v5, v7 = min(v5, v7), max(v5, v7)
        v8, v10 = min(v8, v10), max(v8, v10)
        v9, v11 = min(v9, v11), max(v9, v11)
        v12, v14 = min(v12, v14), max(v12, v14)
        v13, v15 = min(v13, v15), max(v13, v15)
        v1, v2 = min(v1, v2), max(v1, v2)
        v5, v6 = min(v5, v6), max(v5, v6)
        v9, v10 = min(v9, v10), max(v9, v10)
        v13, v14 = min(v13, v14), max(v13, v14)
        v0, v4 = min(v0, v4), max(v0, v4)
        v1, v5 = min(v1, v5), max(v1, v5)
        v2, v6 = min(v2, v6), max(v2, v6)
        v3, v7 = min(v3, v7), max(v3, v7)
        v8, v12 = min(v8, v12), max(v8, v12)
        v9, v13 = min(v9, v13), max(v9, v13)
        v10, v14 = min(v10, v14), max(v10, v14)
        v11, v15 = min(v11, v15), max(v11, v15)
        v2, v4 = min(v2, v4), max(v2, v4)
        v3, v5 = min(v3, v5), max(v3, v5)
        v10, v12 = min(v10, v12), max(v10, v12)
        v11, v13 = min(v11, v13), max(v11, v13)
        v1, v2 = min(v1, v2), max(v1, v2)
        v3, v4 = min(v3, v4), max(v3, v4)
        v5, v6 = min(v5, v6), max(v5, v6)
        v9, v10 = min(v9, v10), max(v9, v10)
        v11, v12 = min(v11, v12), max(v11, v12)
        v13, v14 = min(v13, v14), max(v13, v14)
        v0, v8 = min(v0, v8), max(v0, v8)
        v1, v9 = min(v1, v9), max(v1, v9)
        v2, v10 = min(v2, v10), max(v2, v10)
        v3, v11 = min(v3, v11), max(v3, v11)
        v4, v12 = min(v4, v12), max(v4, v12)
        v5, v13 = min(v5, v13), max(v5, v13)
        v6, v14 = min(v6, v14), max(v6, v14)
        v7, v15 = min(v7, v15), max(v7, v15)
        v4, v8 = min(v4, v8), max(v4, v8)
        v5, v9 = min(v5, v9), max(v5, v9)
        v6, v10 = min(v6, v10), max(v6, v10)
        v7, v11 = min(v7, v11), max(v7, v11)
        v2, v4 = min(v2, v4), max(v2, v4)
        v3, v5 = min(v3, v5), max(v3, v5)
        v6, v8 = min(v6, v8), max(v6, v8)
        v7, v9 = min(v7, v9), max(v7, v9)
        v10, v12 = min(v10, v12), max(v10, v12)
        v11, v13 = min(v11, v13), max(v11, v13)
        v1, v2 = min(v1, v2), max(v1, v2)
        v3, v4 = min(v3, v4), max(v3, v4)
        v5, v6 = min(v5, v6), max(v5, v6)
        v7, v8 = min(v7, v8), max(v7, v8)
        v9, v10 = min(v9, v10), max(v9, v10)
        v11, v12 = min(v11, v12), max(v11, v12)
        v13, v14 = min(v13, v14), max(v13, v14)
        rows[lane] = v0
        rows[lane + LANES] = v1
        rows[lane + 2 * LANES] = v2
        rows[lane + 3 * LANES] = v3
        rows[lane + 4 * LANES] = v4
        rows[lane + 5 * LANES] = v5
        rows[lane + 6 * LANES] = v6
        rows[lane + 7 * LANES] = v7
        rows[lane + 8 * LANES] = v8
        rows[lane + 9 * LANES] = v9
        rows[lane + 10 * LANES] = v10
        rows[lane + 11 * LANES] = v11
        rows[lane + 12 * LANES] = v12
        rows[lane + 13 * LANES] = v13
        rows[lane + 14 * LANES] = v14
        rows[lane + 15 * LANES] = v15


@njit(cache=True, error_model="numpy")
def sort_twelve(rows):  # type: ignore[no-untyped-def]
    """Sort the first twelve rows of every column of a tile in place."""
    for lane in range(LANES):
        v0 = rows[lane]
        v1 = rows[lane + LANES]
        v2 = rows[lane + 2 * LANES]
        v3 = rows[lane + 3 * LANES]
        v4 = rows[lane + 4 * LANES]
        v5 = rows[lane + 5 * LANES]
        v6 = rows[lane + 6 * LANES]
        v7 = rows[lane + 7 * LANES]
        v8 = rows[lane + 8 * LANES]
        v9 = rows[lane + 9 * LANES]
        v10 = rows[lane + 10 * LANES]
        v11 = rows[lane + 11 * LANES]
        v0, v8 = min(v0, v8), max(v0, v8)
        v1, v7 = min(v1, v7), max(v1, v7)
        v2, v6 = min(v2, v6), max(v2, v6)
        v3, v11 = min(v3, v11), max(v3, v11)
        v4, v10 = min(v4, v10), max(v4, v10)
        v5, v9 = min(v5, v9), max(v5, v9)
        v0, v1 = min(v0, v1), max(v0, v1)
        v2, v5 = min(v2, v5), max(v2, v5)
        v3, v4 = min(v3, v4), max(v3, v4)
        v6, v9 = min(v6, v9), max(v6, v9)
        v7, v8 = min(v7, v8), max(v7, v8)
        v10, v11 = min(v10, v11), max(v10, v11)
        v0, v2 = min(v0, v2), max(v0, v2)
        v1, v6 = min(v1, v6), max(v1, v6)
        v5, v10 = min(v5, v10), max(v5, v10)
        v9, v11 = min(v9, v11), max(v9, v11)
        v0, v3 = min(v0, v3), max(v0, v3)
        v1, v2 = min(v1, v2), max(v1, v2)
        v4, v6 = min(v4, v6), max(v4, v6)
        v5, v7 = min(v5, v7), max(v5, v7)
        v8, v11 = min(v8, v11), max(v8, v11)
        v9, v10 = min(v9, v10), max(v9, v10)
        v1, v4 = min(v1, v4), max(v1, v4)
        v3, v5 = min(v3, v5), max(v3, v5)
        v6, v8 = min(v6, v8), max(v6, v8)
        v7, v10 = min(v7, v10), max(v7, v10)
        v1, v3 = min(v1, v3), max(v1, v3)
        v2, v5 = min(v2, v5), max(v2, v5)
        v6, v9 = min(v6, v9), max(v6, v9)
        v8, v10 = min(v8, v10), max(v8, v10)
        v2, v3 = min(v2, v3), max(v2, v3)
        v4, v5 = min(v4, v5), max(v4, v5)
        v6, v7 = min(v6, v7), max(v6, v7)
        v8, v9 = min(v8, v9), max(v8, v9)
        v4, v6 = min(v4, v6), max(v4, v6)
        v5, v7 = min(v5, v7), max(v5, v7)
        v3, v4 = min(v3, v4), max(v3, v4)
        v5, v6 = min(v5, v6), max(v5, v6)
        v7, v8 = min(v7, v8), max(v7, v8)
        rows[lane] = v0
        rows[lane + LANES] = v1
        rows[lane + 2 * LANES] = v2
        rows[lane + 3 * LANES] = v3
        rows[lane + 4 * LANES] = v4
        rows[lane + 5 * LANES] = v5
        rows[lane + 6 * LANES] = v6
        rows[lane + 7 * LANES] = v7
        rows[lane + 8 * LANES] = v8
        rows[lane + 9 * LANES] = v9
        rows[lane + 10 * LANES] = v10
        rows[lane + 11 * LANES] = v11


@njit(cache=True, error_model="numpy")
def sort_tall(rows, used):  # type: ignore[no-untyped-def]
    """Sort every column of the first `used` rows of a tile in place, whatever their number.

    Batcher's merge exchange (Knuth, The Art of Computer Programming, vol. 3, 5.2.2, algorithm M),
    with the comparators of neighbouring rows taken as one run.
    """
    row, one = np.uint64(LANES), np.uint64(1)
    count = np.uint64(used)
    top = one
    while top + top < count:
        top += top
    p = top
    while p > 0:
        q, first, distance = top, np.uint64(0), p
        while True:
            end = count - distance if count > distance else np.uint64(0)
            for i in range(first, end, p + p):
                run = min(p, end - i)
                _exchange(rows, i * row, (i + distance) * row, run * row)
            if q == p:
                break
            distance, q, first = q - p, q >> one, p
        p >>= one


@njit(cache=True, error_model="numpy")
def _exchange(rows, upper, lower, values):  # type: ignore[no-untyped-def]
    """Let each of some values from `upper` on be at most its counterpart from `lower` on."""
    for k in range(values):
        a, b = rows[upper + k], rows[lower + k]
        rows[upper + k] = min(a, b)
        rows[lower + k] = max(a, b)
