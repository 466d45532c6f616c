"""NumPy, a few devices at a time: `reduceat` over the windows, a sort of padded rows for ranks.

In: the readings and a window. Out: the columns of `contest.COMPARED`, in the order of the
segments. Chunks are small enough to stay in the caches, and threads share them: NumPy lets go of
the interpreter lock while it computes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.integration.contest import COMPARED, Columns
from benchmarks.integration.workload import GAP_LIMIT_US, ORIGIN_US, SECOND_US, Workload
from tokenergy_transforms.batch import F64, I32, I64

_NOTHING = 2**31 - 1
_HALF = ((50, "p50_mw"), (95, "p95_mw"), (99, "p99_mw"))


def prepare(work: Workload, window_us: int, rows: int = 50_000) -> Callable[[], Columns]:
    """Return the function that is timed.

    Args:
        work: the readings.
        window_us: size of the windows.
        rows: about how many readings a chunk holds, at least one device.
    """
    windows = work.seconds * SECOND_US // window_us
    step = max(1, rows // (len(work.ts_us) // work.devices))
    chunks = [(d, min(d + step, work.devices)) for d in range(0, work.devices, step)]

    def run() -> Columns:
        out = _empty(work.devices * windows)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = [pool.submit(_chunk, work, window_us, windows, *chunk, out) for chunk in chunks]
            for job in jobs:
                job.result()
        return out

    return run


def _empty(segments: int) -> Columns:
    narrow = ("readings", "min_mw", "max_mw", "p50_mw", "p95_mw", "p99_mw")
    dtypes = {**dict.fromkeys(narrow, np.int32), "mean_mw": np.float64}
    return {name: np.empty(segments, dtypes.get(name, np.int64)) for name in COMPARED}


def _chunk(work: Workload, window_us: int, windows: int, low: int, high: int, out: Columns) -> None:
    """Integrate the devices low to high and write their segments into place."""
    rows = slice(work.offsets[low], work.offsets[high])
    ts, power = work.ts_us[rows], work.power_mw[rows]
    window = (ts - ORIGIN_US) // window_us
    begins = np.empty(len(ts), np.bool_)
    begins[0] = True
    np.not_equal(window[1:], window[:-1], out=begins[1:])
    # A device has one group more than windows: its last reading, which is on the last edge.
    start = np.flatnonzero(begins)
    inside = np.ones(len(start), np.bool_)
    inside[windows :: windows + 1] = False
    to = slice(low * windows, high * windows)

    def put(name: str, values: I32 | I64 | F64) -> None:
        out[name][to] = values[inside]

    count = np.diff(start, append=len(ts))
    put("readings", count)
    _ranks(power, start, count, put)
    _pairs(ts, power, window_us, window, start, inside, put)
    out["mean_mw"][to] = out["energy_nj"][to] / out["covered_us"][to]
    out["counter_nj"][to] = _counter(work, window_us, low, high)


def _ranks(power: I32, start: I64, count: I64, put: Callable[[str, I32], None]) -> None:
    """Sort the readings of each window in a row of its own, padded at the end."""
    place = np.arange(count.max())
    padded = power.take(start[:, None] + place, mode="clip")
    padded[place >= count[:, None]] = _NOTHING
    padded.sort(axis=1)
    row = np.arange(len(start)) * len(place)
    flat = padded.reshape(-1)
    put("min_mw", padded[:, 0])
    put("max_mw", flat[row + count - 1])
    for percent, name in _HALF:
        put(name, flat[row + (count * percent + 99) // 100 - 1])


def _pairs(
    ts: I64,
    power: I32,
    window_us: int,
    window: I64,
    start: I64,
    inside: np.ndarray,
    put: Callable[[str, I32 | I64 | F64], None],
) -> None:
    """Reduce over the pairs that begin in a window; then share those cut by an edge."""
    mw = power.astype(np.int64)
    dt = np.diff(ts, append=ts[-1] + 1)
    dt[start[~inside]] = 1  # from one device to the next there is no pair
    dp = np.diff(mw, append=mw[-1])
    dp[start[~inside]] = 0
    gaps = np.flatnonzero(dt > GAP_LIMIT_US)
    whole = (2 * mw + dp) * dt >> 1
    whole[gaps] = 0
    dp[gaps] = 0
    slope = (dp * 1_000_000) / dt
    energy = np.add.reduceat(whole, start)
    gap_us = np.maximum.reduceat(dt, start)
    rise, fall = np.maximum.reduceat(slope, start), np.minimum.reduceat(slope, start)
    covered = np.full(len(start), window_us)

    # The pair cut by the left edge of each window but a device's first.
    right = np.flatnonzero(np.append(False, inside[:-1]))
    pair = start[right] - 1
    span = dt[pair]
    edge = ORIGIN_US + window[start[right]] * window_us
    x = edge - ts[pair]
    moved = whole[pair] - _until(mw[pair], dp[pair], span, x)
    moved[span > GAP_LIMIT_US] = 0
    energy[right] += moved
    energy[right - 1] -= moved
    cut = x < span
    right, pair = right[cut], pair[cut]
    gap_us[right] = np.maximum(gap_us[right], dt[pair])
    rise[right] = np.maximum(rise[right], slope[pair])
    fall[right] = np.minimum(fall[right], slope[pair])
    _uncover(covered, gaps, ts, dt, start, window, window_us)
    put("energy_nj", energy)
    put("covered_us", covered)
    put("max_gap_us", gap_us)
    put("rise_mw_s", np.maximum(rise, 0).astype(np.int64))
    put("fall_mw_s", np.maximum(-fall, 0).astype(np.int64))


def _until(p0: I64, dp: I64, dt: I64, x: I64) -> I64:
    """Energy of a pair up to x us after its left reading, rounded down; no product overflows."""
    grown = (2 * p0 * dt + dp * x) * x
    energy: I64 = grown // (2 * dt)
    return energy


def _uncover(
    covered: I64, gaps: I64, ts: I64, dt: I64, start: I64, window: I64, window_us: int
) -> None:
    """Take the time of the gaps from the windows that they touch, at most two."""
    group = np.searchsorted(start, gaps, side="right") - 1
    edge = ORIGIN_US + (window[gaps] + 1) * window_us
    end = ts[gaps] + dt[gaps]
    np.subtract.at(covered, group, np.minimum(end, edge) - ts[gaps])
    np.subtract.at(covered, group + 1, np.maximum(end - edge, 0))


def _counter(work: Workload, window_us: int, low: int, high: int) -> I64:
    """Return the counter's differences; it is read once in each second, just after its edge."""
    rows = slice(work.counter_offsets[low], work.counter_offsets[high])
    shape = (high - low, work.seconds + 1)
    every = window_us // SECOND_US
    ts = work.counter_ts_us[rows].reshape(shape)
    nj = work.counter_mj[rows].reshape(shape) * 1_000_000
    after, before = slice(every, None, every), slice(every - 1, -1, every)
    edge = ORIGIN_US + np.arange(1, work.seconds // every + 1) * window_us
    span = ts[:, after] - ts[:, before]
    grown = (nj[:, after] - nj[:, before]) * (edge - ts[:, before]) // span
    at_edges = np.concatenate([nj[:, :1], nj[:, before] + grown], axis=1)
    return np.diff(at_edges, axis=1).reshape(-1)


def columns(found: Columns) -> Columns:
    """Return the result in the order of the segments, in which it is."""
    return found
