"""The segment, computed the slow and obvious way: fractions, lists, no shared code."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

from tokenergy_transforms.batch import COUNTER_SPAN_US, Batch


def exact_energy(p0: int, p1: int, dt: int, x: int) -> Fraction:
    """Integral of the line from p0 to p1 over dt, from 0 to x."""
    slope = Fraction(p1 - p0, dt)
    return p0 * Fraction(x) + slope * x * x / 2


def _counter(readings: list[tuple[int, int, int]], t: int) -> tuple[int, Fraction, int] | None:
    """Counter at t: (epoch, nJ, us to the nearest reading)."""
    for (t0, c0, e0), (t1, c1, e1) in pairwise(readings):
        if t0 <= t <= t1:
            if t == t0:
                return e0, Fraction(c0 * 10**6), 0
            if t == t1:
                return e1, Fraction(c1 * 10**6), 0
            if e0 != e1 or t1 - t0 > COUNTER_SPAN_US:
                return None
            grown = math.floor(Fraction((c1 - c0) * 10**6 * (t - t0), t1 - t0))
            return e0, Fraction(c0 * 10**6 + grown), min(t - t0, t1 - t)
    if len(readings) == 1 and readings[0][0] == t:
        return readings[0][2], Fraction(readings[0][1] * 10**6), 0
    return None


def segment(batch: Batch, s: int) -> dict[str, Any]:
    """All values of segment s, None for NULL."""
    d = int(batch.seg_device[s])
    start, end = int(batch.seg_start_us[s]), int(batch.seg_end_us[s])
    span = slice(int(batch.offsets[d]), int(batch.offsets[d + 1]))
    rows = list(zip(batch.ts_us[span].tolist(), batch.power_mw[span].tolist(), strict=True))
    limit = int(batch.gap_limit_us[d])

    covered = energy = gap = 0
    slopes = [Fraction(0)]
    for (t0, p0), (t1, p1) in pairwise(rows):
        a, b = max(t0, start), min(t1, end)
        if a >= b:
            continue
        gap = max(gap, t1 - t0)
        if t1 - t0 > limit:
            continue
        covered += b - a
        energy += math.floor(exact_energy(p0, p1, t1 - t0, b - t0))
        energy -= math.floor(exact_energy(p0, p1, t1 - t0, a - t0))
        slopes.append(Fraction((p1 - p0) * 10**6, t1 - t0))
    first, last = (rows[0][0], rows[-1][0]) if rows else (end, start)
    gap = max(gap, min(first, end) - start, end - max(last, start))

    inside = sorted(p for t, p in rows if start <= t < end)
    n = len(inside)
    cspan = slice(int(batch.counter_offsets[d]), int(batch.counter_offsets[d + 1]))
    counters = list(
        zip(
            batch.counter_ts_us[cspan].tolist(),
            batch.counter_mj[cspan].tolist(),
            batch.counter_epoch[cspan].tolist(),
            strict=True,
        )
    )
    c0, c1 = _counter(counters, start), _counter(counters, end)
    counted = c0 is not None and c1 is not None and c0[0] == c1[0]
    return {
        "readings": n,
        "covered_us": covered,
        "max_gap_us": gap,
        "energy_nj": energy,
        "min_mw": inside[0] if n else None,
        "mean_mw": float(Fraction(energy, covered)) if covered else None,
        "max_mw": inside[-1] if n else None,
        **{f"p{q}_mw": inside[math.ceil(n * q / 100) - 1] if n else None for q in (50, 95, 99)},
        "rise_mw_s": math.floor(max(slopes)),
        "fall_mw_s": math.floor(-min(slopes)),
        "counter_nj": int(c1[1] - c0[1]) if counted and c0 and c1 else None,
        "counter_off_us": c1[2] if counted and c1 else None,
    }
