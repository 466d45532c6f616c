"""The jobs that an hour's models look at: a year has 85,000 allocations, an hour some hundred.

In: all allocations, an hour. Out: those of the jobs that held a board within a day of the hour, or
have tokens in it or around it. Of these jobs all allocations stay: facts of a job follow from all.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from tokenergy_collectors.lake.arrays import scalar
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.index.modelrun import store_rows

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_BESIDE_US = 24 * HOUR_US
"""Edges that are in doubt may be an hour from where they seem to be: see `models/job_edge.sql`."""


def keep_near(
    con: duckdb.DuckDBPyConnection, held: pa.Table, hour_us: int, jobs: Collection[str]
) -> None:
    """Let `allocation` have the rows of jobs near an hour alone.

    Args:
        con: has `allocation`, all of `held`, and `token_name`; gets `near_job`.
        held: `allocations(lake)`.
        hour_us: start of the hour, microseconds UTC.
        jobs: further jobs.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    begun = pc.less_equal(held["start_us"], scalar(hour_us + HOUR_US + _BESIDE_US))
    goes_on = pc.greater_equal(held["end_us"], scalar(hour_us - _BESIDE_US)).fill_null(True)
    there = held["job_id"].filter(pc.and_(begun, goes_on)).unique().to_pylist()
    read = con.execute("SELECT DISTINCT job_id FROM token_name WHERE job_id IS NOT NULL").fetchall()
    near = sorted({*there, *jobs, *(job_id for (job_id,) in read)})
    con.unregister("allocation")
    con.register("allocation", of_jobs(held, near))
    store_rows(con, "near_job", pa.table({"job_id": pa.array(near, pa.string())}))


def near_jobs(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the jobs of `keep_near`."""
    return [job_id for (job_id,) in con.execute("FROM near_job").fetchall()]


def of_jobs(rows: pa.Table, jobs: Collection[str]) -> pa.Table:
    """Return the rows of some jobs, in their order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return rows.filter(pc.is_in(rows["job_id"], value_set=pa.array(sorted(jobs), pa.string())))
