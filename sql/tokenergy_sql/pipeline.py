"""Segments to indices: runs the models in order and writes what they give.

In: `segment`, `tokens`, `state`, `jobs`, `device` of a lake, and the site's constants. Out:
`ledger`, `token_usage`, `job_hour_index` hour by hour, and `job_index` over all hours. Running it
again on the same inputs writes the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import cache, partial
from importlib import resources
from typing import TYPE_CHECKING, Any

from tokenergy_collectors import __version__, contract
from tokenergy_collectors.contract import HOUR_US
from tokenergy_collectors.lake import Lake, hour_of, partition
from tokenergy_sql import catalog
from tokenergy_sql.site import Site

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

ERROR_PPM = 50_000
"""Relative error of sensor and counter, both classes alike. Source: published comparisons of NVML
with external meters find about 5 % once the sensor's timing is taken care of (arXiv 2312.02741)."""

LIMIT_UNKNOWN_MW = 1_500_000
"""Upper bound of a board's power where no limit was recorded: above any board on the market."""

_UNREAD: dict[str, list[int]] = {name: [] for name in ("power", "host", "clock", "event")}
"""Raw tables that no model reads: their files need not be looked at."""

Progress = Callable[[str], None]


def index(
    lake: Lake, site: Site, hours: Iterable[int] | None = None, progress: Progress = print
) -> int:
    """Build the derived tables of some hours (all if None) and the jobs' index.

    Args:
        lake: the lake.
        site: the declared constants.
        hours: starts of the hours, microseconds UTC.
        progress: told of each hour before it is worked on.

    Returns:
        The number of jobs in the index.
    """
    usage = catalog.heal(lake, lambda: _token_usage(lake))
    wanted = set(usage["hour_us"].to_pylist()) if hours is None else set(hours)
    if hours is None:
        # Hours that were derived before and have lost their reason are emptied.
        for table in ("segment", "ledger", "ledger_hour", "token_usage", "job_hour_index"):
            wanted |= set(lake.hours(table))
    for hour in sorted(wanted):
        progress(partition(hour))
        catalog.heal(lake, partial(_index_hour, lake, site, hour, usage))
    return _index_jobs(lake, site)


def _token_usage(lake: Lake) -> pa.Table:
    with catalog.connect(lake, _UNREAD) as con:
        return run_model(con, "token_usage")


def _index_hour(lake: Lake, site: Site, hour: int, usage: pa.Table) -> None:
    import pyarrow.compute as pc

    near = [hour - HOUR_US, hour, hour + HOUR_US]
    scope = {"segment": [hour], "state": near, "tokens": near, "ledger": [hour], "ledger_hour": [hour], **_UNREAD}
    with catalog.connect(lake, scope) as con:
        _parameters(con, hour, inputs_digest(lake, hour, site))
        _declare(con, site)
        for model in ("job_activity", "sensor_class", "block", "edge", "part"):
            _build(con, model)
        ledger = run_model(con, "ledger")
        _write(lake, "ledger", ledger, hour)
        _store(con, "ledger", ledger)
        by_hour = run_model(con, "ledger_hour")
        _write(lake, "ledger_hour", by_hour, hour)
        _store(con, "ledger_hour", by_hour)
        _write(lake, "token_usage", usage.filter(pc.equal(usage["hour_us"], hour)), hour)
        _store(con, "token_usage", usage)
        _store(con, "job_facts", run_model(con, "job_facts"))
        _build(con, "burden")
        _store(con, "sums", run_model(con, "job_hour_sums"))
        _write(lake, "job_hour_index", run_model(con, "indices"), hour)


def _index_jobs(lake: Lake, site: Site) -> int:
    import pyarrow as pa

    with catalog.connect(lake, _UNREAD) as con:
        _parameters(con, 0, "")
        _declare(con, site)
        _store(con, "job_facts", run_model(con, "job_facts"))
        _store(con, "sums", run_model(con, "job_sums"))
        _store(con, "found", run_model(con, "indices"))
        rows = con.sql(
            "SELECT found.*, facts.* EXCLUDE (job_id, running, emulated) "
            "FROM found JOIN job_facts AS facts USING (job_id)"
        ).to_arrow_table()
    by_hour: dict[int, list[int]] = {}
    for place, start_us in enumerate(rows["start_us"].to_pylist()):
        by_hour.setdefault(hour_of(start_us), []).append(place)
    for hour in {*by_hour, *lake.hours("job_index")}:
        _write(lake, "job_index", rows.take(pa.array(by_hour.get(hour, []), pa.int64())), hour)
    return len(rows)


def run_model(con: duckdb.DuckDBPyConnection, name: str) -> pa.Table:
    """Run the model `models/NAME.sql` and return its rows."""
    return con.sql(model_text(name)).to_arrow_table()


@cache
def model_text(name: str) -> str:
    """Return the SQL of a model."""
    return resources.files("tokenergy_sql.models").joinpath(f"{name}.sql").read_text("utf-8")


@cache
def index_version() -> str:
    """Return the version of the models and the contract: the release and a digest of their text."""
    digest = hashlib.sha256()
    folder = resources.files("tokenergy_sql.models")
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".sql"):
            digest.update(entry.read_bytes())
    digest.update(repr(contract.TABLES).encode())
    return f"{__version__}+{digest.hexdigest()[:8]}"


def inputs_digest(lake: Lake, hour: int, site: Site) -> str:
    """Return a digest of what an hour's index is made from.

    Raw files are never rewritten, so their names stand for their contents; the current
    allocations and the site's constants are taken by value.
    """
    from tokenergy_collectors.allocations import allocations
    from tokenergy_collectors.lake import content_digest

    digest = hashlib.sha256(repr(site).encode())
    near = [hour - HOUR_US, hour, hour + HOUR_US]
    for table in ("power", "state", "tokens"):
        for path in lake.files(table, near):
            digest.update(f"{path.relative_to(lake.root)}\n".encode())
    for path in lake.files("segment", [hour]):
        digest.update(path.read_bytes())
    for path in lake.files("device"):
        digest.update(f"{path.relative_to(lake.root)}\n".encode())
    digest.update(content_digest(allocations(lake)).encode())
    return digest.hexdigest()


def _parameters(con: duckdb.DuckDBPyConnection, hour: int, digest: str) -> None:
    con.execute(
        "CREATE TEMP TABLE parameters AS SELECT $1::BIGINT AS hour_us, "
        "$2::VARCHAR AS inputs_digest, $3::VARCHAR AS index_version, "
        "$4::BIGINT AS error_ppm, $5::BIGINT AS limit_unknown_mw",
        [hour, digest, index_version(), ERROR_PPM, LIMIT_UNKNOWN_MW],
    )


def _declare(con: duckdb.DuckDBPyConnection, site: Site) -> None:
    con.execute("CREATE TEMP TABLE site AS SELECT $1::BIGINT AS pue_ppm", [site.pue_ppm])
    con.execute("CREATE TEMP TABLE site_node (node VARCHAR, host_mw BIGINT)")
    nodes = [row[0] for row in con.sql("SELECT DISTINCT node FROM device_now").fetchall()]
    declared: list[list[Any]] = [[node, site.host_of(node)] for node in nodes]
    if declared:
        con.executemany("INSERT INTO site_node VALUES ($1, $2)", declared)


def _build(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Keep a model's result for those after it inside DuckDB: Arrow has no 128-bit integers."""
    con.execute(f"CREATE TEMP TABLE {catalog.quoted(name)} AS {model_text(name)}")


def _store(con: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Give a model's result to those after it; a view of the lake by that name steps aside."""
    con.register("incoming", rows)
    con.execute(f"CREATE TEMP TABLE {catalog.quoted(name)} AS FROM incoming")
    con.unregister("incoming")


def _write(lake: Lake, table: str, rows: pa.Table, hour: int) -> None:
    """Write a derived file; remove it where nothing is left to say."""
    if rows.num_rows:
        lake.replace(table, rows, hour, table)
    else:
        lake.remove(table, hour, table)
