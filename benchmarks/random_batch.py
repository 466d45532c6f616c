"""Random batches: readings with gaps, job edges, counter resets and extreme powers.

In: a seed and sizes. Out: a `Batch`. Used by the tests, by `gpu_check.py` and by the benchmarks,
so that all of them compare back ends on the same kind of input.
"""

from __future__ import annotations

import numpy as np

from tokenergy_transforms.batch import Batch

HOUR_US = 3_600_000_000


def random_batch(
    seed: int,
    *,
    devices: int,
    readings: int,
    period_us: int = 100_000,
    window_us: int = 1_000_000,
    jobs: int = 5,
    max_mw: int = 700_000,
    gap_limit_us: int = 1_500_000,
) -> Batch:
    """Return a batch of about `readings` readings on each of some devices.

    Some devices are empty, some have one reading; about 1 in 300 spacings is a gap; windows are
    cut again at the edges of random jobs, on and between readings; counters fall now and then.
    """
    rng = np.random.default_rng(seed)
    parts = [_device(rng, d, readings, period_us, window_us, jobs, max_mw) for d in range(devices)]
    counts = np.array([len(p["ts"]) for p in parts])
    counter_counts = np.array([len(p["counter_ts"]) for p in parts])
    return Batch(
        ts_us=np.concatenate([p["ts"] for p in parts]),
        power_mw=np.concatenate([p["power"] for p in parts]).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        counter_ts_us=np.concatenate([p["counter_ts"] for p in parts]),
        counter_mj=np.concatenate([p["counter_mj"] for p in parts]),
        counter_epoch=np.concatenate([p["counter_epoch"] for p in parts]).astype(np.int32),
        counter_offsets=np.concatenate([[0], np.cumsum(counter_counts)]).astype(np.int64),
        gap_limit_us=np.full(devices, gap_limit_us, np.int64),
        seg_device=np.concatenate(
            [np.full(len(p["cuts"]) - 1, d) for d, p in enumerate(parts)]
        ).astype(np.int32),
        seg_start_us=np.concatenate([p["cuts"][:-1] for p in parts]),
        seg_end_us=np.concatenate([p["cuts"][1:] for p in parts]),
    )


def _device(
    rng: np.random.Generator,
    number: int,
    readings: int,
    period_us: int,
    window_us: int,
    jobs: int,
    max_mw: int,
) -> dict[str, np.ndarray]:
    count = {1: 0, 2: 1}.get(number % 8, readings)
    spacing = rng.integers(1, 2 * period_us, count)
    gaps = rng.random(count) < 1 / 300
    spacing[gaps] = rng.integers(1_000_000, 5_000_000, int(gaps.sum()))
    origin = 1_700_000_000_000_000 // HOUR_US * HOUR_US
    ts = origin + np.cumsum(spacing)
    power = rng.integers(0, max_mw + 1, count)
    extremes = rng.random(count) < 0.02
    power[extremes] = rng.choice([0, max_mw], int(extremes.sum()))

    span = (origin, int(ts[-1]) + window_us if count else origin + 20 * window_us)
    edges = np.arange(span[0], span[1] + 1, window_us)
    between = rng.integers(span[0], span[1], jobs)
    on_reading = rng.choice(ts, min(jobs, count), replace=False) if count else ts
    cuts = np.unique(np.concatenate([edges, between, on_reading]))

    kept = rng.random(count) < 0.1
    counter_mj = 10**12 + np.cumsum(rng.integers(0, 200_000, count))[kept]
    resets = rng.random(kept.sum()) < 0.02
    return {
        "ts": ts,
        "power": power,
        "cuts": cuts,
        "counter_ts": ts[kept],
        "counter_mj": counter_mj,
        "counter_epoch": np.cumsum(resets),
    }
