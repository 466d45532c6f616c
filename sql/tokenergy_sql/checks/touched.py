"""What some hours touched: the jobs that have a part in them, and where the books have those jobs.

In: a lake and hours. Out: the jobs' rows of `allocation`, `jobs` and `job_index`, the hours of
their other books, and the jobs whose tokens are to be recounted.

What is looked at grows with the hours and with the length of the jobs in them, and not with the
age of the lake. (What does grow is small: the list of published books, the times of the folders of
`jobs` and `device`, and the allocations, which are kept in one file.)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US, TABLES
from tokenergy_collectors.lake.jobkey import SEPARATOR
from tokenergy_collectors.lake.paths import hour_of
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog.sqlfile import read_sql

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_SHARED = "tokenergy_sql.checks.shared"
_BOOKS = ("ledger_hour", "job_hour_index", "job_efficiency", "token_usage")
_OF_JOBS = ("ledger_hour", "token_usage")
"""The books whose rows of all hours a job's own figures add up."""

_READ = frozenset((*_BOOKS, "tokens", "jobs", "device", "allocation"))


_INDEX_COLUMNS = (
    *("job_id", "start_us", "n_generated", "n_trained", "reason_codes"),
    *("e_gpu_nj", "e_gpu_j", "e_gpu_active_j", "e_gpu_idle_j", "e_it_j", "e_facility_j"),
    *("tokenergy", "te_low", "te_high"),
)
"""What checks read of `job_index`."""


@dataclass(frozen=True, slots=True)
class Touched:
    """What some hours touched.

    Attributes:
        hours: starts of the hours, microseconds UTC.
        jobs: the keys of the jobs.
        allocation: their rows of `allocation`.
        listed: the rows of `jobs` with one of their ids, in any cluster.
        index: their rows of `job_index`, as far as checks read them.
        span: the hours in which the books may have them.
        shared_board: their boards that more than one job ever held: device_id.
        counted: jobs whose tokens were read in the hours: job_id, cluster, first_us, last_us.
        doubtful: jobs whose tokens are to be recounted.
        recounted: the hours in which those may have been read.
    """

    hours: Sequence[int]
    jobs: Collection[str]
    allocation: pa.Table
    listed: pa.Table
    index: pa.Table
    span: Sequence[int]
    shared_board: pa.Table
    counted: pa.Table
    doubtful: Sequence[str]
    recounted: Sequence[int]


def touched(lake: Lake, hours: Sequence[int], held: pa.Table, device: pa.Table) -> Touched:
    """Return what some hours touched.

    Args:
        lake: the lake.
        hours: starts of the hours, microseconds UTC.
        held: `allocations(lake)`.
        device: rows of `device`; see `devicenews`.
    """
    near = sorted({hour + step for hour in hours for step in (-HOUR_US, 0, HOUR_US)})
    scope = {**{name: list(hours) for name in _BOOKS}, "tokens": near, "quarantined": []}
    others, given = {*TABLES}.difference(_READ), {"device": device}
    with catalog.connect(
        lake, scope, named=_READ, allocation=held, without=others, given=given
    ) as con:
        con.execute(
            "CREATE TEMP TABLE checked_hour AS SELECT unnest($1::BIGINT[]) AS hour_us", [hours]
        )
        con.execute(f"CREATE TEMP TABLE touched_job AS {read_sql(_SHARED, 'touched_job')}")
        con.execute(
            "CREATE TEMP TABLE held AS FROM allocation SEMI JOIN touched_job USING (job_id) "
            "ORDER BY device_id, start_us, job_id, mig_id"
        )
        jobs = dict(con.execute("FROM touched_job").fetchall())
        spans = dict[str, tuple[int, int | None]](
            (job_id, (first_us, last_us))
            for job_id, first_us, last_us in con.execute(
                "SELECT job_id, min(start_us), CASE WHEN bool_and(end_us IS NOT NULL) "
                "THEN max(end_us) END FROM held GROUP BY job_id"
            ).fetchall()
        )
        listed = _listed(con, jobs)
        booked = [job_id for job_id, in_books in jobs.items() if in_books]
        index = _index(lake, hours, jobs, booked, spans, listed["start_us"].to_pylist())
        for row in index.select(["job_id", "start_us"]).to_pylist():
            first_us, last_us = spans.get(row["job_id"], (row["start_us"], None))
            spans[row["job_id"]] = min(first_us, row["start_us"]), last_us
        shared = con.sql(
            "SELECT device_id FROM allocation SEMI JOIN held USING (device_id) "
            "GROUP BY device_id HAVING min(job_id) < max(job_id)"
        ).to_arrow_table()
        counted = con.sql(
            "SELECT job_id, coalesce(cluster, '') AS cluster, min(ts_us) AS first_us, "
            "max(ts_us) AS last_us FROM tokens "
            "WHERE hour_of(ts_us) IN (SELECT hour_us FROM checked_hour) GROUP BY ALL"
        ).to_arrow_table()
        rows = con.execute(read_sql(_SHARED, "tokens_in_doubt")).fetchall()
        doubtful = sorted(job_id for (job_id,) in rows)
        return Touched(
            hours=hours,
            jobs=jobs.keys(),
            allocation=con.sql("FROM held").to_arrow_table(),
            listed=listed,
            index=index,
            span=_within(_hours_of_books(lake), spans.values(), hours),
            shared_board=shared,
            counted=counted,
            doubtful=doubtful,
            recounted=_reading_hours(lake, [spans.get(job) for job in doubtful], near),
        )


def _listed(con: duckdb.DuckDBPyConnection, jobs: Iterable[str]) -> pa.Table:
    """Return the rows of `jobs` with the id of one of some jobs, in whatever cluster."""
    ids = {name for key in jobs for name in (key, key.partition(SEPARATOR)[2]) if name}
    return con.sql(
        "FROM jobs WHERE job_id IN (SELECT unnest($1::VARCHAR[]))", params=[sorted(ids)]
    ).to_arrow_table()


def _index(
    lake: Lake,
    hours: Sequence[int],
    jobs: Collection[str],
    booked: Iterable[str],
    spans: dict[str, tuple[int, int | None]],
    starts: Iterable[int],
) -> pa.Table:
    """Return the rows of `job_index` of some jobs.

    A job's row is in the hour in which it began. Where it is not (nobody lists the job, or its list
    was corrected), it is looked for backwards from the hours.
    """
    import pyarrow as pa

    there = lake.hours("job_index")
    first = {hour_of(us) for us in (*starts, *(start_us for start_us, _ in spans.values()))}
    begun = sorted(first.intersection(there))
    parts = [_of_jobs(lake.read("job_index", begun, columns=_INDEX_COLUMNS), jobs)]
    missing = set(booked).difference(parts[0]["job_id"].to_pylist())
    for some in _backwards(there, max(hours, default=0), begun) if missing else ():
        rows = lake.read("job_index", some, columns=_INDEX_COLUMNS)
        parts.append(_of_jobs(rows, missing))
        missing.difference_update(parts[-1]["job_id"].to_pylist())
        if not missing:
            break
    return pa.concat_tables(parts)


def _backwards(there: Sequence[int], from_us: int, but: Collection[int]) -> Iterator[list[int]]:
    """Yield hours in bunches, each twice as large as the one before: back from one, then later."""
    left = [hour for hour in there if hour not in but]
    hours = [hour for hour in reversed(left) if hour <= from_us]
    hours += [hour for hour in left if hour > from_us]
    place, size = 0, 24
    while place < len(hours):
        yield hours[place : place + size]
        place, size = place + size, size * 2


def _of_jobs(rows: pa.Table, jobs: Iterable[str]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    return rows.filter(pc.is_in(rows["job_id"], value_set=pa.array([*jobs], pa.string())))


def _hours_of_books(lake: Lake) -> list[int]:
    return sorted({hour for name in _OF_JOBS for hour in lake.hours(name)})


def _within(
    there: Sequence[int], spans: Iterable[tuple[int, int | None]], hours: Iterable[int]
) -> list[int]:
    """Return those of some ascending hours that are in one of some times, and the hours given."""
    found = {*hours}.intersection(there)
    for first_us, last_us in spans:
        first = bisect_right(there, first_us - HOUR_US)
        last = len(there) if last_us is None else bisect_right(there, last_us)
        found.update(there[first:last])
    return sorted(found)


def _reading_hours(
    lake: Lake, spans: Iterable[tuple[int, int | None] | None], near: Iterable[int]
) -> list[int]:
    """Return the hours in which tokens may have been read in one of some times."""
    spans = list(spans)
    if not spans:
        return []
    known = [span for span in spans if span is not None]
    every = lake.hours("tokens")
    if len(known) < len(spans):
        return every
    # One more on both sides: a step across the edge of the job counts too.
    wide = [(a - HOUR_US, None if b is None else b + HOUR_US) for a, b in known]
    return _within(every, wide, near)
