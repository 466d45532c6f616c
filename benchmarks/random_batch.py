"""Random batches: readings with gaps, duplicates, job edges, counter resets and extreme powers.

In: a seed and sizes. Out: a `Batch`. Used by the tests, by `gpu_check.py` and by the benchmarks,
so that all of them compare back ends on the same kind of input.
"""

from __future__ import annotations

import numpy as np

from tokenergy_transforms.batch import Batch
from tokenergy_transforms.unsorted import UnsortedRows, sort_rows

_ORIGIN_US = 1_768_464_000_000_000


def random_batch(
    seed: int,
    *,
    devices: int,
    readings: int,
    period_us: int = 100_000,
    window_us: int = 1_000_000,
    jobs: int = 5,
    max_mw: int = 700_000,
) -> Batch:
    """Return a batch of about `readings` readings on each of some devices.

    Some devices are empty, some have one reading; about 1 in 300 spacings is a gap and 1 in 50 rows
    is stored twice, in any order; windows are cut again at the edges of random jobs, on and between
    readings; counters change their epoch now and then.
    """
    rng = np.random.default_rng(seed)
    columns, cuts = [], []
    for d in range(devices):
        column, cut = _device(rng, d, readings, period_us, window_us, jobs, max_mw)
        columns.append(column)
        cuts.append(cut)
    rows = UnsortedRows(*(np.concatenate(parts) for parts in zip(*columns, strict=True)))
    segments = (
        np.concatenate([np.full(len(c) - 1, d, np.int32) for d, c in enumerate(cuts)]),
        np.concatenate([c[:-1] for c in cuts]),
        np.concatenate([c[1:] for c in cuts]),
    )
    limits = np.full(devices, 15 * period_us, np.int64)
    return sort_rows(rows, [str(d) for d in range(devices)]).batch(limits, segments)


def _device(
    rng: np.random.Generator,
    number: int,
    readings: int,
    period_us: int,
    window_us: int,
    jobs: int,
    max_mw: int,
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Return the columns of `Rows` of one device, unsorted and with duplicates, and its cuts."""
    count = {1: 0, 2: 1}.get(number % 8, readings)
    spacing = rng.integers(1, 2 * period_us, count)
    gaps = rng.random(count) < 1 / 300
    spacing[gaps] = rng.integers(10 * period_us, 50 * period_us, int(gaps.sum()))
    ts = _ORIGIN_US + np.cumsum(spacing)
    power = rng.integers(0, max_mw + 1, count)
    extremes = rng.random(count) < 0.02
    power[extremes] = rng.choice([0, max_mw], int(extremes.sum()))
    energy = 10**12 + np.cumsum(rng.integers(0, 200_000, count))
    has_energy = rng.random(count) < 0.1
    epoch = np.cumsum(rng.random(count) < 0.002)

    last = int(ts[-1]) + window_us if count else _ORIGIN_US + 20 * window_us
    windows = np.arange(_ORIGIN_US, last + 1, window_us)
    between = rng.integers(_ORIGIN_US, last, jobs)
    on_reading = rng.choice(ts, min(jobs, count), replace=False) if count else ts

    again = rng.integers(0, count, count // 50) if count else np.empty(0, np.int64)
    order = rng.permutation(np.concatenate([np.arange(count), again]))
    code = np.full(len(order), number, np.int64)
    has_power = np.ones(len(order), bool)
    columns = (code, ts[order], power[order], has_power, energy[order], has_energy[order])
    return (*columns, epoch[order]), np.unique(np.concatenate([windows, between, on_reading]))
