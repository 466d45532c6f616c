"""DuckDB SQL, some devices at a time.

In: the readings as Arrow tables, registered without a copy, and a window. Out: one table with the
columns of `contest.COMPARED` a chunk, in any order. Neighbours come from `lead` and `lag` over the
order in which the rows are stored, which DuckDB streams, and not from a window that partitions by
device and sorts. A pair of readings is booked whole to the window in which it begins; one row a
window then moves the part after the edge. Sums are of doubles, exact below 2^53 and faster than
the 128 bits that DuckDB adds integers up in.
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
WITH near AS NOT MATERIALIZED (
    SELECT
        ts, mw, (dev * {groups} + (ts - {origin}) // {window})::INTEGER AS number,
        lead(ts) OVER () - ts AS dt, lead(mw) OVER () AS mw1
    FROM {readings}
),
pair AS (
    SELECT
        number, mw, dt,
        CASE WHEN dt BETWEEN 1 AND {limit} THEN (((mw + mw1) * dt) >> 1)::DOUBLE END AS whole,
        CASE WHEN dt BETWEEN 1 AND {limit} THEN dt::DOUBLE END AS covered,
        CASE WHEN dt BETWEEN 1 AND {limit} THEN (mw1 - mw) * 1e6 / dt END AS slope
    FROM near
),
stats AS (
    SELECT
        number, count(*) AS readings, sum(covered) AS covered, max(dt) AS gap,
        sum(whole) AS whole, quantile_disc(mw, [0, 0.5, 0.95, 0.99, 1]) AS q,
        max(slope) AS rise, min(slope) AS fall
    FROM pair GROUP BY number
),
before AS (
    SELECT
        number, ts, lag(number) OVER () AS number0, lag(ts) OVER () AS ts0,
        lag(mw) OVER () AS p0, mw - lag(mw) OVER () AS dp0, ts - lag(ts) OVER () AS dt0
    FROM near
),
first_row AS (
    SELECT
        *, (number % {groups})::BIGINT AS w, {origin} + w * {window} AS edge, edge - ts0 AS x,
        w > 0 AND dt0 BETWEEN 1 AND {limit} AS ok, w > 0 AND ts > edge AS inside
    FROM before WHERE number IS DISTINCT FROM number0
),
cut AS (
    SELECT
        number, w,
        CASE WHEN ok THEN
            (((2 * p0 + dp0) * dt0) >> 1) - (2 * p0 * dt0 + dp0 * x) * x // (2 * dt0)
        ELSE 0 END AS moved,
        CASE WHEN ok THEN ts - edge ELSE 0 END AS moved_us,
        CASE WHEN inside THEN dt0 END AS gap0,
        CASE WHEN inside AND ok THEN dp0 * 1e6 / dt0 END AS slope0
    FROM first_row
),
counter AS (
    SELECT
        (dev * {groups} + (ts - {origin}) // {window})::INTEGER AS number, ts, mj * 1000000 AS nj,
        lag(ts) OVER () AS ts0, lag(mj) OVER () * 1000000 AS nj0,
        ts - (ts - {origin}) % {window} AS edge
    FROM {counters}
),
at_edge AS (
    SELECT
        number,
        CASE WHEN ts = edge THEN nj ELSE nj0 + (nj - nj0) * (edge - ts0) // (ts - ts0) END AS at_nj
    FROM counter WHERE ts - edge < {second}
),
edge AS (
    SELECT
        w, moved, moved_us, gap0, slope0, number,
        lead(moved) OVER () AS out, lead(moved_us) OVER () AS out_us,
        lead(at_nj) OVER () - at_nj AS counter_nj
    FROM cut POSITIONAL JOIN (SELECT at_nj FROM at_edge)
)
SELECT
    number, readings, (covered + moved_us - out_us)::BIGINT AS covered_us,
    greatest(gap, gap0) AS max_gap_us, (whole + moved - out)::BIGINT AS energy_nj,
    q[1] AS min_mw, energy_nj::DOUBLE / covered_us::DOUBLE AS mean_mw, q[5] AS max_mw,
    q[2] AS p50_mw, q[3] AS p95_mw, q[4] AS p99_mw,
    floor(greatest(rise, slope0, 0))::BIGINT AS rise_mw_s,
    floor(greatest(-fall, -slope0, 0))::BIGINT AS fall_mw_s,
    counter_nj
FROM stats JOIN (FROM edge WHERE w < {groups} - 1) USING (number)
"""


def prepare(
    work: Workload, window_us: int, devices: int = 50, at_once: int = 2
) -> Callable[[], list[pa.Table]]:
    """Return the function that is timed.

    Args:
        work: the readings.
        window_us: size of the windows.
        devices: how many devices a statement takes.
        at_once: statements that run at the same time; a statement streams on one core.
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
        sql = SQL.format(
            origin=ORIGIN_US,
            window=window_us,
            groups=windows + 1,
            second=SECOND_US,
            limit=GAP_LIMIT_US,
            **names,
        )
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
