"""Connections for checks: the tables of the lake, as far as the checks look, and views they share.

In: a lake, and what is to be checked. Out: a DuckDB connection that has what the checks' `In:`
lists, besides tables:

checked_hour    the hours that are checked; of everything, none
checked_time    the same as times, from_us to to_us; of everything, all time
removed_hour    nodes and hours of which readings were removed after they were booked
power_file      readings of power, each with the file that it is in
most_power, stray_spell    see `shared/`
board_span, odd_board    see `shared/`
odd_segment    the segments of the odd boards, perhaps of others too
board_reading, file_span, board_edge    see `hourreadings.py`
booked_run, known_limit, run_edge, unread_time    see `shared/`
doubtful_power  the readings of power of boards of which these tables leave something open, perhaps
                of others too
job_energy      energy of jobs, as the ledger has it
shared_board    boards that more than one job ever held
counted_job     from when to when tokens of a job were counted
recounted_job   jobs whose tokens are to be recounted
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import EVENT, POWER, TABLES
from tokenergy_collectors.lake.paths import node_of
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.duck import literal, pattern
from tokenergy_sql.catalog.sqlfile import read_sql
from tokenergy_sql.checks import lookback
from tokenergy_sql.checks.hourreadings import Readings
from tokenergy_sql.checks.touched import Touched

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_SHARED = "tokenergy_sql.checks.shared"
_TOUCHED = ("touched_job_energy", "touched_counted_job")
_OF_SPAN = ("ledger_hour", "token_usage")
_OF_RUNS = ("booked_run", "known_limit", "run_edge", "unread_time")
_NODES_OF = """
SELECT node FROM device WHERE device_id = ANY($1)
UNION
SELECT node FROM ledger WHERE device_id = ANY($1)
"""
_LONG = 1_000
"""Hours of a job, above which those books are read whole."""

_MOST_NAMED = 200
"""Boards whose segments are looked at one by one; if there are more, so are those of all boards."""

_ALL_TIME = [-(2**62), 2**62]

Removed = Sequence[tuple[int, str, bool, str]]
"""Rows of `removed_hour`: hour_us, node, own, waiting."""


def everything(lake: Lake, held: pa.Table) -> duckdb.DuckDBPyConnection:
    """Return a connection for checks of everything.

    The files of all tables are validated on the way.

    Args:
        lake: the lake.
        held: `allocations(lake)`.
    """
    con = catalog.connect(lake, allocation=held)
    _create_hours(con, [])
    con.execute("INSERT INTO checked_time VALUES ($1, $2)", _ALL_TIME)
    con.execute(
        "CREATE TEMP VIEW job_energy AS "
        "SELECT job_id, energy_nj FROM ledger WHERE job_id IS NOT NULL"
    )
    con.execute(
        "CREATE TEMP TABLE shared_board AS "
        "SELECT device_id FROM allocation GROUP BY device_id HAVING count(DISTINCT job_id) > 1"
    )
    con.execute(
        "CREATE TEMP VIEW counted_job AS SELECT job_id, coalesce(cluster, '') AS cluster, "
        "min(ts_us) AS first_us, max(ts_us) AS last_us FROM tokens GROUP BY ALL"
    )
    con.execute("CREATE TEMP TABLE recounted_job AS SELECT DISTINCT job_id FROM token_usage")
    return con


def of_touched(
    lake: Lake, found: Touched, device: pa.Table, texts: Iterable[str]
) -> duckdb.DuckDBPyConnection:
    """Return a connection for checks of what some hours touched.

    Args:
        lake: the lake.
        found: what they touched.
        device: rows of `device`; those that say nothing new may be missing.
        texts: of the checks that will run.
    """
    given = {"jobs": found.listed, "job_index": found.index, "device": device}
    # The rows of other jobs are passed over: of a long time, files of whole days may be fewer.
    span = {name: found.span for name in _OF_SPAN if len(found.span) < _LONG}
    scope = {
        **span,
        "ledger": found.hours,
        "tokens": found.recounted,
        # From when to when the lake has segments.
        "segment": lookback.edges(lake, "segment"),
        "quarantined": [],
    }
    named = _named((*texts, *(read_sql(_SHARED, name) for name in _TOUCHED)))
    clocks = lookback.clock_files(lake, found.hours) if "clock" in named else []
    con = _connect(lake, scope, named - {"clock"}, given, found.allocation)
    _create_hours(con, found.hours)
    con.execute(
        "INSERT INTO checked_time SELECT hour_us, hour_us + us_per_hour() FROM checked_hour"
    )
    for name, rows in (("shared_board", found.shared_board), ("counted_now", found.counted)):
        con.register(name, rows)
    for name, jobs in (("touched_job", found.jobs), ("recounted_job", found.doubtful)):
        con.execute(
            f"CREATE TEMP TABLE {name} AS SELECT unnest($1::VARCHAR[]) AS job_id", [sorted(jobs)]
        )
    con.execute(
        "CREATE TEMP VIEW token_usage AS FROM memory.main.token_usage "
        "SEMI JOIN touched_job USING (job_id)"
    )
    for name in _TOUCHED:
        view = name.removeprefix("touched_")
        con.execute(f"CREATE TEMP VIEW {view} AS {read_sql(_SHARED, name)}")
    if "clock" in named:
        text = catalog.select_from(TABLES["clock"], clocks)
        con.execute(f"CREATE TEMP VIEW clock AS {text}")
        views.define(con, ("clock_doubt",))
    return con


def of_hour(
    lake: Lake,
    scope: Mapping[str, Sequence[int]],
    held: pa.Table,
    device: pa.Table,
    texts: Iterable[str],
    readings: Readings,
) -> duckdb.DuckDBPyConnection:
    """Return a connection for checks of an hour; it still lacks `removed_hour` and `stray_spell`.

    Args:
        lake: the lake.
        scope: the hours of each table; those of `segment` are checked.
        held: `allocations(lake)`, at least of the jobs that the hours touched.
        device: rows of `device`; those that say nothing new may be missing.
        texts: of the checks that will run.
        readings: of all hours of the run.
    """
    con = _connect(
        lake, scope, _named(texts) | {"power", "segment", "ledger"}, {"device": device}, held
    )
    _create_hours(con, scope["segment"])
    con.execute(f"CREATE TEMP VIEW most_power AS {read_sql(_SHARED, 'most_power')}")
    words = {word for text in texts for word in text.replace(",", " ").split()}
    if words & {"board_span", "odd_board", "odd_segment"}:
        _create_spans(con)
    if words & {"board_reading", "file_span", "doubtful_power", *_OF_RUNS}:
        for name, rows in readings.tables(scope["segment"]).items():
            con.register("incoming", rows)
            con.execute(f"CREATE TABLE {name} AS FROM incoming")
            con.unregister("incoming")
    if words & {"doubtful_power", *_OF_RUNS}:
        for name in _OF_RUNS:
            con.execute(f"CREATE TABLE {name} AS {read_sql(_SHARED, name)}")
        _create_doubtful_power(con, lake, scope["power"])
    _create_power_file(con, lake, scope["segment"])
    return con


def _create_doubtful_power(
    con: duckdb.DuckDBPyConnection, lake: Lake, hours: Sequence[int]
) -> None:
    """Create `doubtful_power`: of a large fleet, a few nodes' files instead of all."""
    boards = [device for (device,) in con.execute(read_sql(_SHARED, "doubtful_board")).fetchall()]
    nodes = {node for (node,) in con.execute(_NODES_OF, [boards]).fetchall()}
    spans = con.execute("SELECT file FROM file_span WHERE device_id = ANY($1)", [boards])
    theirs = {file for (file,) in spans.fetchall()}
    # Of a node of which nothing says which boards it has, all is read.
    told = {node for (node,) in con.execute("SELECT DISTINCT node FROM device").fetchall()}
    known = lake.valid_files("power", hours) if boards else []
    nodes |= {node_of(path) for path, _ in known if path.name in theirs}
    files = [
        (path, names)
        for path, names in known
        if (node := node_of(path)) in nodes or node not in told
    ]
    con.execute(f"CREATE VIEW doubtful_power AS {catalog.select_from(POWER, files)}")


def _create_spans(con: duckdb.DuckDBPyConnection) -> None:
    """Create `board_span`, `odd_board` and `odd_segment`."""
    for name in ("board_span", "odd_board"):
        con.execute(f"CREATE TABLE {name} AS {read_sql(_SHARED, name)}")
    odd = [device for (device,) in con.execute("FROM odd_board").fetchall()]
    # A join would read all segments to find that none is wanted.
    some = f"device_id IN ({', '.join(map(literal, odd))})" if odd else "false"
    where = some if len(odd) <= _MOST_NAMED else "true"
    con.execute(f"CREATE VIEW odd_segment AS FROM segment WHERE {where}")


def add_removed(con: duckdb.DuckDBPyConnection, gone: Removed) -> None:
    """Create `removed_hour`."""
    con.execute(
        "CREATE TEMP TABLE removed_hour "
        "(hour_us BIGINT, node VARCHAR, own BOOLEAN, waiting VARCHAR)"
    )
    if gone:
        con.executemany("INSERT INTO removed_hour VALUES ($1, $2, $3, $4)", gone)


def stray_spells(lake: Lake, device: pa.Table) -> pa.Table:
    """Return `stray_spell` of all time."""
    return _spells(lake, lake.valid_files("event"), device)


def stray_spells_of(
    lake: Lake, con: duckdb.DuckDBPyConnection, hours: Sequence[int], device: pa.Table
) -> pa.Table:
    """Return `stray_spell` as far as it matters in some hours.

    Args:
        lake: the lake.
        con: has the ledger of the hours.
        hours: starts of the hours.
        device: rows of `device`; those that say nothing new may be missing.
    """
    rows = con.execute("SELECT DISTINCT node FROM ledger WHERE account = 'unattributed'").fetchall()
    files = lookback.event_files(lake, hours, [node for (node,) in rows])
    return _spells(lake, files, device)


def _spells(lake: Lake, files: lookback.Files, device: pa.Table) -> pa.Table:
    with _connect(lake, {"quarantined": []}, frozenset(), {"device": device}, None) as con:
        con.execute(f"CREATE TEMP VIEW event AS {catalog.select_from(EVENT, files)}")
        return con.sql(read_sql(_SHARED, "stray_spell")).to_arrow_table()


def _named(texts: Iterable[str]) -> frozenset[str]:
    """Return the tables that SQL reads, as the `In:` of each text says.

    A word in a statement may be the name of a table and of a column.
    """
    found = set[str]()
    for text in texts:
        head = takewhile(lambda line: line.startswith("--"), text.splitlines())
        found.update(views.inputs(" ".join(line.removeprefix("--") for line in head)))
    for name in found.intersection(views.OWN):
        found.update(views.definition(name).sources)
    return frozenset(found & {*TABLES})


def _connect(
    lake: Lake,
    scope: Mapping[str, Sequence[int]],
    named: frozenset[str],
    given: Mapping[str, pa.Table],
    held: pa.Table | None,
) -> duckdb.DuckDBPyConnection:
    """Return a connection that has no other tables than those named or given."""
    return catalog.connect(
        lake,
        scope,
        named=named,
        allocation=held,
        without={*TABLES}.difference(named, given),
        given=given,
    )


def _create_hours(con: duckdb.DuckDBPyConnection, hours: Sequence[int]) -> None:
    con.execute("CREATE TEMP TABLE checked_hour AS SELECT unnest($1::BIGINT[]) AS hour_us", [hours])
    con.execute("CREATE TEMP TABLE checked_time (from_us BIGINT, to_us BIGINT)")


def _create_power_file(con: duckdb.DuckDBPyConnection, lake: Lake, hours: Sequence[int]) -> None:
    """Create `power_file`: the readings of some hours, each with the file that it is in."""
    columns = "parse_filename(filename) AS file, device_id, ts_us, power_mw"
    files = lake.valid_files("power", hours)
    paths = ", ".join(literal(pattern(path)) for path, names in files if "power_mw" in names)
    if not paths:
        columns = "NULL::VARCHAR AS file, device_id, ts_us, power_mw"
    source = f"read_parquet([{paths}], hive_partitioning = false, filename = true)"
    con.execute(
        f"CREATE TEMP VIEW power_file AS SELECT {columns} "  # noqa: S608 - paths are escaped
        f"FROM {source if paths else 'power WHERE false'} "
        f"{'WHERE power_mw IS NOT NULL' if paths else ''}"
    )
