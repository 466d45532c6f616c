"""Rows of the ledger added up by device, node, account, job and method, before SQL adds them on.

In: `LedgerRows` of some devices. Out: a few rows a device, each the sum of many. `ledger_hour.sql`
gets the same totals from them as from the rows themselves.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tokenergy_transforms.batch import I32, I64, NONE
from tokenergy_transforms.booking.accounts import COUNTER, LedgerRows

_FULL = np.int64(1) << 61
"""A sum above this is closed and another one begun, so that none overflows."""


def added(
    rows: LedgerRows, device: I32, node: I32, end_us: I64, max_gap_us: I64
) -> tuple[LedgerRows, I64, I64, I64]:
    """Return sums, which of the rows each begins with, and its latest end and largest gap.

    Args:
        rows: m rows, those of a device next to one another.
        device, node: int32[m], their places; a device may move within an hour.
        end_us, max_gap_us: int64[m], of their segments.
    """
    values, ends, gaps = rows.values.copy(), end_us.copy(), max_gap_us.copy()
    kinds = np.vstack([rows.codes, node])
    first = _add(kinds, rows.values, device, values, ends, gaps)
    sums = LedgerRows(rows.codes[:, first], values[:, first], rows.k[first])
    return sums, first, ends[first], gaps[first]


@njit(cache=True, error_model="numpy", nogil=True)
def _add(kinds, values, device, sums, ends, gaps):  # type: ignore[no-untyped-def]
    """Add each row to the first of its kind in its device; return those first rows."""
    first = np.empty(kinds.shape[1], np.int64)
    count = opened = 0  # sums begun: of all devices; of those before this one
    for i in range(kinds.shape[1]):
        if i > 0 and device[i] != device[i - 1]:
            opened = count
        at = -1
        for n in range(count - 1, opened - 1, -1):
            if _alike(kinds, first[n], i):
                at = first[n]
                break
        if at < 0 or _is_full(sums, at):
            first[count] = i
            count += 1
            continue
        for row in range(1, len(values)):
            value = values[row, i]
            if row != COUNTER + 1:
                sums[row, at] += value
            elif value != NONE:
                sums[row, at] = value if sums[row, at] == NONE else sums[row, at] + value
        ends[at] = max(ends[at], ends[i])
        gaps[at] = max(gaps[at], gaps[i])
    return first[:count]


@njit(cache=True, error_model="numpy", nogil=True)
def _alike(kinds, i, j):  # type: ignore[no-untyped-def]
    same = True
    for row in range(len(kinds)):
        same &= kinds[row, i] == kinds[row, j]
    return same


@njit(cache=True, error_model="numpy", nogil=True)
def _is_full(sums, at):  # type: ignore[no-untyped-def]
    full = False
    for row in range(1, len(sums)):
        full |= sums[row, at] > _FULL
    return full
