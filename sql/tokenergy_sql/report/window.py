"""The hours that a report covers, and a connection that reads the files of those hours alone.

In: a lake, and hours; without hours the whole lake. Out: a connection in which the tables of the
contract hold what the report covers. There are two more views, so that the queries are the same
for both: `job_sum`, the sums and indices of each job over what is covered; and `token_around`, the
token readings, of a window with those of the hours beside it, since a counter is read on both sides
of an edge.

Of a window, `job_index` has the jobs with a part in it, with the figures of their whole lives, and
`allocation` their first and last instants. No file of another hour is opened, but for the files of
`job_index` back to the start of the oldest of these jobs.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocation_schema
from tokenergy_collectors.lake.contract import HOUR_US, TABLES
from tokenergy_collectors.lake.paths import hour_of, hour_of_path, partition
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog.duck import open_memory, pattern
from tokenergy_sql.index.modelrun import build_model

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_READ = (
    *("power", "tokens", "event", "ledger", "ledger_hour", "token_usage", "job_hour_index"),
    *("job_efficiency", "load_profile", "quarantined"),
)
"""Tables of which a window reads its own hours; of all others, but for `job_index`, nothing."""

_SPAN = ("job_id", "start_us", "end_us")

_FIRST_CHUNK = 24
"""Files of `job_index` that are looked at first, the latest ones; then twice as many, and so on."""


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
    if not booked:
        raise UserError(f"lake {lake.root}: has no ledger_hour; run `tokenergy index` on it first")
    return range(booked[-1] - (count - 1) * HOUR_US, booked[-1] + HOUR_US, HOUR_US)


def connect(lake: Lake, hours: range | None) -> duckdb.DuckDBPyConnection:
    """Return a connection to what a report covers.

    Args:
        lake: the lake.
        hours: starts of hours, microseconds UTC; the whole lake if None.

    Raises:
        UserError: the lake has nothing of these hours.
    """
    if hours is not None:
        return _connect_window(lake, hours)
    con = catalog.connect(lake)
    con.execute("CREATE TEMP VIEW job_sum AS FROM job_index")
    con.execute("CREATE TEMP VIEW token_around AS FROM tokens")
    return con


def _connect_window(lake: Lake, hours: range) -> duckdb.DuckDBPyConnection:
    own = list(hours)
    if not lake.files("ledger_hour", own) and not lake.files("job_hour_index", own):
        raise UserError(_nothing_there(lake, hours))
    job_ids = lake.read("job_hour_index", own, columns=["job_id"])["job_id"].unique()
    begun = _begun(lake, hours, job_ids)
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


def _begun(lake: Lake, hours: range, job_ids: pa.Array) -> pa.Table:
    """Return each of some jobs with its first and last instant, as rows of `allocation`.

    A job's row of `job_index` is in the hour in which it began. Hours are looked at from the latest
    back until all jobs are found: most jobs of a window began in it, or not long before.
    """
    import pyarrow as pa

    schema = allocation_schema()
    found = pa.table({name: pa.array([], schema.field(name).type) for name in _SPAN})
    paths = [path for path in lake.files("job_index") if hour_of_path(path) < hours[-1] + HOUR_US]
    chunk = _FIRST_CHUNK
    with open_memory() as con:
        con.register("wanted", pa.table({"job_id": job_ids}))
        while paths and found.num_rows < len(job_ids):
            some, paths = paths[-chunk:], paths[:-chunk]
            chunk *= 2
            text = catalog.select_listed(TABLES["job_index"], [pattern(path) for path in some])
            con.execute(f"CREATE OR REPLACE TEMP VIEW job_index AS {text}")
            rows = con.sql(
                "SELECT job_id, start_us, end_us FROM job_index SEMI JOIN wanted USING (job_id) "
                "ORDER BY job_id"
            ).to_arrow_table()
            found = pa.concat_tables([found, rows.cast(found.schema)])
    blank = {field.name: pa.nulls(found.num_rows, field.type) for field in schema}
    return pa.table({**blank, **{name: found[name] for name in _SPAN}})


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
        "CREATE TEMP TABLE job_facts AS SELECT job_id, emulated, workload, "
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
