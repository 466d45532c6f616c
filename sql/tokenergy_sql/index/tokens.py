"""Tokens of all hours: what was counted, when it is known.

In: `tokens` and `jobs` of a lake. Out: `Usage`.

Only jobs that something changed are counted again (`tokencounting.py`): those with points in an
hour whose token files changed, and those whose start or end did. Of a long job, days that nothing
changes any more are passed over (`models/token_settled.sql`). What was counted is kept
(`usagekept.py`).
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Collection, Sequence
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_collectors.lake.contract import TOKEN_USAGE
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.connecting import select_from
from tokenergy_sql.catalog.duck import open_memory
from tokenergy_sql.catalog.reading import is_unreadable
from tokenergy_sql.index import usagechanges, usagekept
from tokenergy_sql.index.modelrun import index_version, run_model
from tokenergy_sql.index.models import model_text
from tokenergy_sql.index.tokencounting import Chosen, Counted, UnsettledError, count
from tokenergy_sql.index.tokenpoints import CACHE_FOLDER, POINT, points
from tokenergy_sql.index.usagekept import Kept, LostError
from tokenergy_sql.index.usagemerge import between, day_of, merged, within, without

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

Progress = Callable[[str], None]

T = TypeVar("T")

_BY_JOB = ("job_id", "model", "first_hour_us", "trained", "inferred")
"""Columns of `models/job_usage.sql`."""


class Usage:
    """Tokens of a lake, as they were when it was made: see `Usage.of`."""

    def __init__(self, root: Path, kept: Kept, again: Callable[[], Kept]) -> None:
        self._root, self._kept, self._again = root, kept, again

    @classmethod
    def of(
        cls, lake: Lake, progress: Progress = lambda _: None, held: pa.Table | None = None
    ) -> Usage:
        """Return the tokens of a lake.

        Args:
            lake: the lake.
            progress: called with the name of each hour whose readings are read.
            held: `allocations(lake)`, if the caller has it.

        Raises:
            UserError: the cache cannot be written.
            duckdb.Error: a raw file is damaged inside; see `catalog.reading.heal`.
        """
        held = allocations(lake) if held is None else held
        again = partial(_counted, lake, progress, held, None)
        try:
            return cls(lake.root, _counted(lake, progress, held, _read(lake)), again)
        except LostError:
            return cls(lake.root, again(), again)

    @property
    def hours(self) -> list[int]:
        """Starts of the hours that have rows, microseconds UTC, ascending."""
        return sorted(hour for day in self._kept.days.values() for hour in day.hours)

    @property
    def rows(self) -> pa.Table:
        """Columns of `token_usage`, all hours."""
        return self.of_hours(self.hours)

    @property
    def by_job(self) -> pa.Table:
        """Columns of `models/job_usage.sql`, one row a job that has rows."""
        import pyarrow.compute as pc

        jobs = self._kept.tables["jobs"]
        return jobs.filter(pc.is_valid(jobs["first_hour_us"])).select(_BY_JOB)

    @property
    def known(self) -> pa.Table:
        """Columns of `models/token_known.sql`: when the tokens of a job are known."""
        return self._kept.tables["known"]

    @property
    def of_jobs(self) -> pa.Table:
        """Columns of `models/token_job.sql`: bounds of jobs in several hours."""
        return self._kept.tables["totals"]

    def of_hour(self, hour_us: int) -> pa.Table:
        """Return the rows of one hour."""
        return self.of_hours([hour_us])

    def of_hours(self, hours: Collection[int]) -> pa.Table:
        """Return the rows of some hours."""
        import pyarrow as pa
        import pyarrow.compute as pc

        chosen = pa.array(sorted(hours), pa.int64())
        parts = [TOKEN_USAGE.schema().empty_table()]
        for day in sorted({day_of(hour) for hour in hours} & self._kept.days.keys()):
            rows = self._of_day(day)
            parts.append(rows.filter(pc.is_in(rows["hour_us"], value_set=chosen)))
        return pa.concat_tables(parts)

    def by_job_in(self, hours: Collection[int]) -> pa.Table:
        """Return `by_job` as if other hours had no rows."""
        import pyarrow as pa
        import pyarrow.compute as pc

        others = sorted({*self.hours}.difference(hours))
        if not others:
            return self.by_job
        jobs = self._kept.tables["jobs"]
        partly = within(jobs, "first_hour_us", "to_us", others)
        spans = jobs.filter(pc.is_in(jobs["job_id"], value_set=partly))
        wanted = between(spans, "first_hour_us", "to_us", [*{*hours} & {*self.hours}])
        rows = self.of_hours(wanted)
        with open_memory() as con:
            mine = rows.filter(pc.is_in(rows["job_id"], value_set=partly))
            con.register("token_usage", mine)
            found = run_model(con, "job_usage").select(_BY_JOB)
        whole = self.by_job
        return pa.concat_tables([without(whole, partly), found.cast(whole.schema)])

    def _of_day(self, day: str) -> pa.Table:
        try:
            return usagekept.rows_of_day(self._root, self._kept, day)
        except LostError:  # removed meanwhile, or damaged
            self._kept = self._again()
            if day not in self._kept.days:
                return TOKEN_USAGE.schema().empty_table()
            return usagekept.rows_of_day(self._root, self._kept, day)


def usage(
    lake: Lake, progress: Progress = lambda _: None, held: pa.Table | None = None
) -> pa.Table:
    """Return the tokens of each job, hour, model and kind: `Usage.rows`; see `Usage.of`."""
    return Usage.of(lake, progress, held).rows


def _read(lake: Lake) -> Kept | None:
    return usagekept.read(lake.root, _version())


def _version() -> str:
    """Return the version of all that decides what is counted."""
    return f"{index_version()} {_code()}"


@cache
def _code() -> str:
    digest = hashlib.sha256()
    for entry in sorted(resources.files(__package__).iterdir(), key=lambda entry: entry.name):
        if entry.name.startswith(("token", "usage")) and entry.name.endswith(".py"):
            digest.update(entry.read_bytes())
    return digest.hexdigest()[:16]


def _counted(lake: Lake, progress: Progress, held: pa.Table, before: Kept | None) -> Kept:
    """Return what the tokens of a lake are, and keep it.

    Args:
        lake: the lake.
        progress: as in `Usage.of`.
        held: its allocations.
        before: what was kept; None: count all.

    Raises:
        LostError: a file of what was kept is gone or damaged.
    """
    now = usagechanges.sources(lake, before)
    there = [hour for day in now.values() for hour in day.hours]
    with open_memory() as con:
        views.define(con, views.UNITS)
        con.register("allocation", held)
        con.execute(f"CREATE TEMP TABLE token_span AS {model_text('token_span')}")
        if before is None:
            found = _count(con, lake, there, progress, None)
            kept = merged(lake.root, Kept(_version()), found, None, now)
        else:
            known = before.tables["jobs"]
            changed = usagechanges.hours(before.sources, now)
            edges = usagechanges.moved(con, known)
            if not changed and not len(edges):
                return before
            new = _jobs_in(con, lake, [*{*there}.intersection(changed)], progress)
            had = within(known, "first_us", "last_us", changed)
            jobs = usagechanges.union(new, had, edges)
            whole = usagechanges.union(edges, usagechanges.early(known, changed))
            hours_of = partial(usagechanges.hours_of, known, there=there, changed=changed)
            found, chosen = _count_chosen(con, lake, before, (jobs, whole), hours_of, progress)
            kept = merged(lake.root, before, found, chosen, now)
    if now or before is not None:
        usagekept.write(lake.root, kept)
    return kept


def _count_chosen(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    before: Kept,
    jobs: tuple[pa.Array, pa.Array],
    hours_of: Callable[[Chosen], set[int]],
    progress: Progress,
) -> tuple[Counted, Chosen]:
    """Count the tokens of some jobs, in part where their past is settled.

    Args:
        con: has `token_span` and the macros of units.
        lake: the lake.
        before: what was kept.
        jobs: job_id; and of those that are to be counted as a whole.
        hours_of: returns the hours that have their points.
        progress: as in `Usage.of`.
    """
    chosen = usagechanges.chosen(before, *jobs)
    try:
        return _count(con, lake, [*hours_of(chosen)], progress, chosen), chosen
    except UnsettledError as error:
        # Once: counted as a whole, jobs have no settled days that could change.
        return _count_chosen(
            con,
            lake,
            before,
            (jobs[0], usagechanges.union(jobs[1], error.jobs)),
            hours_of,
            progress,
        )


def _jobs_in(
    con: duckdb.DuckDBPyConnection, lake: Lake, hours: Sequence[int], progress: Progress
) -> pa.Array:
    """Return the jobs that have points in some hours."""

    def read(files: Sequence[Path]) -> pa.Array:
        there = frozenset(POINT.column_names)
        text = select_from(POINT, [(path, there) for path in files])
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE job_there AS SELECT DISTINCT job_id FROM ({text})"  # noqa: S608 - paths are escaped
        )
        return con.table("job_there").to_arrow_table()["job_id"].combine_chunks()

    return _on_points(con, lake, hours, progress, read)


def _count(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    hours: Sequence[int],
    progress: Progress,
    chosen: Chosen | None,
) -> Counted:
    """Count the tokens of some jobs, all of whose points are in some hours; of all if None."""

    def readings(nodes: list[str]) -> list[tuple[Path, frozenset[str]]]:
        return [one for node in nodes for one in lake.valid_files("tokens", hours, node)]

    return _on_points(con, lake, hours, progress, lambda files: count(con, files, readings, chosen))


def _on_points(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    hours: Sequence[int],
    progress: Progress,
    work: Callable[[Sequence[Path]], T],
) -> T:
    """Run a task on the points of some hours; make all of them again if a file is damaged."""
    import duckdb

    found = points(con, lake, hours, progress)
    try:
        return work(found)
    except duckdb.Error as error:
        if not is_unreadable(error):
            raise
        shutil.rmtree(lake.root / CACHE_FOLDER, ignore_errors=True)
        return work(points(con, lake, hours, progress))
