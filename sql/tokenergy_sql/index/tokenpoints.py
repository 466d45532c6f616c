"""The few points of each hour that token usage depends on, kept in a cache.

In: `tokens` of a lake, edges of jobs, hours. Out: files of points, one an hour.

Only a counter's values at edges matter: those of hours, and those of its job. So a few points of
each hour are enough (`models/token_point.sql` selects them). The points of an hour are cached in
`<lake>/cache/tokens/date=.../hour=.../KEY.parquet`. The key is a digest of the names of the hour's
token files, which are never rewritten, of the job edges inside the hour and of the SQL. The folder
may be removed at any time.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TOKENS, Column, Table
from tokenergy_collectors.lake.paths import hour_of, partition
from tokenergy_collectors.lake.writing import write_parquet
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.connecting import select_from
from tokenergy_sql.index.modelrun import run_model
from tokenergy_sql.index.models import model_text

if TYPE_CHECKING:
    import duckdb

CACHE_FOLDER = "cache/tokens"
"""Folder of the cached points, relative to the lake."""

LARGEST_COUNT = 2**53
"""Largest plausible value of a counter: servers report counters as floating-point numbers."""

Edge = tuple[str, int | None, int | None]
"""A job_id, and the job's start and end if they are in the hour; microseconds UTC."""

COUNTER = ("job_id", "node", "source_id", "model", "engine", "kind", "metric", "series")
"""What a counter is: one series of one source, under these names."""

POINT = Table(
    name="token_point",
    layer="derived",
    row="one point of one counter that token usage depends on",
    sort=(*COUNTER, "ts_us"),
    time="ts_us",
    columns=(
        *(
            Column(name, "string", "as in tokens", nullable=name in ("model", "metric", "series"))
            for name in COUNTER
        ),
        Column("ts_us", "int64", "when it was read"),
        Column("value", "int64", "as in tokens"),
        Column("since_us", "int64", "as in tokens", nullable=True),
        Column("run", "int32", "as in tokens; 0: unknown"),
        Column("quantum", "int64", "as in tokens"),
        Column("skipped", "bool", "points were left out before it"),
        Column(
            "peak", "float64", "steepest growth beside points left out, tokens/s", nullable=True
        ),
    ),
)

_LOG = logging.getLogger(__name__)


def points(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    hours: Iterable[int],
    progress: Callable[[str], None],
) -> list[Path]:
    """Return the files of points, one an hour, in order; write missing ones.

    Args:
        con: has `token_span` and the macros of units.
        lake: the lake.
        hours: starts of hours with token readings, microseconds UTC.
        progress: called with the name of each hour whose readings are read.

    Raises:
        UserError: the cache cannot be written.
        duckdb.Error: a raw file is damaged inside; see `catalog.reading.heal`.
    """
    chosen = sorted(hours)
    edges = _edges_by_hour(con, chosen)
    found = []
    for hour in chosen:
        inside = edges.get(hour, [])
        path = _cache_file(lake, hour, _sources(lake, hour), inside)
        if not path.exists():
            progress(f"tokens {partition(hour)}")
            path = _write_points(con, lake, hour, inside)
        found.append(path)
    return found


def _edges_by_hour(con: duckdb.DuckDBPyConnection, hours: Sequence[int]) -> dict[int, list[Edge]]:
    """Return the edges of jobs in some hours, by hour, sorted by job."""
    found: dict[int, list[Edge]] = {hour: [] for hour in hours}
    spans = con.execute(
        "SELECT job_id, job_start_us, job_end_us FROM token_span "
        "WHERE hour_of(job_start_us) = ANY($1) OR hour_of(job_end_us) = ANY($1) ORDER BY job_id",
        [[*hours]],
    )
    for job_id, *span in spans.fetchall():
        for hour in sorted({hour_of(at_us) for at_us in span if at_us is not None}):
            start_us, end_us = (
                at_us if at_us is not None and hour_of(at_us) == hour else None for at_us in span
            )
            if hour in found:
                found[hour].append((job_id, start_us, end_us))
    return found


def _sources(lake: Lake, hour: int) -> list[str]:
    """Return the names of the files that the readings of an hour came in."""
    return [path.name for path in lake.sources("tokens", [hour])]


def _cache_file(lake: Lake, hour: int, sources: Sequence[str], edges: Sequence[Edge]) -> Path:
    """Return the file for the points of an hour."""
    key = hashlib.sha256(json.dumps([sources, edges, _how()]).encode()).hexdigest()[:32]
    return lake.root / CACHE_FOLDER / partition(hour) / f"{key}.parquet"


@cache
def _how() -> str:
    """Return a digest of what points depend on besides files and edges."""
    units = [views.definition(name).sql for name in views.UNITS]  # the statement uses them
    how = [model_text("token_point"), units, repr(POINT), LARGEST_COUNT]
    return hashlib.sha256(json.dumps(how).encode()).hexdigest()


def _write_points(
    con: duckdb.DuckDBPyConnection, lake: Lake, hour: int, edges: Sequence[Edge]
) -> Path:
    """Write the points of an hour's readings; return the file."""
    import pyarrow as pa

    before = _sources(lake, hour)
    files = lake.valid_files("tokens", [hour])
    con.execute(f"CREATE OR REPLACE TEMP VIEW tokens AS {select_from(TOKENS, files)}")
    text = "CREATE OR REPLACE TEMP TABLE parameters AS SELECT $1::BIGINT AS hour_us, $2 AS most"
    con.execute(text, [hour, LARGEST_COUNT])
    schema = pa.schema([("job_id", pa.string()), ("start_us", pa.int64()), ("end_us", pa.int64())])
    inside = [dict(zip(schema.names, edge, strict=True)) for edge in edges]
    con.register("token_edge", pa.Table.from_pylist(inside, schema=schema))
    rows = run_model(con, "token_point")
    _warn_of_ignored(con, hour)
    # Some may be in quarantine now; one that has just come is not known to have been read.
    after = {*_sources(lake, hour)}
    path = _cache_file(lake, hour, [name for name in before if name in after], edges)
    write_parquet(rows.select(POINT.column_names).cast(POINT.schema()), path, POINT)
    try:
        for older in path.parent.glob("*.parquet"):
            if older != path:
                older.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path.parent}: cannot be written: {error.strerror}") from None
    return path


def _warn_of_ignored(con: duckdb.DuckDBPyConnection, hour: int) -> None:
    """Warn of readings that are in the wrong hour's partition, or that no counter can have."""
    ((misplaced, implausible),) = con.execute(
        "SELECT count(*) FILTER (WHERE hour_of(ts_us) <> hour_us), "
        "count(*) FILTER (WHERE value NOT BETWEEN 0 AND most) FROM tokens, parameters"
    ).fetchall()
    if misplaced:
        what = "readings have timestamps of another hour, ignored"
        _LOG.warning("tokens %s: %d %s", partition(hour), misplaced, what)
    if implausible:
        what = f"readings are below 0 or above {LARGEST_COUNT}, ignored"
        _LOG.warning("tokens %s: %d %s", partition(hour), implausible, what)
