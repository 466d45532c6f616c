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
    # Pages that no sum reaches are never touched.
    sums = np.empty_like(rows.values), np.empty_like(end_us), np.empty_like(max_gap_us)
    first = _add((rows.codes, node, device), (rows.values, end_us, max_gap_us), sums)
    values, ends, gaps = sums[0][:, : len(first)], sums[1][: len(first)], sums[2][: len(first)]
    return LedgerRows(rows.codes[:, first], values, rows.k[first]), first, ends, gaps


@njit(cache=True, error_model="numpy", nogil=True)
def _add(kinds, rows, out):  # type: ignore[no-untyped-def]
    """Add each row to the sum of its kind in its device; return the row that each begins with."""
    # Arrays are taken out of tuples once: to take one costs more than a sum.
    (codes, node, device), (values, end_us, gap_us), (sums, ends, gaps) = kinds, rows, out
    first = np.empty(len(device), np.int64)
    count = opened = 0  # sums begun: of all devices; of those before this one
    for i in range(len(device)):
        if i > 0 and device[i] != device[i - 1]:
            opened = count
        at = count - 1
        while at >= opened and not _alike(codes, node, first[at], i):
            at -= 1
        if at < opened or _is_full(sums, at):
            sums[:, count] = values[:, i]
            ends[count], gaps[count], first[count] = end_us[i], gap_us[i], i
            count += 1
            continue
        for row in range(1, len(values)):
            value = values[row, i]
            if row != COUNTER + 1:
                sums[row, at] += value
            elif value != NONE:
                sums[row, at] = value if sums[row, at] == NONE else sums[row, at] + value
        ends[at] = max(ends[at], end_us[i])
        gaps[at] = max(gaps[at], gap_us[i])
    return first[:count]


@njit(cache=True, error_model="numpy", nogil=True)
def _alike(codes, node, i, j):  # type: ignore[no-untyped-def]
    same = node[i] == node[j]
    for row in range(len(codes)):
        same &= codes[row, i] == codes[row, j]
    return same


@njit(cache=True, error_model="numpy", nogil=True)
def _is_full(sums, at):  # type: ignore[no-untyped-def]
    full = False
    for row in range(1, len(sums)):
        full |= sums[row, at] > _FULL
    return full
