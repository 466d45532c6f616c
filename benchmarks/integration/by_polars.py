"""Polars, some devices at a time.

In: the readings as DataFrames and a window. Out: one DataFrame with the columns of
`contest.COMPARED` a chunk. Neighbours come from `shift` over the stored order. A pair of readings
is booked whole to the window in which it begins; one row a window moves the part after the edge.
The number of the window is sorted and marked as such, so that groups are slices; the rows of
windows, of cut pairs and of counters are in the same order, so that they need no join.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.integration.contest import COMPARED, Columns
from benchmarks.integration.workload import GAP_LIMIT_US, ORIGIN_US, SECOND_US, Workload

if TYPE_CHECKING:
    import polars as pl


def prepare(
    work: Workload, window_us: int, devices: int = 20, engine: Any = "in-memory", at_once: int = 2
) -> Callable[[], list[pl.DataFrame]]:
    """Return the function that is timed.

    Args:
        work: the readings.
        window_us: size of the windows.
        devices: how many devices a query takes.
        engine: Polars' engine.
    """
    windows = work.seconds * SECOND_US // window_us
    parts = []
    for low in range(0, work.devices, devices):
        frames = _frames(work, low, min(low + devices, work.devices))
        parts.append(_plan(*frames, window_us, windows))

    def run() -> list[pl.DataFrame]:
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(lambda part: part.collect(engine=engine), parts))

    return run


def _frames(work: Workload, low: int, high: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return readings and counter readings of some devices in stored order."""
    import polars as pl

    found = []
    for offsets, ts, name, values in (
        (work.offsets, work.ts_us, "mw", work.power_mw),
        (work.counter_offsets, work.counter_ts_us, "mj", work.counter_mj),
    ):
        rows = slice(offsets[low], offsets[high])
        dev = np.repeat(np.arange(low, high, dtype=np.int64), np.diff(offsets[low : high + 1]))
        value = values[rows].astype(np.int64)
        found.append(pl.DataFrame({"dev": dev, "ts": ts[rows], name: value}))
    return found[0], found[1]


def _plan(
    readings: pl.DataFrame, counters: pl.DataFrame, window_us: int, windows: int
) -> pl.LazyFrame:
    """Return the query over one chunk.

    A device has one row more than windows: its last reading, which is on the last edge.
    """
    import polars as pl

    ts, mw, dt, dp, ok = (pl.col(name) for name in ("ts", "mw", "dt", "dp", "ok"))
    number = pl.col("dev") * (windows + 1) + (ts - ORIGIN_US) // window_us
    pairs = (
        readings.lazy()
        .select("dev", "ts", "mw", number=number, dt=ts.diff().shift(-1), dp=mw.diff().shift(-1))
        .with_columns(ok=dt.is_between(1, GAP_LIMIT_US))
        .with_columns(
            whole=pl.when(ok).then((2 * mw + dp) * dt // 2).otherwise(0),
            slope=pl.when(ok).then(dp * 1_000_000 / dt),
        )
    )
    stats = (
        pairs.with_columns(pl.col("number").set_sorted())
        .group_by("number", maintain_order=True)
        .agg(
            readings=pl.len(),
            whole=pl.col("whole").sum(),
            covered=dt.filter(ok).sum(),
            gap=dt.max(),
            rise=pl.col("slope").max(),
            fall=pl.col("slope").min(),
            sorted=mw.sort(),
        )
    )
    joined = pl.concat(
        [stats, _cut(pairs, window_us, windows), _counted(counters, window_us)], how="horizontal"
    )
    return _finish(joined, windows)


def _cut(pairs: pl.LazyFrame, window_us: int, windows: int) -> pl.LazyFrame:
    """Return of each window's left edge what the pair that it cuts holds after the edge."""
    import polars as pl

    names = ("number", "ts", "mw", "dt", "dp", "ok", "whole", "slope")
    before = {f"{name}0": pl.col(name).shift(1) for name in names}
    p0, dp0, dt0, x = (pl.col(name) for name in ("mw0", "dp0", "dt0", "x"))
    until = (2 * p0 * dt0 + dp0 * x) * x // (2 * dt0)
    first = pl.col("w") == 0
    inside = ~first & (x < dt0)
    return (
        pairs.select("number", "ts", **before)
        .filter((pl.col("number") != pl.col("number0")).fill_null(True))
        .with_columns(w=pl.col("number") % (windows + 1))
        .with_columns(x=ORIGIN_US + pl.col("w") * window_us - pl.col("ts0"))
        .select(
            "w",
            moved=pl.when(pl.col("ok0") & ~first).then(pl.col("whole0") - until).otherwise(0),
            moved_us=pl.when(pl.col("ok0") & ~first).then(dt0 - x).otherwise(0),
            gap0=pl.when(inside).then(dt0),
            slope0=pl.when(inside).then(pl.col("slope0")),
        )
    )


def _counted(counters: pl.DataFrame, window_us: int) -> pl.LazyFrame:
    """Return the counter at each window's left edge, linear between its readings."""
    import polars as pl

    since, nj = pl.col("ts") - ORIGIN_US, pl.col("mj") * 1_000_000
    x, span = pl.col("edge") - pl.col("since0"), pl.col("since") - pl.col("since0")
    grown = pl.col("nj0") + (pl.col("nj") - pl.col("nj0")) * x // span
    on_edge = pl.col("since") == pl.col("edge")
    return (
        counters.lazy()
        .select(since=since, nj=nj, since0=since.shift(1), nj0=nj.shift(1))
        .with_columns(edge=pl.col("since") // window_us * window_us)
        .filter(pl.col("since") - pl.col("edge") < SECOND_US)
        .select(at_nj=pl.when(on_edge).then(pl.col("nj")).otherwise(grown))
    )


def _finish(joined: pl.LazyFrame, windows: int) -> pl.LazyFrame:
    """Return the statistics of all windows from the rows that say all of one."""
    import polars as pl

    count, ordered, slope0 = pl.col("readings"), pl.col("sorted"), pl.col("slope0")
    ranks = {f"p{q}_mw": ordered.list.get((count * q + 99) // 100 - 1) for q in (50, 95, 99)}
    steepest = {
        "rise_mw_s": pl.max_horizontal("rise", slope0),
        "fall_mw_s": -pl.min_horizontal("fall", slope0),
    }
    return (
        joined.with_columns(
            energy_nj=pl.col("whole") + pl.col("moved") - pl.col("moved").shift(-1),
            covered_us=pl.col("covered") + pl.col("moved_us") - pl.col("moved_us").shift(-1),
            max_gap_us=pl.max_horizontal("gap", "gap0"),
            min_mw=ordered.list.first(),
            max_mw=ordered.list.last(),
            **ranks,
            **{name: value.clip(0).floor().cast(pl.Int64) for name, value in steepest.items()},
            counter_nj=pl.col("at_nj").diff().shift(-1),
        )
        .with_columns(mean_mw=pl.col("energy_nj") / pl.col("covered_us"))
        .filter(pl.col("w") < windows)
        .select("number", *COMPARED)
    )


def columns(frames: list[pl.DataFrame]) -> Columns:
    """Return the result in the order of the segments."""
    import polars as pl

    frame = pl.concat(frames).sort("number")
    return {
        name: frame[name].cast(pl.Float64 if name == "mean_mw" else pl.Int64).to_numpy()
        for name in COMPARED
    }
