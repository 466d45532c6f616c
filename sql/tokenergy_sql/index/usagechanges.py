"""What changed since token usage was counted: hours of readings, edges of jobs.

In: a lake, what is kept of token usage. Out: hours, and the jobs to count again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.lake import Lake, folders
from tokenergy_collectors.lake.paths import hour_of_folder
from tokenergy_sql.index.tokencounting import Chosen
from tokenergy_sql.index.usagekept import DaySources, Kept
from tokenergy_sql.index.usagemerge import between

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def sources(lake: Lake, before: Kept | None) -> dict[str, DaySources]:
    """Return the files of token readings by day; days that have not changed are not listed."""
    found = {}
    for day in folders.days(lake.root, "tokens"):
        was = before.sources.get(day.name) if before else None
        if was is None or was.digest != day.digest:
            was = DaySources(day.digest, _of_day(lake.root, day.name))
        found[day.name] = was
    return found


def _of_day(root: Path, day: str) -> dict[int, str]:
    by_hour: dict[int, list[str]] = {}
    for name in folders.sources(root, "tokens", day):
        hour_us = hour_of_folder(Path(day) / name.partition("/")[0])
        if hour_us is not None:
            by_hour.setdefault(hour_us, []).append(name)
    return {
        hour: hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]
        for hour, names in by_hour.items()
    }


def hours(before: Mapping[str, DaySources], now: Mapping[str, DaySources]) -> list[int]:
    """Return the hours whose token files changed, came or went, ascending."""
    found: set[int] = set()
    for day in {*before, *now}:
        was, is_ = (side[day].hours if day in side else {} for side in (before, now))
        if was is not is_:  # a day that was not listed again has the same object
            found |= {hour for hour in {*was, *is_} if was.get(hour) != is_.get(hour)}
    return sorted(found)


def moved(con: duckdb.DuckDBPyConnection, jobs: pa.Table) -> pa.Array:
    """Return the jobs whose start or end is another one than before.

    Args:
        con: has `token_span`.
        jobs: as in `usagekept.JOBS`.
    """
    con.register("kept_job", jobs)
    con.execute(
        "CREATE OR REPLACE TEMP TABLE job_moved AS "
        "SELECT k.job_id FROM kept_job AS k LEFT JOIN token_span AS s USING (job_id) "
        "WHERE k.start_us IS DISTINCT FROM s.job_start_us "
        "OR k.end_us IS DISTINCT FROM s.job_end_us"
    )
    con.unregister("kept_job")
    return con.table("job_moved").to_arrow_table()["job_id"].combine_chunks()


def union(*jobs: pa.Array) -> pa.Array:
    """Return the jobs that are in any of some arrays, each once."""
    import pyarrow as pa

    return pa.concat_arrays([one.cast(pa.string()) for one in jobs]).unique()


def early(known: pa.Table, changed: Collection[int]) -> pa.Array:
    """Return the jobs with settled days before whose end an hour changed.

    Args:
        known: as in `usagekept.JOBS`.
        changed: the hours that changed, microseconds UTC.
    """
    import pyarrow.compute as pc

    if not changed:
        return known["job_id"].combine_chunks().slice(0, 0)
    before = pc.greater(known["settled_to_us"], min(changed))
    return known.filter(before)["job_id"].combine_chunks()


def chosen(before: Kept, jobs: pa.Array, whole: pa.Array) -> Chosen:
    """Return how to count some jobs: in part where they have settled days.

    Args:
        before: what is kept.
        jobs: job_id.
        whole: those of them, and others, that are to be counted as a whole.
    """
    import pyarrow.compute as pc

    partly = jobs.filter(pc.invert(pc.is_in(jobs, value_set=whole)))
    points, past = (
        rows.filter(pc.is_in(rows["job_id"], value_set=partly))
        for rows in (before.tables["points"], before.tables["past"])
    )
    return Chosen(jobs, points, past)


def hours_of(
    known: pa.Table, chosen: Chosen, there: Collection[int], changed: Collection[int]
) -> set[int]:
    """Return those of some hours that may have points which the jobs to count need.

    Args:
        known: as in `usagekept.JOBS`.
        chosen: the jobs to count.
        there: the hours.
        changed: the hours that changed: jobs that are not known have points in these alone.
    """
    import pyarrow.compute as pc

    spans = known.filter(pc.is_in(known["job_id"], value_set=chosen.jobs))
    partly = pc.is_in(spans["job_id"], value_set=chosen.points["job_id"].combine_chunks().unique())
    later = pc.if_else(partly, spans["settled_to_us"], spans["first_us"])
    spans = spans.set_column(spans.column_names.index("first_us"), "first_us", later)
    return between(spans, "first_us", "last_us", there) | {*there}.intersection(changed)
