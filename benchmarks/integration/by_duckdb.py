"""DuckDB SQL, some devices at a time.

In: the readings as Arrow tables, registered without a copy, and a window. Out: one table with the
columns of `contest.COMPARED` a chunk, in any order. Row by row, a reading brings to its window
what its pair with the next reading adds up to the edge, and, if it is the first of its window,
what the pair that the edge cuts adds after it: so each pair is looked at where it lies, and one
GROUP BY does the rest.

The neighbours of a row come from `lead` and `lag` over the order in which the rows are stored,
which DuckDB streams, and not from a window that partitions by device and sorts.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from benchmarks.integration.contest import COMPARED, Columns
from benchmarks.integration.workload import GAP_LIMIT_US, ORIGIN_US, SECOND_US, Workload

if TYPE_CHECKING:
    import pyarrow as pa

SQL = """
WITH near AS (
    SELECT
        dev, ts, mw,
        lag(dev) OVER () AS dev0, lag(ts) OVER () AS ts0, lag(mw) OVER () AS mw0,
        lead(dev) OVER () AS dev1, lead(ts) OVER () AS ts1, lead(mw) OVER () AS mw1
    FROM {readings}
),
pair AS (
    SELECT
        dev, ts, mw, mw0, mw1, ts0,
        (ts - {origin}) // {window} AS w, {origin} + w * {window} AS edge,
        ts1 - ts AS dt, (mw1 - mw) * 1e6 / dt AS slope,
        dt <= {limit} AS ok,
        least(dt, edge + {window} - ts) AS x,
        dev0 = dev AND ts0 < edge AND ts > edge AS cut,
        ts - ts0 AS dt0, edge - ts0 AS x0, cut AND dt0 <= {limit} AS cut_ok,
        -- Most pairs lie in one window and are no gap, and so does the one before.
        ok AND x = dt AND NOT cut AS plain
    FROM near
    WHERE dev1 = dev
),
part AS (
    SELECT
        (dev * {windows} + w)::INTEGER AS number, mw,
        CASE WHEN plain THEN (((mw + mw1) * dt) >> 1)::DOUBLE ELSE
            CASE WHEN ok THEN (2 * mw * dt + (mw1 - mw) * x) * x // (2 * dt) ELSE 0 END
            + CASE WHEN cut_ok THEN (((mw0 + mw) * dt0) >> 1)
                - (2 * mw0 * dt0 + (mw - mw0) * x0) * x0 // (2 * dt0) ELSE 0 END
        END AS nj,
        CASE WHEN plain THEN dt::DOUBLE ELSE
            CASE WHEN ok THEN x ELSE 0 END + CASE WHEN cut_ok THEN ts - edge ELSE 0 END
        END AS covered,
        CASE WHEN cut THEN greatest(dt, dt0) ELSE dt END AS gap,
        CASE WHEN plain THEN slope ELSE
            greatest(CASE WHEN ok THEN slope END, CASE WHEN cut_ok THEN (mw - mw0) * 1e6 / dt0 END)
        END AS rise,
        CASE WHEN plain THEN slope ELSE
            least(CASE WHEN ok THEN slope END, CASE WHEN cut_ok THEN (mw - mw0) * 1e6 / dt0 END)
        END AS fall
    FROM pair
),
stats AS (
    SELECT
        number, count(*) AS readings, sum(covered) AS covered, max(gap) AS max_gap_us,
        sum(nj) AS energy, quantile_disc(mw, [0, 0.5, 0.95, 0.99, 1]) AS q,
        max(rise) AS rise, min(fall) AS fall
    FROM part GROUP BY number
),
counter AS (
    SELECT
        dev, (ts - {origin}) // {window} AS w, ts, mj * 1000000 AS nj,
        lag(dev) OVER () AS dev0, lag(ts) OVER () AS ts0, lag(mj) OVER () * 1000000 AS nj0,
        {origin} + w * {window} AS edge
    FROM {counters}
),
at_edge AS (
    SELECT
        dev, w,
        CASE WHEN ts = edge THEN nj ELSE nj0 + (nj - nj0) * (edge - ts0) // (ts - ts0) END AS at_nj
    FROM counter
    WHERE ts = edge OR (dev0 = dev AND ts0 < edge)
),
counted AS (
    SELECT
        (dev * {windows} + w)::INTEGER AS number, lead(at_nj) OVER () - at_nj AS counter_nj,
        lead(dev) OVER () = dev AS inside
    FROM at_edge
)
SELECT
    number, readings, covered::BIGINT AS covered_us, max_gap_us, energy::BIGINT AS energy_nj,
    q[1] AS min_mw, energy / covered AS mean_mw, q[5] AS max_mw,
    q[2] AS p50_mw, q[3] AS p95_mw, q[4] AS p99_mw,
    floor(greatest(rise, 0))::BIGINT AS rise_mw_s, floor(greatest(-fall, 0))::BIGINT AS fall_mw_s,
    counter_nj
FROM stats LEFT JOIN (FROM counted WHERE inside) AS counted USING (number)
"""


def prepare(
    work: Workload, window_us: int, devices: int = 100, at_once: int = 2, native: bool = False
) -> Callable[[], list[pa.Table]]:
    """Return the function that is timed.

    Args:
        work: the readings.
        window_us: size of the windows.
        devices: how many devices a statement takes.
        threads: threads of a statement; statements run at the same time on the other cores.
    """
    connection = duckdb.connect(config={"threads": os.cpu_count() or 1})
    windows = work.seconds * SECOND_US // window_us
    jobs = []
    for low in range(0, work.devices, devices):
        high = min(low + devices, work.devices)
        readings, counters = _tables(work, low, high)
        names = {"readings": f"readings_{low}", "counters": f"counters_{low}"}
        cursor = connection.cursor()
        for name, table in zip(names.values(), (readings, counters), strict=True):
            cursor.register(name, table)
            if native:
                cursor.execute(f"CREATE TABLE own_{name} AS FROM {name}")
        if native:
            names = {key: f"own_{name}" for key, name in names.items()}
        sql = SQL.format(origin=ORIGIN_US, window=window_us, windows=windows, limit=GAP_LIMIT_US, **names)
        jobs.append((cursor, sql))

    def one(job: tuple[duckdb.DuckDBPyConnection, str]) -> pa.Table:
        cursor, sql = job
        return cursor.sql(sql).to_arrow_table()

    def run() -> list[pa.Table]:
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(one, jobs))

    return run


def _tables(work: Workload, low: int, high: int) -> tuple[pa.Table, pa.Table]:
    """Return readings and counter readings of some devices as Arrow tables, in stored order."""
    import pyarrow as pa

    found = []
    for offsets, ts, name, values in (
        (work.offsets, work.ts_us, "mw", work.power_mw),
        (work.counter_offsets, work.counter_ts_us, "mj", work.counter_mj),
    ):
        rows = slice(offsets[low], offsets[high])
        dev = np.repeat(np.arange(low, high, dtype=np.int32), np.diff(offsets[low : high + 1]))
        value = values[rows].astype(np.int64)
        found.append(pa.table({"dev": dev, "ts": ts[rows], name: value}))
    return found[0], found[1]


def columns(tables: list[pa.Table]) -> Columns:
    """Return the result in the order of the segments."""
    import pyarrow as pa

    table = pa.concat_tables(tables)
    order = np.argsort(table["number"].to_numpy())
    return {name: table[name].to_numpy()[order] for name in COMPARED}

