"""Token usage of all hours, from a few points an hour instead of all readings of all time.

In: `tokens` and `jobs` of a lake. Out: the rows of `token_usage`.

Only a counter's values at edges matter: those of hours, and those of its job. So a few points of
each hour are enough (`models/token_point.sql` selects them), and `models/token_usage.sql` derives
from them the same rows as from all readings. The points of an hour are cached in
`<lake>/cache/tokens/date=.../hour=.../KEY.parquet`. The key is a digest of the names of the hour's
token files, which are never rewritten, of the job edges inside the hour and of the SQL. The folder
may be removed at any time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_collectors.lake.contract import TOKENS, Column, Table
from tokenergy_collectors.lake.paths import hour_of, hour_of_path, partition
from tokenergy_collectors.lake.writing import write_parquet
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.connecting import select_from
from tokenergy_sql.catalog.duck import open_memory
from tokenergy_sql.index.models import model_text

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

CACHE_FOLDER = "cache/tokens"
"""Folder of the cached points, relative to the lake."""

LARGEST_COUNT = 2**53
"""Largest plausible value of a counter: servers report counters as floating-point numbers."""

Edge = tuple[str, int | None, int | None]
"""A job_id, and the job's start and end if they are in the hour; microseconds UTC."""

_COUNTER = ("job_id", "source_id", "engine", "kind")

_POINT = Table(
    name="token_point",
    layer="derived",
    row="one point of one counter that token usage depends on",
    sort=(*_COUNTER, "ts_us"),
    time="ts_us",
    columns=(
        *(Column(name, "string", "as in tokens") for name in _COUNTER),
        Column("model", "string", "the last by name in the hour", nullable=True),
        Column("ts_us", "int64", "when it was read, or was known to be zero"),
        Column("value", "int64", "as in tokens, or zero"),
        Column("epoch", "int32", "as in tokens"),
        Column("since_us", "int64", "as in tokens", nullable=True),
        Column(
            "restarted", "bool", "restarted here; NULL: unknown from this hour alone", nullable=True
        ),
        Column("delta", "int64", "growth since the point before; NULL: as values say", True),
        Column("peak", "float64", "steepest growth in the hour behind it, tokens/s", nullable=True),
    ),
)

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Usage:
    """Token usage of a lake.

    Attributes:
        rows: columns of `token_usage`, all hours.
        by_job: columns of `models/job_usage.sql`, one row a job.
        known: columns of `models/token_known.sql`.
    """

    rows: pa.Table
    by_job: pa.Table
    known: pa.Table

    @classmethod
    def of(cls, rows: pa.Table) -> Usage:
        """Return the usage of a lake from the rows of `usage`."""
        with open_memory() as con:
            con.register("token_usage", rows)
            return cls(rows, con.sql(model_text("job_usage")).to_arrow_table(), known)

    def of_hour(self, hour_us: int) -> pa.Table:
        """Return the rows of one hour."""
        import pyarrow.compute as pc

        return self.rows.filter(pc.equal(self.rows["hour_us"], hour_us))


def usage(
    lake: Lake, progress: Callable[[str], None] = lambda _: None, held: pa.Table | None = None
) -> pa.Table:
    """Return the tokens of each job, hour, model and kind: columns of `token_usage`, all hours.

    Hours with the same token files and job edges as at an earlier call are read from the cache.

    Args:
        lake: the lake.
        progress: called with the name of each hour whose readings are read.
        held: `allocations(lake)`, if the caller has it.

    Raises:
        UserError: the cache cannot be written.
        duckdb.Error: a raw file is damaged inside; see `catalog.heal`.
    """
    import duckdb

    with open_memory() as con:
        views.define(con, views.UNITS)
        con.register("allocation", allocations(lake) if held is None else held)
        con.execute(f"CREATE TEMP TABLE token_span AS {model_text('token_span')}")
        points = _points(con, lake, progress)
        try:
            return _usage_of(con, points)
        except (duckdb.IOException, duckdb.InvalidInputException):
            # A cached file is damaged: only those are read here. Make all of them again.
            shutil.rmtree(lake.root / CACHE_FOLDER)
            return _usage_of(con, _points(con, lake, progress))


def known(lake: Lake, held: pa.Table) -> pa.Table:
    """Return when the counters of each source were read: columns of `models/token_known.sql`.

    Args:
        lake: the lake.
        held: `allocations(lake)`.
    """
    import duckdb

    with duckdb.connect() as con:
        views.define(con, views.UNITS)
        con.register("allocation", held)
        con.execute(f"CREATE TEMP TABLE token_span AS {model_text('token_span')}")
        return _run_on(con, "token_known", _points(con, lake, lambda _: None))


def _usage_of(con: duckdb.DuckDBPyConnection, points: Sequence[Path]) -> pa.Table:
    return _run_on(con, "token_usage", points)


def _run_on(con: duckdb.DuckDBPyConnection, model: str, points: Sequence[Path]) -> pa.Table:
    there = frozenset(_POINT.column_names)
    text = select_from(_POINT, [(path, there) for path in points])
    con.execute(f"CREATE OR REPLACE TEMP VIEW token_point AS {text}")
    return con.sql(model_text(model)).to_arrow_table()


def _points(
    con: duckdb.DuckDBPyConnection, lake: Lake, progress: Callable[[str], None]
) -> list[Path]:
    """Return the files of points, one for each hour with token readings; write missing ones."""
    edges = _edges_by_hour(con)
    by_hour: dict[int, list[Path]] = {}
    for path in lake.files("tokens"):
        by_hour.setdefault(hour_of_path(path), []).append(path)
    found = []
    for hour, files in sorted(by_hour.items()):
        inside = edges.get(hour, [])
        path = _cache_file(lake, hour, files, inside)
        if not path.exists():
            progress(f"tokens {partition(hour)}")
            path = _write_points(con, lake, hour, inside)
        found.append(path)
    return found


def _edges_by_hour(con: duckdb.DuckDBPyConnection) -> dict[int, list[Edge]]:
    """Return the edges of jobs by hour, sorted by job."""
    found: dict[int, list[Edge]] = {}
    spans = con.sql("SELECT job_id, job_start_us, job_end_us FROM token_span ORDER BY job_id")
    for job_id, *span in spans.fetchall():
        for hour in sorted({hour_of(at_us) for at_us in span if at_us is not None}):
            start_us, end_us = (
                at_us if at_us is not None and hour_of(at_us) == hour else None for at_us in span
            )
            found.setdefault(hour, []).append((job_id, start_us, end_us))
    return found


def _cache_file(lake: Lake, hour: int, files: Sequence[Path], edges: Sequence[Edge]) -> Path:
    """Return the file for the points of an hour."""
    units = [views.definition(name).sql for name in views.UNITS]  # the statement uses them
    how = [model_text("token_point"), units, repr(_POINT), LARGEST_COUNT]
    source = [[path.name for path in files], edges, *how]
    key = hashlib.sha256(json.dumps(source).encode()).hexdigest()[:32]
    return lake.root / CACHE_FOLDER / partition(hour) / f"{key}.parquet"


def _write_points(
    con: duckdb.DuckDBPyConnection, lake: Lake, hour: int, edges: Sequence[Edge]
) -> Path:
    """Write the points of an hour's readings; return the file."""
    import pyarrow as pa

    files = lake.valid_files("tokens", [hour])
    con.execute(f"CREATE OR REPLACE TEMP VIEW tokens AS {select_from(TOKENS, files)}")
    text = "CREATE OR REPLACE TEMP TABLE parameters AS SELECT $1::BIGINT AS hour_us, $2 AS most"
    con.execute(text, [hour, LARGEST_COUNT])
    schema = pa.schema([("job_id", pa.string()), ("start_us", pa.int64()), ("end_us", pa.int64())])
    inside = [dict(zip(schema.names, edge, strict=True)) for edge in edges]
    con.register("token_edge", pa.Table.from_pylist(inside, schema=schema))
    rows = con.sql(model_text("token_point")).to_arrow_table()
    _warn_of_ignored(con, hour)
    path = _cache_file(lake, hour, [path for path, _ in files], edges)
    write_parquet(rows.select(_POINT.column_names).cast(_POINT.schema()), path, _POINT)
    try:
        for older in path.parent.glob("*.parquet"):
            if older != path:
                older.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path.parent}: cannot be written: {error.strerror}") from None
    return path


def _warn_of_ignored(con: duckdb.DuckDBPyConnection, hour: int) -> None:
    """Warn of readings that are in the wrong hour's partition, or that no counter can have."""
    ((misplaced, implausible),) = con.sql(
        "SELECT count(*) FILTER (WHERE hour_of(ts_us) <> hour_us), "
        "count(*) FILTER (WHERE value NOT BETWEEN 0 AND most) FROM tokens, parameters"
    ).fetchall()
    if misplaced:
        what = "readings have timestamps of another hour, ignored"
        _LOG.warning("tokens %s: %d %s", partition(hour), misplaced, what)
    if implausible:
        what = f"readings are below 0 or above {LARGEST_COUNT}, ignored"
        _LOG.warning("tokens %s: %d %s", partition(hour), implausible, what)
