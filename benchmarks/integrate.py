"""Times the integration against DuckDB SQL and NumPy, on the same readings, in one run.

`make bench` or `python -m benchmarks.integrate [--devices N] [--readings N] [--runs N]`. All three
compute, for every device and second: energy, number of readings, minimum, maximum and the median,
95th and 99th percentile of the readings. The results are compared before anything is printed; the
energies must agree to the unit. Printed are medians of the runs and ratios; read only the ratios.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import duckdb
import numpy as np

from tokenergy_transforms import kernel_cpu
from tokenergy_transforms.batch import Batch

WINDOW_US = 1_000_000
_ORIGIN_US = 1_768_464_000_000_000
QUANTILES = (50, 95, 99)

SQL = """
WITH pair AS (
    SELECT dev, ts AS t0, lead(ts) OVER device AS t1, mw AS p0, lead(mw) OVER device AS p1
    FROM readings
    WINDOW device AS (PARTITION BY dev ORDER BY ts)
),
part AS (
    SELECT
        dev, p0, p1 - p0 AS rise, t1 - t0 AS dt, w,
        greatest(t0, w * 1000000) - t0 AS x0,
        least(t1, (w + 1) * 1000000) - t0 AS x1
    FROM pair, LATERAL (SELECT unnest(range(t0 // 1000000, (t1 - 1) // 1000000 + 1)) AS w)
    WHERE t1 IS NOT NULL
),
energy AS (
    SELECT dev, w,
        sum((2 * p0 * dt + rise * x1) * x1 // (2 * dt)
            - (2 * p0 * dt + rise * x0) * x0 // (2 * dt)) AS nj
    FROM part GROUP BY ALL
),
stats AS (
    SELECT dev, ts // 1000000 AS w, count(*) AS n, min(mw) AS lo, max(mw) AS hi,
        quantile_disc(mw, [0.5, 0.95, 0.99]) AS q
    FROM readings GROUP BY ALL
)
SELECT dev, w, nj, n, lo, hi, q[1], q[2], q[3]
FROM energy JOIN stats USING (dev, w) ORDER BY dev, w
"""


def make_batch(devices: int, readings: int) -> Batch:
    """Return devices at about 10 Hz with jitter, and one-second segments over all readings.

    The first and the last reading of each device lie on window edges.
    """
    windows = readings // 10
    readings = windows * 10 + 1
    rng = np.random.default_rng(0)
    ts = _ORIGIN_US + np.arange(readings) * 100_000 + rng.integers(0, 2_000, (devices, readings))
    ts[:, 0] = _ORIGIN_US
    ts[:, -1] = _ORIGIN_US + windows * WINDOW_US
    edges = _ORIGIN_US + np.arange(windows + 1) * WINDOW_US
    offsets = np.arange(devices + 1, dtype=np.int64) * readings
    return Batch(
        ts_us=ts.reshape(-1),
        power_mw=rng.integers(60_000, 700_000, devices * readings).astype(np.int32),
        offsets=offsets,
        counter_ts_us=np.empty(0, np.int64),
        counter_mj=np.empty(0, np.int64),
        counter_epoch=np.empty(0, np.int32),
        counter_offsets=np.zeros(devices + 1, np.int64),
        gap_limit_us=np.full(devices, 1_500_000, np.int64),
        seg_device=np.repeat(np.arange(devices, dtype=np.int32), windows),
        seg_start_us=np.tile(edges[:-1], devices),
        seg_end_us=np.tile(edges[1:], devices),
    )


def ours(batch: Batch) -> np.ndarray:
    """The product's CPU path: int64[S, 7] of energy, count, min, max, p50, p95, p99."""
    r = kernel_cpu.integrate(batch)
    parts = (r.energy_nj, r.readings, r.min_mw, r.max_mw, r.p50_mw, r.p95_mw, r.p99_mw)
    return np.stack([part.astype(np.int64) for part in parts], axis=1)


def by_numpy(batch: Batch) -> np.ndarray:
    """NumPy, a device at a time: prefix sums for energy, a sort within windows for the rest."""
    parts = []
    for d in range(len(batch.offsets) - 1):
        rows = slice(batch.offsets[d], batch.offsets[d + 1])
        mine = batch.seg_device == d
        parts.append(
            _numpy_device(
                batch.ts_us[rows],
                batch.power_mw[rows].astype(np.int64),
                batch.seg_start_us[mine],
                batch.seg_end_us[mine],
            )
        )
    return np.concatenate(parts)


def _numpy_device(ts: np.ndarray, mw: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    dt = np.diff(ts)
    full = (mw[:-1] + mw[1:]) * dt // 2
    before = np.concatenate([[0], np.cumsum(full)])
    edges = np.append(start, end[-1])
    left = np.clip(np.searchsorted(ts, edges, side="right") - 1, 0, len(dt) - 1)
    x, p0, p1, span = edges - ts[left], mw[left], mw[left + 1], dt[left]
    at_edge = before[left] + (2 * p0 * span + (p1 - p0) * x) * x // (2 * span)
    first = np.searchsorted(ts, start)
    count = np.searchsorted(ts, end) - first
    window = np.searchsorted(start, ts, side="right") - 1
    inside = ts < end[-1]
    ordered = mw[inside][np.lexsort((mw[inside], window[inside]))]
    picks = [ordered[first + (count * q + 99) // 100 - 1] for q in QUANTILES]
    ends = (ordered[first], ordered[first + count - 1])
    return np.stack([np.diff(at_edge), count, *ends, *picks], axis=1)


def by_duckdb(batch: Batch) -> np.ndarray:
    """DuckDB SQL over the same arrays, registered without a copy."""
    import pyarrow as pa

    counts = np.diff(batch.offsets)
    table = pa.table(
        {
            "dev": np.repeat(np.arange(len(counts)), counts),
            "ts": batch.ts_us,
            "mw": batch.power_mw.astype(np.int64),
        }
    )
    with duckdb.connect() as con:
        con.register("readings", table)
        found = con.execute(SQL).fetchnumpy()
    columns = list(found.values())[2:]
    return np.stack([np.asarray(column).astype(np.int64) for column in columns], axis=1)


def timed(run: Callable[[Batch], np.ndarray], batch: Batch, runs: int) -> tuple[np.ndarray, float]:
    """Return the result and the median time in seconds; the first run is not counted."""
    result = run(batch)
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        run(batch)
        times.append(time.perf_counter() - begin)
    return result, statistics.median(times)


def main() -> None:
    """Run the comparison and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=100)
    parser.add_argument("--readings", type=int, default=20_000, help="of each device")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    batch = make_batch(options.devices, options.readings)
    count = len(batch.ts_us)
    print(f"{count:,} readings, {len(batch.seg_start_us):,} windows of 1 s, {options.runs} runs")
    expected, base_s = timed(ours, batch, options.runs)
    rows = [("tokenergy (CPU)", base_s)]
    for name, run in (("NumPy", by_numpy), ("DuckDB SQL", by_duckdb)):
        result, seconds = timed(run, batch, options.runs)
        if not np.array_equal(result, expected):
            raise SystemExit(f"{name} gives other results: nothing to compare")
        rows.append((name, seconds))
    print(f"{'':<18}{'M readings/s':>14}{'time, ours = 1':>16}")
    for name, seconds in rows:
        print(f"{name:<18}{count / seconds / 1e6:>14.1f}{seconds / base_s:>16.1f}")
    print("every energy, count, extreme and percentile agrees to the unit")


if __name__ == "__main__":
    main()
