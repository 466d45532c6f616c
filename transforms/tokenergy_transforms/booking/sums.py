"""Runs of the ledger added up by device, node, account, job and method, before SQL adds them on.

In: `Runs` of some devices. Out: a few rows a device, each the sum of many. `ledger_hour.sql` gets
the same totals from them as from the runs themselves.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tokenergy_transforms.batch import I32, I64, NONE
from tokenergy_transforms.booking.accounts import COUNTER, LedgerRows
from tokenergy_transforms.booking.runs import Runs, is_full


def added(runs: Runs, device: I32, node: I32) -> tuple[Runs, I64]:
    """Return sums, and which of the runs each begins with.

    Args:
        runs: m runs, those of a device next to one another.
        device, node: int32[m], their places; a device may move within an hour.
    """
    rows = runs.rows
    # Pages that no sum reaches are never touched.
    sums = tuple(map(np.empty_like, (rows.values, runs.end_us, runs.max_gap_us, runs.segments)))
    first = _add(
        (rows.codes, node, device),
        (rows.values, runs.end_us, runs.max_gap_us, runs.segments),
        sums,
    )
    m = len(first)
    values, end_us, gap_us, segments = sums
    found = LedgerRows(rows.codes[:, first], values[:, :m], rows.k[first])
    return Runs(found, end_us[:m], gap_us[:m], segments[:m]), first


@njit(cache=True, error_model="numpy", nogil=True)
def _add(kinds, runs, out):  # type: ignore[no-untyped-def]
    """Add each run to the sum of its kind in its device; return the run that each begins with."""
    # Arrays are taken out of tuples once: to take one costs more than a sum.
    (codes, node, device), (values, end_us, gap_us, segments) = kinds, runs
    sums, ends, gaps, counts = out
    first = np.empty(len(device), np.int64)
    count = opened = 0  # sums begun: of all devices; of those before this one
    for i in range(len(device)):
        if i > 0 and device[i] != device[i - 1]:
            opened = count
        at = count - 1
        while at >= opened and not _alike(codes, node, first[at], i):
            at -= 1
        if at < opened or is_full(sums, at):
            sums[:, count] = values[:, i]
            ends[count], gaps[count], counts[count] = end_us[i], gap_us[i], segments[i]
            first[count] = i
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
        counts[at] += segments[i]
    return first[:count]


@njit(cache=True, error_model="numpy", nogil=True)
def _alike(codes, node, i, j):  # type: ignore[no-untyped-def]
    same = node[i] == node[j]
    for row in range(len(codes)):
        same &= codes[row, i] == codes[row, j]
    return same
