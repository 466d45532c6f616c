"""What the page shows, as rows of queries.

In: a lake, and the hours of a window if the page covers one. Out: `Facts`, the results of the
queries in `queries/`. Nothing is formatted here, and nothing is computed here that SQL can compute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.paths import hour_of_path, node_of
from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.catalog.reading import read
from tokenergy_sql.index import efficiency
from tokenergy_sql.index.modelrun import build_growth
from tokenergy_sql.report.grid.facts import GridFacts, read_grid
from tokenergy_sql.report.querying import query, sql_of
from tokenergy_sql.report.site.facts import SiteFacts, read_site
from tokenergy_sql.report.storage.facts import StorageFacts, read_storage
from tokenergy_sql.report.window import connect, connect_days

if TYPE_CHECKING:
    import duckdb

NAMED_JOBS = 8
"""Jobs with a colour of their own, one for each in the palette. All others share one."""

DETAILED_JOBS = 100
"""Jobs that are drawn finely: at most `MOST_POINTS` steps each, all others `FEW_POINTS`."""

MOST_POINTS = 120
FEW_POINTS = 24
MOST_BUCKETS = 400
MOST_TREND = 120
MOST_HOURS = 48
MOST_JOB_HOURS = 20_000
MOST_EVENTS = 200
MOST_LISTED = 100
"""Most nodes, gaps, disputes and quarantined files that are listed."""

DAY_US = 24 * HOUR_US
_SECOND_US = 1_000_000
_EVER_US = (-(2**63), 2**63 - 1)
_RUN_US = 30 * 1_000_000
"""The longest run of the ledger that has more than one segment."""

_BUCKETS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400)


@dataclass(frozen=True, slots=True)
class JobFacts:
    """The rows behind the pages of the jobs, by job_id."""

    steps: dict[str, NamedRow]
    power: dict[str, list[NamedRow]]
    tokens: dict[str, list[NamedRow]]
    hours: dict[str, list[NamedRow]]
    places: dict[str, list[NamedRow]]
    loads: dict[str, NamedRow]


@dataclass(frozen=True, slots=True)
class DayFacts:
    """The rows behind the figures by day; `damage` says why there are none."""

    days: list[NamedRow]
    workloads: list[NamedRow]
    trend: list[NamedRow]
    damage: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """The rows behind the page. Stamps and lengths in microseconds, energies in joules.

    Attributes:
        window: starts of the hours that the page covers; the whole lake if None.
        jobs: the jobs with what they are and their figures: over the window if there is one.
        whole: of a window, the rows of `job_index`, by job_id: figures of whole jobs.
        days: of a window, the days up to its end.
        site: what meters of the building say; None if there are none.
        storage: storage studies; None if there are none.
        grid: how the load swings; None if no site and no rack has a load profile.
    """

    window: range | None
    whole: dict[str, NamedRow]
    days: DayFacts | None
    period: NamedRow
    totals: NamedRow
    readings: NamedRow
    jobs: list[NamedRow]
    league: list[NamedRow]
    accounts: list[NamedRow]
    power: list[NamedRow]
    bucket_us: int
    trend: list[NamedRow]
    trend_us: int
    events: list[NamedRow]
    nodes: list[NamedRow]
    gaps: list[NamedRow]
    disputes: list[NamedRow]
    quarantine: list[NamedRow]
    files: dict[tuple[int, str], int]
    efficiency: dict[str, NamedRow]
    of_job: JobFacts
    site: SiteFacts | None
    storage: StorageFacts | None
    grid: GridFacts | None


def left_out(rows: list[NamedRow]) -> int:
    """Return how many rows a query with a limit left out; its rows carry the `total`."""
    return int(rows[0]["total"]) - len(rows) if rows else 0


def read_facts(lake: Lake, hours: range | None = None) -> Facts:
    """Read everything that the page shows from the lake, or what it shows of some hours.

    Raises:
        UserError: the lake has no job index, or an older version made it; or it has nothing of the
            hours.
    """
    return read(lake, lambda: _read(lake, hours))


def _read(lake: Lake, hours: range | None) -> Facts:
    with connect(lake, hours) as con:
        whole = {} if hours is None else {row["job_id"]: row for row in query(con, "whole_jobs")}
        pues = {row["job_id"]: row for row in query(con, "job_pue")}
        jobs = [
            {**whole.get(row["job_id"], {}), **pues.get(row["job_id"], {}), **row}
            for row in query(con, "jobs")
        ]
        if not jobs and hours is None:
            raise UserError(
                f"lake {lake.root}: has no job_index; run `tokenergy index` on it first"
            )
        period = query(con, "period")[0]
        if hours is not None and period["longest_us"]:
            # Finer steps would need the segments: thousands of files in a day of a fleet.
            period["longest_us"] = max(period["longest_us"], _RUN_US)
        if period["start_us"] is not None and not period["devices"]:
            raise UserError(f"lake {lake.root}: has no ledger_hour; run `tokenergy index` again")
        bucket = bucket_us(period)
        trend_us = _trend_us(period)
        named = [job["job_id"] for job in jobs[:NAMED_JOBS]]
        return Facts(
            window=hours,
            whole=whole,
            days=None if hours is None else _day_facts(lake, hours, con),
            period=period,
            totals=query(con, "totals")[0],
            readings=query(con, "readings")[0],
            jobs=jobs,
            league=query(con, "league"),
            accounts=query(con, "accounts"),
            power=query(con, "power", {"bucket_us": bucket, "named": named}),
            bucket_us=bucket,
            trend=query(con, "trend", {"step_us": trend_us}),
            trend_us=trend_us,
            events=query(con, "events", {"most": MOST_EVENTS}),
            nodes=query(con, "nodes", {"most": MOST_LISTED}),
            gaps=query(con, "gaps", {"most": MOST_LISTED}),
            disputes=query(con, "disputes", {"most": MOST_LISTED}),
            quarantine=query(con, "quarantine", {"most": MOST_LISTED}),
            files=_power_files(lake, hours),
            efficiency={row["job_id"]: row for row in efficiency.jobs_of(con)},
            of_job=_job_facts(con, period, len(jobs), hours),
            site=read_site(con, lake.root),
            storage=read_storage(con),
            grid=read_grid(con, hours),
        )


def _day_facts(lake: Lake, hours: range, window: duckdb.DuckDBPyConnection) -> DayFacts:
    """Return what the page shows by day; a damaged file of a day long past must not prevent it."""
    import duckdb

    try:
        with connect_days(lake, hours, window) as con:
            return DayFacts(
                days=query(con, "days"),
                workloads=query(con, "day_workloads"),
                trend=query(con, "trend", {"step_us": DAY_US}),
            )
    except duckdb.Error as error:
        return DayFacts([], [], [], str(error).splitlines()[0])


def _job_facts(
    con: duckdb.DuckDBPyConnection, period: NamedRow, jobs: int, hours: range | None
) -> JobFacts:
    least_us, most_us = _EVER_US if hours is None else (hours[0], hours[-1] + HOUR_US)
    parameters = {
        "least_us": least_us,
        "most_us": most_us,
        "detailed": DETAILED_JOBS,
        "most_points": MOST_POINTS,
        "few_points": FEW_POINTS,
        "most_hours": most_hours(jobs),
        "longest_us": period["longest_us"] or _SECOND_US,
        "end_us": period["end_us"] or 0,
        "lengths_us": [length_s * _SECOND_US for length_s in _BUCKETS_S],
    }
    con.execute(sql_of("job_step"), parameters)
    build_growth(con, sql_of("job_readings"))
    return JobFacts(
        steps={row["job_id"]: row for row in named_rows(con, "FROM job_step")},
        power=_by_job(query(con, "job_power")),
        tokens=_by_job(query(con, "job_tokens")),
        hours=_by_job(query(con, "job_hours")),
        places=_by_job(query(con, "job_places")),
        loads={row["job_id"]: row for row in query(con, "job_loads")},
    )


def most_hours(jobs: int) -> int:
    """Return the most steps of hours that each job's page lists, if there are `jobs` jobs."""
    return max(1, min(MOST_HOURS, MOST_JOB_HOURS // max(1, jobs)))


def _by_job(rows: list[NamedRow]) -> dict[str, list[NamedRow]]:
    found: dict[str, list[NamedRow]] = {}
    for row in rows:
        found.setdefault(row["job_id"], []).append(row)
    return found


def _power_files(lake: Lake, hours: range | None) -> dict[tuple[int, str], int]:
    """Return the number of files of `power` by hour and node."""
    found: dict[tuple[int, str], int] = {}
    for path in lake.sources("power", lake.hours("power") if hours is None else hours):
        key = (hour_of_path(path), node_of(path))
        found[key] = found.get(key, 0) + 1
    return found


def bucket_us(period: NamedRow) -> int:
    """Return the length of the power chart's buckets, in microseconds.

    The shortest usual length that gives at most `MOST_BUCKETS` and cuts no segment.
    """
    if period["start_us"] is None:
        return _BUCKETS_S[0] * _SECOND_US
    return _nice_us(
        max((period["end_us"] - period["start_us"]) / MOST_BUCKETS, period["longest_us"])
    )


def _trend_us(period: NamedRow) -> int:
    """Return the length of the trend's at most `MOST_TREND` steps, in microseconds: whole hours."""
    if period["start_us"] is None:
        return HOUR_US
    return max(HOUR_US, _nice_us((period["end_us"] - period["start_us"]) / MOST_TREND))


def _nice_us(least_us: float) -> int:
    for length_s in _BUCKETS_S:
        if length_s * _SECOND_US >= least_us:
            return length_s * _SECOND_US
    day_us = _BUCKETS_S[-1] * _SECOND_US
    return -(-int(least_us) // day_us) * day_us
