"""The hours that a report covers, and a connection that reads the files of those hours alone.

In: a lake, and hours; without hours the whole lake. Out: a connection in which the tables of the
contract hold what the report covers. There are two more views, so that the queries are the same
for both: `job_sum`, the sums and indices of each job over what is covered; and `token_around`, the
token readings, of a window with those of the hours beside it, since a counter is read on both sides
of an edge.

Of a window, `job_index` has the jobs with a part in it, with the figures of their whole lives, and
`allocation` their first and last instants. No file of another hour is opened, but for two kinds:
`job_index` back to the start of the oldest of these jobs; and, for the figures by day,
`ledger_hour` and `job_hour_index` of `MOST_DAYS` days.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocation_schema
from tokenergy_collectors.lake.contract import HOUR_US, TABLES
from tokenergy_collectors.lake.paths import hour_of, partition
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.duck import open_memory, patterns
from tokenergy_sql.index.modelrun import build_model

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_READ = (
    *("power", "tokens", "event", "ledger", "ledger_hour", "token_usage", "job_hour_index"),
    *("job_efficiency", "quarantined"),
    *("load_profile", "load_spectrum", "load_swing", "load_span", "load_span_swing"),
    *("site_hour", "meter_hour", "node_hour"),
    *("storage_study", "storage_sweep", "storage_course"),
)
"""Tables of which a window reads its own hours; of all others, but for `job_index`, nothing."""

_MACROS = (
    *("stamp_us", "good_argument", "part_of", "ledger_by_segment"),
    *("figure_of", "good_period", "site_figure_by", "site_tokens_by"),
)

_DAY_US = 24 * HOUR_US
_FOUND = ("job_id", "start_us", "end_us", "workload")

_OF_DAYS = {
    "ledger_hour": "hour_us, energy_nj, device_us, covered_us",
    "job_hour_index": "job_id, hour_us, device_us, joint_us, e_gpu_nj, n_generated, n_trained, "
    "n_joint, n_joint_low, n_joint_high, e_joint_nj, e_joint_low_nj, e_joint_high_nj, "
    "e_joint_facility_nj, e_joint_facility_low_nj, e_joint_facility_high_nj",
}
"""Columns that the figures by day need."""

MOST_DAYS = 14
"""Most days that are shown by day; the last one is that of the window's end. A day costs as much as
24 small files of each of two tables do: about 0.035 CPU seconds."""

_FIRST_CHUNK = 24
"""Hours of `job_index` that are looked at first, the latest ones; then twice as many, and so on."""


def last_hours(lake: Lake, count: int) -> range:
    """Return the last hours up to the latest one that the lake has in its books.

    Args:
        lake: the lake.
        count: how many hours.

    Returns:
        Their starts, microseconds UTC.

    Raises:
        UserError: no hour is booked yet.
    """
    booked = lake.hours("ledger_hour")
    if booked:
        return range(booked[-1] - (count - 1) * HOUR_US, booked[-1] + HOUR_US, HOUR_US)
    raise UserError(f"lake {lake.root}: has no ledger_hour; run `tokenergy index` on it first")


def connect(lake: Lake, hours: range | None) -> duckdb.DuckDBPyConnection:
    """Return a connection to what a report covers.

    Args:
        lake: the lake.
        hours: starts of hours, microseconds UTC; the whole lake if None.

    Raises:
        UserError: the lake has nothing of these hours, or no `job_index`.
    """
    if hours is None:
        con = catalog.connect(lake)
        con.execute("CREATE TEMP VIEW job_sum AS FROM job_index")
        con.execute("CREATE TEMP VIEW token_around AS FROM tokens")
    else:
        con = _connect_window(lake, hours)
    views.define(con, _MACROS)
    return con


def _connect_window(lake: Lake, hours: range) -> duckdb.DuckDBPyConnection:
    own = list(hours)
    if not lake.files("ledger_hour", own) and not lake.files("job_hour_index", own):
        raise UserError(_nothing_there(lake, hours))
    job_ids = lake.read("job_hour_index", own, columns=["job_id"])["job_id"].unique()
    found = _found(lake, hours[-1], job_ids)
    if len(job_ids) and not found.num_rows:
        raise UserError(f"lake {lake.root}: has no job_index; run `tokenergy index` on it first")
    begun = _allocations(found)
    starts = sorted({hour_of(start_us) for start_us in begun["start_us"].to_pylist()})
    read = {name: own if name in _READ else [] for name in (*TABLES, "quarantined")}
    con = catalog.connect(lake, {**read, "job_index": starts}, allocation=begun)
    # A temporary table hides the view of the lake by that name.
    con.execute(
        "CREATE TEMP TABLE job_index AS "
        "FROM main.job_index WHERE job_id IN (SELECT job_id FROM allocation)"
    )
    _create_token_around(con, lake, hours)
    _create_job_sum(con)
    return con


def _nothing_there(lake: Lake, hours: range) -> str:
    booked = lake.hours("ledger_hour")
    there = "no hour is booked yet; run `tokenergy index` on it first"
    if booked:
        there = f"its books have {_shown(booked[0])} to {_shown(booked[-1])}"
    return (
        f"lake {lake.root}: has no books of the hours {_shown(hours[0])} to {_shown(hours[-1])}; "
        f"{there}"
    )


def _shown(hour_us: int) -> str:
    return partition(hour_us).replace("date=", "").replace("/hour=", "T")


def connect_days(
    lake: Lake, hours: range, window: duckdb.DuckDBPyConnection
) -> duckdb.DuckDBPyConnection:
    """Return a connection to the hourly sums of the days up to the end of a window.

    It has `ledger_hour` and `job_hour_index` of at most `MOST_DAYS` days, and of `job_index` what
    kind of work each of these jobs is.

    Args:
        lake: the lake.
        hours: the window.
        window: the connection to it: it knows the jobs that began long ago.
    """
    import pyarrow as pa

    midnight_us = hours[-1] - hours[-1] % _DAY_US
    past = range(midnight_us - (MOST_DAYS - 1) * _DAY_US, hours[-1] + HOUR_US, HOUR_US)
    con = open_memory()
    views.define(con, views.UNITS)
    for name in ("ledger_hour", "job_hour_index"):
        paths = patterns(lake.files(name, past))
        con.execute(f"CREATE VIEW {name} AS {catalog.select_listed(TABLES[name], paths)}")
        # Opening so many small files takes longer than all else: they are read once.
        con.execute(
            f"CREATE TEMP TABLE {name} AS SELECT {_OF_DAYS[name]} FROM main.{name}"  # noqa: S608 - a dict above
        )
    known = window.sql("SELECT job_id, workload FROM job_index").to_arrow_table()
    con.register("known", known)
    others = con.sql(
        "SELECT DISTINCT job_id FROM job_hour_index ANTI JOIN known USING (job_id)"
    ).to_arrow_table()
    found = _found(lake, hours[-1], others["job_id"]).select(known.column_names)
    con.register("job_index", pa.concat_tables([known, found.cast(known.schema)]))
    return con


def _found(lake: Lake, last_us: int, job_ids: pa.ChunkedArray) -> pa.Table:
    """Return of some jobs, begun by the end of an hour, start_us, end_us and workload.

    A job's row of `job_index` is in the hour in which it began. Hours are looked at from the latest
    back until all jobs are found: most jobs of a window began in it, or not long before.
    """
    import pyarrow as pa

    schema = TABLES["job_index"].schema()
    found = pa.table({name: pa.array([], schema.field(name).type) for name in _FOUND})
    oldest_us = min(lake.hours("job_index"), default=last_us + HOUR_US)
    chunk = _FIRST_CHUNK
    with open_memory() as con:
        con.register("wanted", pa.table({"job_id": job_ids}))
        while last_us >= oldest_us and found.num_rows < len(job_ids):
            hours = range(max(last_us - (chunk - 1) * HOUR_US, oldest_us), last_us + 1, HOUR_US)
            paths = patterns(lake.files("job_index", hours))
            last_us, chunk = hours[0] - HOUR_US, 2 * chunk
            text = catalog.select_listed(TABLES["job_index"], paths)
            con.execute(f"CREATE OR REPLACE TEMP VIEW job_index AS {text}")
            rows = con.sql(
                "SELECT job_id, start_us, end_us, workload FROM job_index "
                "SEMI JOIN wanted USING (job_id) ORDER BY job_id"
            ).to_arrow_table()
            found = pa.concat_tables([found, rows.cast(found.schema)])
    return found


def _allocations(found: pa.Table) -> pa.Table:
    """Return jobs as rows of `allocation`, of which the report needs no more than from and to."""
    import pyarrow as pa

    blank = {field.name: pa.nulls(found.num_rows, field.type) for field in allocation_schema()}
    return pa.table({**blank, **{name: found[name] for name in ("job_id", "start_us", "end_us")}})


def _create_token_around(con: duckdb.DuckDBPyConnection, lake: Lake, hours: range) -> None:
    """Create `token_around`: the token readings of a window and of the hours beside it."""
    near = [hours[0] - HOUR_US, *hours, hours[-1] + HOUR_US]
    text = catalog.select_from(TABLES["tokens"], lake.valid_files("tokens", near))
    con.execute(f"CREATE TEMP VIEW token_around AS {text}")


def _create_job_sum(con: duckdb.DuckDBPyConnection) -> None:
    """Create `job_sum`: the sums of each job over a window, and the indices made from them."""
    con.execute(f"CREATE TEMP TABLE sums AS {_sql('window_sums')}")
    # What `models/indices.sql` reads besides: the same SQL serves hours, windows and jobs.
    con.execute(
        "CREATE TEMP TABLE job_facts AS SELECT job_id, emulated, workload, devices, "
        "list_contains(string_split(reason_codes, ','), 'running') AS running FROM job_index"
    )
    con.execute("CREATE TEMP TABLE parameters AS SELECT 0::BIGINT AS hour_us, '' AS index_version")
    build_model(con, "indices", "window_index")
    con.execute(
        "CREATE TEMP TABLE job_sum AS SELECT w.* EXCLUDE (index_version, hour_versions), "
        "w.hour_versions AS index_version, j.workload, j.model, j.gpu, j.start_us, j.end_us "
        "FROM window_index AS w JOIN job_index AS j USING (job_id)"
    )


@cache
def _sql(name: str) -> str:
    file = resources.files("tokenergy_sql.report") / "queries" / f"{name}.sql"
    return file.read_text("utf-8")
