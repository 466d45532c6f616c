"""Puts what was counted in the place of what was kept of the same jobs.

In: tables of token usage. Out: tables of token usage.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tokenergy_collectors.lake.contract import HOUR_US, TOKEN_USAGE, Table
from tokenergy_collectors.lake.paths import hour_of_folder, partition
from tokenergy_sql.index.usagekept import TABLES, DayRows, DaySources, Kept, rows_of_day

if TYPE_CHECKING:
    import pyarrow as pa

    from tokenergy_sql.index.tokencounting import Chosen, Counted

_ORDER = [(name, "ascending") for name in ("hour_us", "job_id", "model", "kind")]


def merged(
    root: Path,
    before: Kept,
    found: Counted,
    chosen: Chosen | None,
    now: dict[str, DaySources],
) -> Kept:
    """Return what is kept from now on: what was counted, and the rest as it was.

    Args:
        root: the lake.
        before: what was kept.
        found: what was counted.
        chosen: the jobs that were; None: all jobs as a whole.
        now: the files that were read.

    Raises:
        LostError: a file of what was kept is gone or damaged.
    """
    import pyarrow as pa

    kept = Kept(before.version, now, dict(before.days))
    for name, table in TABLES.items():
        rows = _fit(getattr(found, name), table)
        if chosen is not None:
            rows = pa.concat_tables([without(before.tables[name], chosen.jobs), rows])
        rows = rows.sort_by([(column, "ascending") for column in table.sort])
        if name in before.tags and rows.equals(before.tables[name]):
            kept.tags[name] = before.tags[name]
        kept.tables[name] = rows
    rows = _fit(found.rows, TOKEN_USAGE).sort_by(_ORDER)
    touched = {day_of(hour) for hour in rows["hour_us"].unique().to_pylist()}
    settled = {} if chosen is None else _settled(chosen.points)
    touched |= _days_of(before, chosen, settled)
    for day, of_day in _by_day(rows, touched):
        gone = None if chosen is None else _not_settled(chosen.jobs, settled, day)
        _replace(root, kept, day, of_day, gone)
    return kept


def _settled(points: pa.Table) -> dict[tuple[int, int], pa.Array]:
    """Return the jobs that are counted in part, by their settled days: from, to (us UTC)."""
    import pyarrow.compute as pc

    pairs = points.group_by(["settled_from_us", "settled_to_us"]).aggregate([])
    found = {}
    for pair in pairs.to_pylist():
        from_us, to_us = pair["settled_from_us"], pair["settled_to_us"]
        same = pc.and_(
            pc.equal(points["settled_from_us"], from_us), pc.equal(points["settled_to_us"], to_us)
        )
        found[from_us, to_us] = points.filter(same)["job_id"].combine_chunks().unique()
    return found


def _not_settled(jobs: pa.Array, settled: dict[tuple[int, int], pa.Array], day: str) -> pa.Array:
    """Return the jobs for which a day is not a settled one."""
    import pyarrow.compute as pc

    for (from_us, to_us), of_span in settled.items():
        if from_us <= _start_of(day) < to_us:
            jobs = jobs.filter(pc.invert(pc.is_in(jobs, value_set=of_span)))
    return jobs


def _days_of(
    kept: Kept, chosen: Chosen | None, settled: dict[tuple[int, int], pa.Array]
) -> set[str]:
    """Return the days on which the rows of jobs may change that they had before."""
    import pyarrow.compute as pc

    if chosen is None:
        return set()
    known = kept.tables["jobs"]
    found = set()
    hours = [hour for day in kept.days.values() for hour in day.hours]
    whole = chosen.jobs
    for (from_us, to_us), of_span in settled.items():
        spans = known.filter(pc.is_in(known["job_id"], value_set=of_span))
        some = [hour for hour in hours if not from_us <= hour < to_us]
        found |= {day_of(hour) for hour in between(spans, "first_hour_us", "to_us", some)}
        whole = whole.filter(pc.invert(pc.is_in(whole, value_set=of_span)))
    spans = known.filter(pc.is_in(known["job_id"], value_set=whole))
    return found | {day_of(hour) for hour in between(spans, "first_hour_us", "to_us", hours)}


def _by_day(rows: pa.Table, days: Iterable[str]) -> Iterator[tuple[str, pa.Table]]:
    """Yield the rows of each of some days; `rows` are sorted by hour."""
    hours_us = rows["hour_us"].to_numpy()
    for day in sorted(days):
        first_us = _start_of(day)
        first, end = np.searchsorted(hours_us, (first_us, first_us + 24 * HOUR_US))
        yield day, rows.slice(first, end - first)


def _replace(root: Path, kept: Kept, day: str, rows: pa.Table, jobs: pa.Array | None) -> None:
    """Put the rows of some jobs on a day in place of those that are kept of them."""
    import pyarrow as pa

    if jobs is not None and day in kept.days:
        was = rows_of_day(root, kept, day)
        rows = pa.concat_tables([without(was, jobs), rows]).sort_by(_ORDER)
        if rows.equals(was):
            return
    if len(rows):
        kept.days[day] = DayRows(rows["hour_us"].unique().to_pylist(), None, rows)
    else:
        kept.days.pop(day, None)


def without(rows: pa.Table, jobs: pa.Array) -> pa.Table:
    """Return the rows of other jobs."""
    import pyarrow.compute as pc

    return rows.filter(pc.invert(pc.is_in(rows["job_id"], value_set=jobs)))


def within(jobs: pa.Table, first: str, last: str, hours: Collection[int]) -> pa.Array:
    """Return the jobs whose time has any of some hours.

    Args:
        jobs: job_id, and two columns of hours, microseconds UTC; NULL: no time.
        first, last: names of these columns; both hours are inside.
        hours: microseconds UTC.
    """
    import pyarrow as pa

    begin, end = _places(jobs, first, last, np.array(sorted(hours), np.int64))
    return jobs["job_id"].combine_chunks().filter(pa.array(begin < end))


def between(jobs: pa.Table, first: str, last: str, hours: Collection[int]) -> set[int]:
    """Return those of some hours that are in the time of any job: as `within`."""
    chosen = np.array(sorted(hours), np.int64)
    begin, end = _places(jobs, first, last, chosen)
    depth = np.zeros(len(chosen) + 1, np.int64)
    np.add.at(depth, begin, 1)
    np.add.at(depth, np.maximum(begin, end), -1)
    return set(chosen[np.cumsum(depth[:-1]) > 0].tolist())


def _places(
    jobs: pa.Table, first: str, last: str, hours: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], ...]:
    """Return the first of the hours in the time of each job, and the first one after it."""
    begin = np.searchsorted(hours, jobs[first].fill_null(2**62).to_numpy(), side="left")
    return begin, np.searchsorted(hours, jobs[last].fill_null(-1).to_numpy(), side="right")


def day_of(hour_us: int) -> str:
    """Return the day of an hour: `date=YYYY-MM-DD`."""
    return partition(hour_us).partition("/")[0]


def _start_of(day: str) -> int:
    """Return when a day starts, microseconds UTC."""
    return hour_of_folder(Path(day) / "hour=00") or 0


def _fit(rows: pa.Table, table: Table) -> pa.Table:
    return rows.select(table.column_names).cast(table.schema())
