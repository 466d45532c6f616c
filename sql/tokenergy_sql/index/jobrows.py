"""Keeps `job_index` up to date: works out again the jobs that something changed, and no others.

In: the books of all hours, what is known of each job. Out: the files of `job_index` that differ.

A job's row depends on its hours (`job_hour_index`, `ledger_hour`, `phase_block`, `phase_role`), on
its facts, its tokens, what it claimed beyond the derived hours, the boards' names, the site and the
models. `cache/job_rows.json` has the tags of all hours and a digest of the rest, as they were when
`job_index` was last published. The cache may be removed at any time: all jobs are worked out again
then, to the same bytes.
"""

from __future__ import annotations

import base64
import os
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from tokenergy_collectors.lake import Lake, monthlyfile
from tokenergy_collectors.lake.absent import url_of
from tokenergy_collectors.lake.contract import JOB_HOUR_INDEX, JOB_INDEX, LEDGER_HOUR, TABLES
from tokenergy_collectors.lake.monthly import ByHour, ScalarByHour
from tokenergy_collectors.lake.paths import hour_of
from tokenergy_collectors.lake.published import by_hour, path_of, place_of
from tokenergy_collectors.lake.quarantine import MISSING, DamagedError
from tokenergy_collectors.lake.reading import BrokenFileError, read_columns
from tokenergy_sql.catalog.connecting import select_from
from tokenergy_sql.index import phases
from tokenergy_sql.index.modelrun import build_model, run_model, store_rows
from tokenergy_sql.revisions.recorder import Recorder

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

CACHE = "cache/job_rows.json"

_OF_HOURS = ("job_hour_index", "ledger_hour", "phase_block", "phase_role")
"""Tables whose rows of an hour a job's row is made from."""

_TEXTS, _HOURS = ("job_id", "digest"), ("file_us", "first_us", "last_us")
_JOB = [*((name, "string") for name in _TEXTS), *((name, "int64") for name in _HOURS)]
"""Columns of what is remembered of each job: a digest of all that its row depends on, but its
hours; the hour whose file has its row; its first and last hour in `job_hour_index`, NULL if it is
in none. A year has 10,000 jobs of 64 boards: they are rows, not objects."""


def _no_jobs() -> pa.Table:
    import pyarrow as pa

    return pa.schema(_JOB).empty_table()


@dataclass(slots=True)
class _Known:
    """What `job_index` was made from.

    Attributes:
        of_all: what all rows depend on.
        files: of the files of `job_index`, by hour: tag, size, time (ns).
        tags: of the files that rows are made from, by table and hour.
        jobs: columns as in `_JOB`.
    """

    of_all: str = ""
    files: ByHour[list[Any]] = field(default_factory=ByHour)
    tags: dict[str, ScalarByHour[str]] = field(default_factory=dict)
    jobs: pa.Table = field(default_factory=_no_jobs)


class JobRows:
    """The rows of `job_index`, as a run of the index leaves them.

    Args:
        lake: the lake; the run's own books.
        con: has `job_usage`, `token_job`, `claim_beyond`, `device_now`, `allocation`, `site`,
            `parameters` and the macros of units. `allocation` and `job_usage` have only jobs that
            are worked out afterwards.
        of_all: text of what all rows depend on: versions, constants of the site.
    """

    def __init__(self, lake: Lake, con: duckdb.DuckDBPyConnection, of_all: str) -> None:
        import duckdb

        self._lake, self._con = lake, con
        before = _read(lake)
        # Hashes are those of this version of DuckDB.
        now = _Known(f"{of_all} {duckdb.__version__} {_of_boards(con)}", tags=_tags(lake))
        self._there = files = _files(lake)
        usable = before.of_all == now.of_all and _tags_of(before.files) == _tags_of(files)
        self._before = before if usable else _Known()
        self._now = now
        self._damaged = {*self._before.files.differing(files)} if usable else set[int]()
        self._reached: dict[str, tuple[int, int]] = {}

    def write(self, record: Recorder) -> int:
        """Write the files that differ; return how many jobs there are."""
        import pyarrow as pa

        touched = self._touched()
        by_file: dict[int, list[int]] = {hour_us: [] for hour_us in self._damaged}
        rows = self._rows(touched)
        for place, start_us in enumerate(rows["start_us"].to_pylist()):
            by_file.setdefault(hour_of(start_us), []).append(place)
        for file_us in _of(self._before.jobs, touched)["file_us"].unique().to_pylist():
            by_file.setdefault(file_us, [])
        if not self._before.of_all:  # also those that no job is in any more
            by_file = {**{hour: [] for hour in self._lake.hours(JOB_INDEX.name)}, **by_file}
        for hour_us, places in sorted(by_file.items()):
            of_file = rows.take(pa.array(places, pa.int64()))
            record.write(JOB_INDEX.name, self._file(hour_us, of_file, touched), hour_us)
        self._now.files = _files(self._lake, self._there, by_file)
        return len(self._now.jobs)

    def remember(self) -> None:
        """Keep what the rows were made from, once they are published."""
        _write(self._lake, self._now)

    def _touched(self) -> set[str]:
        """Return the jobs to work out; find what is to be remembered of all."""
        import pyarrow as pa

        con, before, now = self._con, self._before, self._now
        build_model(con, "job_digest", "job_now")
        store_rows(con, "job_before", before.jobs)
        damaged = pa.array(sorted(self._damaged), pa.int64())
        store_rows(con, "damaged_hour", pa.table({"file_us": damaged}))
        touched = {*run_model(con, "job_changed")["job_id"].to_pylist()}
        self._ids = con.sql("SELECT job_id FROM job_now").to_arrow_table()["job_id"]
        changed = {
            hour_us
            for table in _OF_HOURS
            for hour_us in _of_table(now, table).differing(_of_table(before, table))
        }
        touched |= self._in_hours(sorted(changed))
        reached = pa.table(
            {
                "job_id": pa.array([*self._reached], pa.string()),
                "from_us": pa.array([one[0] for one in self._reached.values()], pa.int64()),
                "to_us": pa.array([one[1] for one in self._reached.values()], pa.int64()),
            }
        )
        store_rows(con, "reached", reached)
        now.jobs = run_model(con, "job_remembered").cast(pa.schema(_JOB))
        return touched

    def _in_hours(self, hours: list[int]) -> set[str]:
        """Return the jobs that have a row in some hours, or had one; extend them to these hours.

        All jobs, if a file that says so is gone.
        """
        found: set[str] = set()
        for hour_us in hours:
            now, had = (_tags_at(known, hour_us) for known in (self._now, self._before))
            for table, tag in sorted({*now.items(), *had.items()}):
                path = path_of(self._lake.root, table, hour_us, tag)
                try:
                    rows = read_columns(path, TABLES[table], ["job_id"])
                except (BrokenFileError, FileNotFoundError) as error:
                    if now.get(table) == tag:
                        reason = MISSING if isinstance(error, FileNotFoundError) else str(error)
                        raise DamagedError(path, reason) from None
                    found |= {*self._ids.to_pylist()}
                    continue
                ids = {job_id for job_id in rows["job_id"].unique().to_pylist() if job_id}
                found |= ids
                for job_id in ids:
                    # Hours come in their order.
                    first_us, _ = self._reached.get(job_id, (hour_us, hour_us))
                    self._reached[job_id] = first_us, hour_us
        return found

    def _rows(self, touched: set[str]) -> pa.Table:
        """Return the rows of some jobs."""
        import pyarrow as pa

        if not touched:
            return JOB_INDEX.schema().empty_table()
        con = self._con
        store_rows(con, "touched_job", pa.table({"job_id": pa.array(sorted(touched), pa.string())}))
        for name in ("allocation", "job_usage"):
            some = con.sql(f"FROM {name} SEMI JOIN touched_job USING (job_id)").to_arrow_table()
            con.unregister(name)
            con.execute(f"DROP TABLE IF EXISTS temp.{name}")
            store_rows(con, name, some)
        build_model(con, "job_facts")
        hours = self._hours_of(touched)
        for table in (JOB_HOUR_INDEX, LEDGER_HOUR):
            con.execute(f"DROP TABLE IF EXISTS temp.{table.name}")
            text = select_from(table, self._lake.valid_files(table.name, hours))
            chosen = f"SELECT * FROM ({text}) SEMI JOIN touched_job USING (job_id)"  # noqa: S608 - paths are escaped
            con.execute(f"CREATE OR REPLACE TEMP VIEW {table.name} AS {chosen}")
        sums = run_model(con, "job_sums")
        con.register("all_sums", sums)
        con.execute("CREATE TEMP TABLE sums AS FROM all_sums SEMI JOIN touched_job USING (job_id)")
        con.unregister("all_sums")
        store_rows(con, "found", run_model(con, "indices"))
        store_rows(con, "told", phases.of_jobs(con, self._lake, hours))
        rows = con.sql(
            "SELECT found.*, facts.* EXCLUDE (job_id, running, emulated), told.* EXCLUDE (job_id) "
            "FROM found JOIN job_facts AS facts USING (job_id) JOIN told USING (job_id)"
        ).to_arrow_table()
        return rows.select(JOB_INDEX.column_names).cast(JOB_INDEX.schema()).combine_chunks()

    def _hours_of(self, touched: Iterable[str]) -> list[int]:
        """Return the hours of the books in which some jobs have rows, and perhaps more."""
        some = _of(self._now.jobs, touched).select(["first_us", "last_us"]).drop_null()
        spans = sorted(zip(*(column.to_pylist() for column in some.columns), strict=True))
        there = sorted({hour for table in _OF_HOURS for hour in iter(_of_table(self._now, table))})
        found = set[int]()
        for first_us, last_us in spans:
            found.update(there[bisect_left(there, first_us) : bisect_right(there, last_us)])
        return sorted(found)

    def _file(self, hour_us: int, rows: pa.Table, touched: set[str]) -> pa.Table:
        """Return the rows of a file: those of other jobs as they are."""
        import pyarrow as pa
        import pyarrow.compute as pc

        whole = not self._before.of_all or hour_us in self._damaged
        if whole or self._lake.books.file(JOB_INDEX.name, hour_us) is None:
            return rows
        kept = self._lake.read(JOB_INDEX.name, [hour_us])
        gone = pc.is_in(kept["job_id"], value_set=pa.array(sorted(touched), pa.string()))
        return pa.concat_tables([kept.filter(pc.invert(gone)), rows.cast(kept.schema)])


def _of_boards(con: duckdb.DuckDBPyConnection) -> str:
    """Return a digest of what facts and bounds of jobs depend on of the boards."""
    text = (
        "SELECT md5(string_agg(concat_ws('=', device_id, coalesce(name, ''), emulated), ',' "
        "ORDER BY device_id)) FROM device_now"
    )
    (found,) = con.execute(text).fetchall()[0]
    return str(found)


def _of(jobs: pa.Table, some: Iterable[str]) -> pa.Table:
    """Return the rows of some jobs."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return jobs.filter(pc.is_in(jobs["job_id"], value_set=pa.array(sorted(some), pa.string())))


def _files(
    lake: Lake, seen: ByHour[list[Any]] | None = None, but: Collection[int] = ()
) -> ByHour[list[Any]]:
    """Return `_Known.files`.

    Args:
        lake: the lake.
        seen: what it was a moment ago: only files that changed since are looked at.
        but: hours that are looked at again.
    """
    tags = by_hour(lake.books.current().tags.get(JOB_INDEX.name, {}))
    copy = url_of(lake.root) is not None
    if seen is not None:
        found = seen.copied()
        wanted = {*but, *_tags_of(seen).differing(tags)}
    else:
        found, wanted = ByHour[list[Any]](), {*iter(tags)}
    of_month: dict[int, list[Any]] = {}
    for hour_us in sorted(wanted):
        found.pop(hour_us, None)
        if (tag := tags.get(hour_us)) is not None:
            # Files of a copy come when they are read, and are compared with their names then.
            of_month[hour_us] = [tag, 0, 0] if copy else _stat(lake, hour_us, tag)
    found.update_all(of_month)
    return found


def _stat(lake: Lake, hour_us: int, tag: str) -> list[Any]:
    try:
        # A year has 8,760 of them: links, as in a working copy, are not looked for.
        stat = os.stat(place_of(lake.root, JOB_INDEX.name, hour_us, tag))  # noqa: PTH116 - a Path costs more than the call
    except FileNotFoundError:
        return [tag, -1, -1]
    return [tag, stat.st_size, stat.st_mtime_ns]


def _tags_of(files: ByHour[list[Any]]) -> ScalarByHour[str]:
    return ScalarByHour({hour_us: tag for hour_us, (tag, *_) in files.items()})


def _tags(lake: Lake) -> dict[str, ScalarByHour[str]]:
    """Return `_Known.tags` of the books as they are."""
    tags = lake.books.current().tags
    return {table: by_hour(tags.get(table, {})).copied() for table in _OF_HOURS}


def _of_table(known: _Known, table: str) -> ScalarByHour[str]:
    return known.tags.get(table, ScalarByHour[str]())


def _tags_at(known: _Known, hour_us: int) -> dict[str, str]:
    """Return the tags of the files of an hour."""
    found = {table: _of_table(known, table).get(hour_us) for table in _OF_HOURS}
    return {table: tag for table, tag in found.items() if tag is not None}


def _read(lake: Lake) -> _Known:
    import pyarrow as pa

    kinds: dict[str, monthlyfile.Kind] = {
        "files": ByHour.of_texts,
        "tags": ScalarByHour.of_texts,
    }
    try:
        found = monthlyfile.parse((lake.root / CACHE).read_bytes(), kinds)
        if found is None:
            return _Known()
        head, sections = found
        jobs = pa.ipc.open_stream(base64.b64decode(head["jobs"])).read_all()
        files = cast("ByHour[list[Any]]", sections["files"][JOB_INDEX.name])
        tags = cast("dict[str, ScalarByHour[str]]", sections["tags"])
        return _Known(head["of_all"], files, tags, jobs.cast(pa.schema(_JOB)))
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return _Known()


def _write(lake: Lake, known: _Known) -> None:
    import pyarrow as pa

    path = lake.root / CACHE
    jobs = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_stream(jobs, known.jobs.schema, options=options) as stream:
        stream.write_table(known.jobs)
    head = {"of_all": known.of_all, "jobs": base64.b64encode(jobs.getvalue()).decode()}
    data = monthlyfile.dump(head, {"files": {JOB_INDEX.name: known.files}, "tags": known.tags})
    with suppress(OSError):  # then all jobs are worked out next time, as without a cache
        path.parent.mkdir(exist_ok=True)
        aside = path.with_name(f".{path.name}.tmp")
        aside.write_bytes(data)
        aside.replace(path)
