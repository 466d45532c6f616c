"""What the page tells, as plain rows.

In: a lake. Out: `Facts`, the results of the queries beside this file. Nothing is formatted here,
and nothing is computed here that SQL can say.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql import catalog

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]

NAMED_JOBS = 8
"""Jobs with a colour of their own; as many as the palette holds. All others share one."""

MOST_BUCKETS = 400
MOST_EVENTS = 200
_SECOND_US = 1_000_000
_BUCKETS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400)


@dataclass(frozen=True, slots=True)
class Facts:
    """The rows behind the page. Stamps and lengths in microseconds, energies in joules."""

    period: Row
    totals: Row
    readings: Row
    jobs: list[Row]
    fleet: list[Row]
    accounts: list[Row]
    power: list[Row]
    bucket_us: int
    events: list[Row]

    @property
    def events_total(self) -> int:
        """The number of events, also of those that were left out."""
        return int(self.events[0]["total"]) if self.events else 0


def read_facts(lake: Lake) -> Facts:
    """Ask the lake for all that the page tells.

    Raises:
        UserError: the lake has no job index.
    """
    with catalog.connect(lake) as con:
        jobs = _rows(con, "jobs")
        if not jobs:
            raise UserError(
                f"lake {lake.root}: has no job_index; run `tokenergy index` on it first"
            )
        period = _rows(con, "period")[0]
        bucket = bucket_us(period)
        named = [job["job_id"] for job in jobs[:NAMED_JOBS]]
        return Facts(
            period=period,
            totals=_rows(con, "totals")[0],
            readings=_rows(con, "readings")[0],
            jobs=jobs,
            fleet=_rows(con, "fleet"),
            accounts=_rows(con, "accounts"),
            power=_rows(con, "power", {"bucket_us": bucket, "named": named}),
            bucket_us=bucket,
            events=_rows(con, "events", {"most": MOST_EVENTS}),
        )


def bucket_us(period: Row) -> int:
    """Return the length of the power chart's buckets, in microseconds.

    The shortest usual length that gives at most `MOST_BUCKETS` and cuts no segment.
    """
    if period["start_us"] is None:
        return _BUCKETS_S[0] * _SECOND_US
    least = max((period["end_us"] - period["start_us"]) / MOST_BUCKETS, period["longest_us"])
    for length_s in _BUCKETS_S:
        if length_s * _SECOND_US >= least:
            return length_s * _SECOND_US
    day_us = _BUCKETS_S[-1] * _SECOND_US
    return -(-int(least) // day_us) * day_us


def _rows(con: duckdb.DuckDBPyConnection, name: str, given: Row | None = None) -> list[Row]:
    result = con.execute(_text(name), given or {})
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@cache
def _text(name: str) -> str:
    file = resources.files("tokenergy_sql.report") / "queries" / f"{name}.sql"
    return file.read_text("utf-8")
