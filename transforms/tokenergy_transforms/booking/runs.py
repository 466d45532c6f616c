"""Neighbouring rows of the ledger that say the same of one block, added up: a row is a run.

In: `LedgerRows` of some devices, a row a segment; the instants at which later steps divide the time
of a job (`Cuts`). Out: `Runs`, in the same order.

Every sum over whole runs is that over their segments, to the unit. What is divided by time inside
an hour, such as a job's energy between two readings of its tokens, is cut there: the segment that
holds such an instant is a run of its own, so that the same rows are divided as without runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from tokenergy_transforms.batch import I32, I64, NONE
from tokenergy_transforms.booking.accounts import COUNTER, LedgerRows
from tokenergy_transforms.booking.blocks import SLOT_US, UNKNOWN, Blocks
from tokenergy_transforms.booking.hour import Hour
from tokenergy_transforms.maths import lower_bound

_FULL = np.int64(1) << 61
"""A sum above this is closed and another one begun, so that none overflows."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where the time of each of J jobs is divided.

    Attributes:
        offsets: int64[J + 1]; the instants of job j are offsets[j]:offsets[j + 1].
        at_us: int64[C], ascending in a job.
        step_us: int64[J]; a run of the job is cut at its multiples too (of UTC).
        gaps: bool[J]; segments of the job of which nothing is known are runs of their own.
    """

    offsets: I64
    at_us: I64
    step_us: I64
    gaps: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Runs:
    """Rows that are runs.

    Attributes:
        rows: codes and k of a run's rows, which are the same; the place of its first segment, and
            sums of the other values.
        end_us: int64[m], where its last segment ends.
        max_gap_us: int64[m], the largest of its segments.
        segments: int32[m], how many it has.
    """

    rows: LedgerRows
    end_us: I64
    max_gap_us: I64
    segments: I32


def runs(rows: LedgerRows, device: I32, hour: Hour, blocks: Blocks, cuts: Cuts) -> Runs:
    """Return rows added up to runs.

    Args:
        rows: m rows, in the ledger's order.
        device: int32[m], their places.
        hour, blocks: of all devices.
        cuts: of all jobs.
    """
    size = len(device)
    # Pages that no run reaches are never touched.
    sums, counts = np.empty_like(rows.values), np.empty(size, np.int32)
    last_us, end_us, gap_us = (np.empty(size, np.int64) for _ in range(3))
    first = _add(
        (rows.codes, rows.values, rows.k, device),
        (hour.start_us, hour.end_us, hour.max_gap_us, hour.node, blocks.head, blocks.metered_by),
        (cuts.offsets, cuts.at_us, cuts.step_us, cuts.gaps),
        (sums, last_us, end_us, gap_us, counts),
    )
    m = len(first)
    found = LedgerRows(rows.codes[:, first], sums[:, :m], rows.k[first])
    return Runs(found, end_us[:m], gap_us[:m], counts[:m])


@njit(cache=True, error_model="numpy", nogil=True)
def _add(rows, hour, cuts, out):  # type: ignore[no-untyped-def]
    """Add each row to the run that it goes on; return the row that each run begins with."""
    # Arrays are taken out of tuples once: to take one costs more than a sum.
    codes, values, k, device = rows
    start_us, end_us, gap_us, node, head, metered_by = hour
    sums, lasts, ends, gaps, counts = out
    first = np.empty(len(device), np.int64)
    count = opened = 0  # runs begun: of all slots; of those before this one
    slot = np.int64(-1)
    for i in range(len(device)):
        n = values[0, i]
        if i == 0 or device[i] != device[i - 1] or start_us[n] // SLOT_US != slot:
            opened, slot = count, start_us[n] // SLOT_US
        at = count - 1
        while at >= opened and not (
            ends[at] == start_us[n]
            and node[sums[0, at]] == node[n]
            and head[sums[0, at]] == head[n]
            and _alike(codes, values, k, first[at], i)
        ):
            at -= 1
        if (
            at < opened
            or _is_cut(
                cuts, codes[1, i], metered_by[n] == UNKNOWN, lasts[at], start_us[n], end_us[n]
            )
            or is_full(sums, at)
        ):
            sums[:, count] = values[:, i]
            gaps[count], counts[count], first[count] = gap_us[n], 0, i
            at = count
            count += 1
        else:
            for row in range(1, len(values)):
                if row != COUNTER + 1 or values[row, i] != NONE:
                    sums[row, at] += values[row, i]
        lasts[at], ends[at] = start_us[n], end_us[n]
        gaps[at] = max(gaps[at], gap_us[n])
        counts[at] += 1
    return first[:count]


@njit(cache=True, error_model="numpy", nogil=True)
def _alike(codes, values, k, i, j):  # type: ignore[no-untyped-def]
    same = k[i] == k[j] or (np.isnan(k[i]) and np.isnan(k[j]))
    same &= (values[COUNTER + 1, i] == NONE) == (values[COUNTER + 1, j] == NONE)
    for row in range(len(codes)):
        same &= codes[row, i] == codes[row, j]
    return same


@njit(cache=True, error_model="numpy", nogil=True)
def _is_cut(cuts, job, unknown, last_us, start_us, end_us):  # type: ignore[no-untyped-def]
    """Say whether a job's time is divided at the edge of two of its segments, or inside either."""
    if job == NONE:
        return False
    offsets, at_us, step_us, gaps = cuts
    if unknown and gaps[job]:
        return True
    at = lower_bound(at_us, offsets[job], offsets[job + 1], last_us + 1)
    return (at < offsets[job + 1] and at_us[at] < end_us) or (
        start_us // step_us[job] != last_us // step_us[job]
    )


@njit(cache=True, error_model="numpy", nogil=True)
def is_full(sums, at):  # type: ignore[no-untyped-def]
    """Say whether a sum is closed: another one begins, so that none overflows."""
    full = False
    for row in range(1, len(sums)):
        full |= sums[row, at] > _FULL
    return full
