"""What the page tells, as plain rows.

In: a lake. Out: `Facts`, the results of the queries beside this file. Nothing is formatted here,
and nothing is computed here that SQL can say.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.paths import hour_of_path, node_of
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.index import efficiency

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]

NAMED_JOBS = 8
"""Jobs with a colour of their own; as many as the palette holds. All others share one."""

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

_SECOND_US = 1_000_000
_BUCKETS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400)


@dataclass(frozen=True, slots=True)
class JobFacts:
    """The rows behind the pages of the jobs, by job_id."""

    steps: dict[str, Row]
    power: dict[str, list[Row]]
    tokens: dict[str, list[Row]]
    hours: dict[str, list[Row]]
    places: dict[str, list[Row]]
    loads: dict[str, Row]


@dataclass(frozen=True, slots=True)
class Facts:
    """The rows behind the page. Stamps and lengths in microseconds, energies in joules."""

    period: Row
    totals: Row
    readings: Row
    jobs: list[Row]
    league: list[Row]
    accounts: list[Row]
    power: list[Row]
    bucket_us: int
    trend: list[Row]
    trend_us: int
    events: list[Row]
    nodes: list[Row]
    gaps: list[Row]
    disputes: list[Row]
    quarantine: list[Row]
    files: dict[tuple[int, str], int]
    efficiency: dict[str, Row]
    of_job: JobFacts


def left_out(rows: list[Row]) -> int:
    """Return how many rows a limited query left out; its rows carry the `total`."""
    return int(rows[0]["total"]) - len(rows) if rows else 0


def read_facts(lake: Lake) -> Facts:
    """Ask the lake for all that the page tells.

    Raises:
        UserError: the lake has no job index, or one that an older version made.
    """
    return catalog.heal(lake, lambda: _read(lake))


def _read(lake: Lake) -> Facts:
    with catalog.connect(lake) as con:
        jobs = _rows(con, "jobs")
        if not jobs:
            raise UserError(
                f"lake {lake.root}: has no job_index; run `tokenergy index` on it first"
            )
        period = _rows(con, "period")[0]
        if period["start_us"] is not None and not period["devices"]:
            raise UserError(f"lake {lake.root}: has no ledger_hour; run `tokenergy index` again")
        bucket = bucket_us(period)
        trend_us = _trend_us(period)
        named = [job["job_id"] for job in jobs[:NAMED_JOBS]]
        return Facts(
            period=period,
            totals=_rows(con, "totals")[0],
            readings=_rows(con, "readings")[0],
            jobs=jobs,
            league=_rows(con, "league"),
            accounts=_rows(con, "accounts"),
            power=_rows(con, "power", {"bucket_us": bucket, "named": named}),
            bucket_us=bucket,
            trend=_rows(con, "trend", {"step_us": trend_us}),
            trend_us=trend_us,
            events=_rows(con, "events", {"most": MOST_EVENTS}),
            nodes=_rows(con, "nodes", {"most": MOST_LISTED}),
            gaps=_rows(con, "gaps", {"most": MOST_LISTED}),
            disputes=_rows(con, "disputes", {"most": MOST_LISTED}),
            quarantine=_rows(con, "quarantine", {"most": MOST_LISTED}),
            files=_power_files(lake),
            efficiency={row["job_id"]: row for row in efficiency.jobs_of(con)},
            of_job=_job_facts(con, period, len(jobs)),
        )


def _job_facts(con: duckdb.DuckDBPyConnection, period: Row, jobs: int) -> JobFacts:
    given = {
        "detailed": DETAILED_JOBS,
        "most_points": MOST_POINTS,
        "few_points": FEW_POINTS,
        "most_hours": most_hours(jobs),
        "longest_us": period["longest_us"] or _SECOND_US,
        "end_us": period["end_us"] or 0,
        "lengths_us": [length_s * _SECOND_US for length_s in _BUCKETS_S],
    }
    con.execute(_text("job_step"), given)
    steps = con.sql("SELECT * FROM job_step")
    by_id = {row[0]: dict(zip(steps.columns, row, strict=True)) for row in steps.fetchall()}
    return JobFacts(
        steps=by_id,
        power=_by_job(_rows(con, "job_power")),
        tokens=_by_job(_rows(con, "job_tokens")),
        hours=_by_job(_rows(con, "job_hours")),
        places=_by_job(_rows(con, "job_places")),
        loads={row["job_id"]: row for row in _rows(con, "job_loads")},
    )


def most_hours(jobs: int) -> int:
    """Return how many steps of hours the page of a job lists at most, with so many jobs."""
    return max(1, min(MOST_HOURS, MOST_JOB_HOURS // jobs))


def _by_job(rows: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["job_id"], []).append(row)
    return found


def _power_files(lake: Lake) -> dict[tuple[int, str], int]:
    """Return the number of files of `power` by hour and node."""
    found: dict[tuple[int, str], int] = {}
    for path in lake.files("power"):
        key = (hour_of_path(path), node_of(path))
        found[key] = found.get(key, 0) + 1
    return found


def bucket_us(period: Row) -> int:
    """Return the length of the power chart's buckets, in microseconds.

    The shortest usual length that gives at most `MOST_BUCKETS` and cuts no segment.
    """
    if period["start_us"] is None:
        return _BUCKETS_S[0] * _SECOND_US
    return _nice_us(
        max((period["end_us"] - period["start_us"]) / MOST_BUCKETS, period["longest_us"])
    )


def _trend_us(period: Row) -> int:
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


def _rows(con: duckdb.DuckDBPyConnection, name: str, given: Row | None = None) -> list[Row]:
    result = con.execute(_text(name), given or {})
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@cache
def _text(name: str) -> str:
    file = resources.files("tokenergy_sql.report") / "queries" / f"{name}.sql"
    return file.read_text("utf-8")
