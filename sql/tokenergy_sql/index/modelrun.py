"""Runs models on a connection, and gives each the results of those before it.

In: a lake, its allocations, the site's constants. Out: a connection that has all that models read,
and the rows that a model returns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from tokenergy_collectors import __version__
from tokenergy_collectors.lake import Lake, contract
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog.duck import quoted
from tokenergy_sql.index import tokencurves
from tokenergy_sql.index.models import model_text

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from tokenergy_sql.index.site import Constants

LIMIT_UNKNOWN_MW = 1_500_000
"""Upper bound of a board's power where no limit was recorded: above any board on the market."""

_UNREAD_TABLES = (
    *("power", "host", "meter", "signal", "grid_event", "clock", "event", "jobs", "load_profile"),
    "load_spectrum",
    *("state", "tokens", "requests", "segment", "ledger", "node_hour", "phase_block", "phase_role"),
    *("job_index", "meter_hour", "site_hour", "site_part", "host_hour", "place_hour"),
    *("job_signal_hour", "load_swing", "load_span", "load_span_spectrum", "load_span_swing"),
    *("storage_study", "storage_sweep", "storage_course"),
)
"""Tables that no model reads, or only models of an hour."""

_SOURCES = (
    ("tokenergy_sql.index.models", ".sql"),
    ("tokenergy_sql.catalog.views", "units.sql"),
    ("tokenergy_sql.catalog.views", "clock_doubt.sql"),
    ("tokenergy_transforms.booking", ".py"),
    ("tokenergy_sql.metering", ".py"),
    ("tokenergy_sql.cooling", ".py"),
    ("tokenergy_sql.standing", ".py"),
    ("tokenergy_sql.places", ".py"),
    ("tokenergy_sql.signals", ".py"),
    ("tokenergy_sql.signals", ".sql"),
    ("tokenergy_collectors.lake", "signalcourse.py"),
    ("tokenergy_sql.hosting", ".py"),
    ("tokenergy_sql.hosting", ".sql"),
    ("tokenergy_transforms", "hostenergy.py"),
    ("tokenergy_collectors.lake", "hostdomains.py"),
)
"""Packages and endings of the files that decide what derived rows say."""


def connect(
    lake: Lake, held: pa.Table, hours: Mapping[str, list[int]] | None = None
) -> duckdb.DuckDBPyConnection:
    """Return a connection over the tables that models read.

    Args:
        lake: the lake.
        held: `allocations(lake)`.
        hours: of these tables, only these hours.
    """
    unread = {*_UNREAD_TABLES}.difference(hours or ())
    return catalog.connect(lake, hours, allocation=held, without=unread)


def create_parameters(con: duckdb.DuckDBPyConnection, hour_us: int, digest: str) -> None:
    """Create the table `parameters`: the hour, the digest of its inputs, constants."""
    con.execute(
        "CREATE TEMP TABLE parameters AS SELECT $1::BIGINT AS hour_us, "
        "$2::VARCHAR AS inputs_digest, $3::VARCHAR AS index_version, "
        "$4::BIGINT AS limit_unknown_mw",
        [hour_us, digest, index_version(), LIMIT_UNKNOWN_MW],
    )


def create_site(con: duckdb.DuckDBPyConnection, constants: Constants) -> None:
    """Create the tables of an hour's constants: `site`, `site_node`, `slo`."""
    con.execute(
        "CREATE TEMP TABLE site AS SELECT $1::BIGINT AS pue_ppm, $2::BIGINT AS host_mw",
        [constants.pue_ppm, constants.host_mw],
    )
    con.execute("CREATE TEMP TABLE site_node (node VARCHAR, host_mw BIGINT)")
    # A node that no collector saw has a host too: jobs may claim its boards.
    known = "SELECT node FROM device UNION SELECT node FROM allocation ORDER BY node"
    nodes = [node for (node,) in con.execute(known).fetchall()]
    if hosts := constants.of_nodes(nodes):
        con.executemany("INSERT INTO site_node VALUES ($1, $2)", [*hosts.items()])
    con.execute("CREATE TEMP TABLE slo (model VARCHAR, kind VARCHAR, limit_us BIGINT)")
    if limits := [(m, *one) for m, of in constants.slo.items() for one in of.items()]:
        con.executemany("INSERT INTO slo VALUES ($1, $2, $3)", limits)


def run_model(con: duckdb.DuckDBPyConnection, name: str) -> pa.Table:
    """Run the model `models/NAME.sql` and return its rows."""
    # A relation of the statement itself would be parsed and bound three times.
    build_model(con, name, "answer")
    rows = con.table("answer").to_arrow_table()
    con.execute("DROP TABLE answer")
    return rows


def build_model(con: duckdb.DuckDBPyConnection, name: str, table: str | None = None) -> None:
    """Keep a model's rows as a table inside DuckDB: Arrow has no 128-bit integers.

    Args:
        con: where the model's inputs are.
        name: of the model.
        table: name of the table; that of the model if None.
    """
    con.execute(f"CREATE TEMP TABLE {quoted(table or name)} AS {model_text(name)}")


def store_rows(con: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Make a table of rows; it hides a view of the lake by that name."""
    con.register("incoming", rows)
    con.execute(f"CREATE TEMP TABLE {quoted(name)} AS FROM incoming")
    con.unregister("incoming")


def build_pages(con: duckdb.DuckDBPyConnection) -> None:
    """Create `token_page` and `token_name`: readings around an hour. See `token_near.sql`.

    Args:
        con: has `tokens` of the hour and the two beside it, and `parameters`.
    """
    build_model(con, "token_page", "page")
    # Names are most of the bytes of a reading: they are kept once a counter.
    con.execute(
        "CREATE TEMP TABLE token_name AS SELECT job_id, node, source_id, model, engine, "
        "kind, metric, series, counter, bool_or(of_role) AS of_role FROM page GROUP BY ALL"
    )
    con.execute(
        "CREATE TEMP TABLE token_page AS "
        "SELECT counter, run, ts_us, value, since_us, quantum FROM page"
    )
    con.execute("DROP TABLE page")


def build_activity(con: duckdb.DuckDBPyConnection) -> None:
    """Create `job_activity`: when the token counters of jobs moved in an hour.

    Args:
        con: has what `build_pages` creates, `allocation` and `parameters`.
    """
    con.execute(f"CREATE TEMP TABLE token_seen AS {model_text('job_token')}")
    tokencurves.build_readings(con)
    build_model(con, "token_span")
    build_model(con, "job_activity")
    # What follows needs the memory; `build_growth` makes tables of these names of its own.
    for name in ("token_seen", "token_reading"):
        con.execute(f"DROP TABLE {name}")


def build_growth(con: duckdb.DuckDBPyConnection, readings: str) -> None:
    """Create `token_growth`: what token counters added between readings.

    Args:
        con: has `allocation`.
        readings: a statement that selects the readings: columns as in `models/token_near.sql`.
    """
    con.execute(f"CREATE TEMP TABLE token_point AS {readings}")
    tokencurves.build(con, ("token_span", "token_counter", "token_seen"))
    tokencurves.build_readings(con)
    tokencurves.build_steps(con)
    build_model(con, "token_growth")


def build_sums(con: duckdb.DuckDBPyConnection, *, told: bool) -> None:
    """Create `sums`: the exact sums of each job in an hour, with those of its requests.

    Args:
        con: has what the models read.
        told: see `build_requests`.
    """
    build_requests(con, told=told)
    store_rows(con, "joint_sums", run_model(con, "joint_hour"))
    con.execute(
        "CREATE TEMP TABLE sums AS SELECT s.*, r.* EXCLUDE (job_id) "
        "FROM joint_sums AS s LEFT JOIN job_requests AS r USING (job_id)"
    )


def build_requests(con: duckdb.DuckDBPyConnection, *, told: bool) -> None:
    """Create `job_requests`: the requests of each job in an hour, and those within the SLO.

    Args:
        con: has what `models/request_step.sql` and `models/job_requests.sql` read.
        told: whether a server told any around the hour. If none did, the table is empty, and no
            model is planned for it.
    """
    if told:
        build_model(con, "request_step")
        build_model(con, "job_requests")
        return
    types = {"string": "VARCHAR", "int64": "BIGINT"}
    names = {column.name: types[column.type] for column in contract.REQUEST_SUMS}
    columns = {"job_id": "VARCHAR", **names, "slo": "VARCHAR", "slo_method": "VARCHAR"}
    text = ", ".join(f"{quoted(name)} {type_}" for name, type_ in columns.items())
    con.execute(f"CREATE TEMP TABLE job_requests ({text})")


@cache
def index_version() -> str:
    """Return the version of the models and the contract: the release and a digest of their text."""
    digest = hashlib.sha256()
    for package, ending in _SOURCES:
        for entry in sorted(resources.files(package).iterdir(), key=lambda e: e.name):
            if entry.name.endswith(ending):
                digest.update(entry.read_bytes())
    digest.update(repr(contract.TABLES).encode())
    return f"{__version__}+{digest.hexdigest()[:8]}"
