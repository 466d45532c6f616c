"""The loops of `shape`, compiled: an hour of 8,000 boards has 29 million segments.

In and out: as `shape.board_loads` has them. All sums are of integers, so their order is the same.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_TIMES = (3, 4)
"""Places of `device_us` and `covered_us` among the amounts: they lie evenly in a row."""


@njit(cache=True, error_model="numpy", nogil=True)
def divide(edges, offsets, segments, firsts, lasts, rows, amounts, out, sampled):  # type: ignore[no-untyped-def]
    """Divide the rows of P boards among K slots.

    Args:
        edges: of the slots, int64[K + 1].
        offsets: segments of board p are offsets[p]:offsets[p + 1].
        segments: start, end, covered time and energy: int64 each, ascending in a board.
        firsts, lasts: rows of board p are firsts[p]:lasts[p].
        rows: start, end, and whether samples say how the energy of a row lies in time.
        amounts: energy, low, high, device time, covered time of rows: int64 each.
        out: int64[6, P, K], zeros: these amounts, and the energy of shaped rows.
        sampled: int64[P, K], zeros: covered time of the segments.
    """
    seg_start, seg_end, seg_covered, seg_energy = segments
    starts, ends, shaped = rows
    before = np.zeros(6, np.int64)
    values = np.zeros(6, np.int64)
    for p in range(len(firsts)):
        a, b = offsets[p], offsets[p + 1]
        _sample(edges, a, b, seg_start, seg_end, seg_covered, sampled[p])
        running = np.zeros(b - a + 1, np.int64)
        for i in range(a, b):
            running[i - a + 1] = running[i - a] + seg_energy[i]
        for r in range(firsts[p], lasts[p]):
            start, end = starts[r], ends[r]
            for m in range(5):
                values[m] = amounts[m][r]
            values[5] = values[0] if shaped[r] else 0
            begin = _until(start, a, b, seg_start, seg_end, running)
            whole = 0.0
            if shaped[r]:
                whole = _until(end, a, b, seg_start, seg_end, running) - begin
            before[:] = 0
            slot = np.searchsorted(edges, start, side="right") - 1
            while slot < len(edges) - 1 and edges[slot] < end:
                upto = min(edges[slot + 1], end)
                passed = (upto - start) / (end - start)
                drawn = passed
                if whole > 0:
                    drawn = (_until(upto, a, b, seg_start, seg_end, running) - begin) / whole
                    drawn = min(max(drawn, 0.0), 1.0)
                for m in range(6):
                    part = passed if m in _TIMES else drawn
                    # Floors of running sums: the parts add up to the row.
                    now = values[m] if upto == end else np.int64(np.floor(values[m] * part))
                    out[m, p, slot] += now - before[m]
                    before[m] = now
                slot += 1


@njit(cache=True, error_model="numpy", nogil=True)
def _sample(edges, a, b, seg_start, seg_end, seg_covered, sampled):  # type: ignore[no-untyped-def]
    """Add up the covered time of segments; one that several slots share is divided by time."""
    slot = 0
    for i in range(a, b):
        while slot < len(sampled) and edges[slot + 1] <= seg_start[i]:
            slot += 1
        at, before = slot, np.int64(0)
        while at < len(sampled) and edges[at] < seg_end[i]:
            upto = min(edges[at + 1], seg_end[i])
            now = seg_covered[i]
            if upto < seg_end[i]:
                now = seg_covered[i] * (upto - seg_start[i]) // (seg_end[i] - seg_start[i])
            sampled[at] += now - before
            before = now
            at += 1


@njit(cache=True, error_model="numpy", nogil=True)
def _until(ts_us, a, b, seg_start, seg_end, running):  # type: ignore[no-untyped-def]
    """Return the energy of a board's segments up to an instant; a line inside a segment."""
    low, high = a, b
    while low < high:
        middle = (low + high) // 2
        if seg_start[middle] <= ts_us:
            low = middle + 1
        else:
            high = middle
    at = low - 1
    if at < a:
        return 0.0
    drawn = running[at - a + 1] - running[at - a]
    passed = min(ts_us, seg_end[at]) - seg_start[at]
    return running[at - a] + drawn * (passed / (seg_end[at] - seg_start[at]))
