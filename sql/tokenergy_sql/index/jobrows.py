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
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.absent import url_of
from tokenergy_collectors.lake.contract import JOB_HOUR_INDEX, JOB_INDEX, LEDGER_HOUR, TABLES
from tokenergy_collectors.lake.paths import hour_of
from tokenergy_collectors.lake.published import path_of, place_of
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
        hours: tags of the files that rows are made from, by hour.
        jobs: columns as in `_JOB`.
    """

    of_all: str = ""
    files: dict[str, list[Any]] = field(default_factory=dict)
    hours: dict[str, str] = field(default_factory=dict)
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
        now = _Known(f"{of_all} {duckdb.__version__} {_of_boards(con)}", hours=_hours(lake))
        self._there = files = _files(lake)
        usable = before.of_all == now.of_all and {
            hour: tag for hour, (tag, *_) in before.files.items()
        } == {hour: tag for hour, (tag, *_) in files.items()}
        self._before = before if usable else _Known()
        self._now = now
        self._damaged = {int(h) for h, found in self._before.files.items() if found != files[h]}
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
        others = {hour: one for hour, one in self._there.items() if int(hour) not in by_file}
        self._now.files = _files(self._lake, others)
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
            h for h in {*before.hours, *now.hours} if before.hours.get(h) != now.hours.get(h)
        }
        touched |= self._in_hours(sorted(map(int, changed)))
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
            now = _tags(self._now.hours.get(str(hour_us), ""))
            had = _tags(self._before.hours.get(str(hour_us), ""))
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
        found, at, until_us = [], 0, -1
        for hour_us in map(int, self._now.hours):
            while at < len(spans) and spans[at][0] <= hour_us:
                until_us, at = max(until_us, spans[at][1]), at + 1
            if hour_us <= until_us:
                found.append(hour_us)
        return found

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


def _files(lake: Lake, seen: Mapping[str, list[Any]] | None = None) -> dict[str, list[Any]]:
    """Return `_Known.files`; those that were just looked at (`seen`) are not looked at again."""
    found: dict[str, list[Any]] = {}
    copy = url_of(lake.root) is not None
    for hour_us, tag in sorted(lake.books.current().tags.get(JOB_INDEX.name, {}).items()):
        if seen and seen.get(str(hour_us), [""])[0] == tag:
            found[str(hour_us)] = seen[str(hour_us)]
            continue
        if copy:  # files come when they are read, and are compared with their names then
            found[str(hour_us)] = [tag, 0, 0]
            continue
        try:
            # A year has 8,760 of them: links, as in a working copy, are not looked for.
            place = place_of(lake.root, JOB_INDEX.name, hour_us, tag)
            stat = os.stat(place)  # noqa: PTH116 - a Path costs more than the call
            found[str(hour_us)] = [tag, stat.st_size, stat.st_mtime_ns]
        except FileNotFoundError:
            found[str(hour_us)] = [tag, -1, -1]
    return found


def _hours(lake: Lake) -> dict[str, str]:
    """Return the tags of the files of each hour, as one text an hour."""
    found: dict[int, list[str]] = {}
    tags = lake.books.current().tags
    for table in _OF_HOURS:
        for hour_us, tag in tags.get(table, {}).items():
            found.setdefault(hour_us, []).append(f"{table}={tag}")
    return {str(hour_us): " ".join(found[hour_us]) for hour_us in sorted(found)}


def _tags(text: str) -> dict[str, str]:
    pairs = (one.partition("=") for one in text.split())
    return {table: tag for table, _, tag in pairs}


def _read(lake: Lake) -> _Known:
    import pyarrow as pa

    try:
        found = json.loads((lake.root / CACHE).read_text("utf-8"))
        told, data = found.pop("jobs_digest"), base64.b64decode(found.pop("jobs"))
        if told != _digest(data):
            return _Known()
        jobs = pa.ipc.open_stream(data).read_all()
        return _Known(**found, jobs=jobs.cast(pa.schema(_JOB)))
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return _Known()


def _write(lake: Lake, known: _Known) -> None:
    import pyarrow as pa

    path = lake.root / CACHE
    jobs = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_stream(jobs, known.jobs.schema, options=options) as stream:
        stream.write_table(known.jobs)
    content = {
        "of_all": known.of_all, "files": known.files, "hours": known.hours,
        "jobs": base64.b64encode(jobs.getvalue()).decode(),
        "jobs_digest": _digest(jobs.getvalue()),
    }  # fmt: skip
    with suppress(OSError):  # then all jobs are worked out next time, as without a cache
        path.parent.mkdir(exist_ok=True)
        aside = path.with_name(f".{path.name}.tmp")
        aside.write_text(json.dumps(content), "utf-8")
        aside.replace(path)


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
