"""Token usage of all hours, from a few points an hour instead of all readings of all time.

In: `tokens` and `jobs` of a lake. Out: the rows of `token_usage`.

What is asked of a counter is its value at edges: of hours, and of its job. So of each hour a few
points are enough (`models/token_point.sql` says which), and `models/token_usage.sql` puts them
together to the very rows that all readings give. The points of an hour are kept in
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
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_collectors.lake.contract import TOKENS, Column, Table
from tokenergy_collectors.lake.paths import hour_of, hour_of_path, partition
from tokenergy_collectors.lake.writing import write_parquet
from tokenergy_sql.catalog.connecting import select_from
from tokenergy_sql.index.models import model_text

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

CACHE = "cache/tokens"
"""Folder of the points, below the lake's root."""

MOST = 2**53
"""Largest value of a counter that is taken for one: servers tell them as floating-point numbers."""

Edge = tuple[str, int | None, int | None]
"""Of one job, by job_id: the start and the end, where they lie in the hour; microseconds UTC."""

_COUNTER = ("job_id", "source_id", "engine", "kind")

_POINT = Table(
    name="token_point",
    layer="derived",
    row="one point of one counter that the usage of its hours depends on",
    sort=(*_COUNTER, "ts_us"),
    time="ts_us",
    columns=(
        *(Column(name, "string", "as in tokens") for name in _COUNTER),
        Column("model", "string", "the last by name in the hour", nullable=True),
        Column("ts_us", "int64", "when it was read, or was known to stand at zero"),
        Column("value", "int64", "as in tokens, or zero"),
        Column("epoch", "int32", "as in tokens"),
        Column("since_us", "int64", "as in tokens", nullable=True),
        Column("anew", "bool", "began anew here; NULL: the hour does not tell", nullable=True),
        Column("delta", "int64", "growth since the point before; NULL: as values say", True),
        Column("peak", "float64", "steepest growth in the hour behind it, tokens/s", nullable=True),
    ),
)

_LOG = logging.getLogger(__name__)


def usage(
    lake: Lake, told: Callable[[str], None] = lambda _: None, held: pa.Table | None = None
) -> pa.Table:
    """Return the tokens of each job, hour, model and kind: columns of `token_usage`, all hours.

    Hours whose token files and job edges are those of an earlier call are not read again.

    Args:
        lake: the lake.
        told: called with the name of each hour that is read.
        held: `allocations(lake)`, where it has been made already.

    Raises:
        UserError: the cache cannot be written.
        duckdb.Error: a raw file is damaged inside; see `catalog.heal`.
    """
    import duckdb

    with duckdb.connect() as con:
        con.register("allocation", allocations(lake) if held is None else held)
        con.execute(f"CREATE TEMP TABLE token_span AS {model_text('token_span')}")
        points = _points(con, lake, told)
        try:
            return _put_together(con, points)
        except (duckdb.IOException, duckdb.InvalidInputException):
            # What was kept is damaged; raw files are not read here.
            shutil.rmtree(lake.root / CACHE)
            return _put_together(con, _points(con, lake, told))


def _put_together(con: duckdb.DuckDBPyConnection, points: Sequence[Path]) -> pa.Table:
    there = frozenset(_POINT.column_names)
    text = select_from(_POINT, [(path, there) for path in points])
    con.execute(f"CREATE OR REPLACE TEMP VIEW token_point AS {text}")
    return con.sql(model_text("token_usage")).to_arrow_table()


def _points(con: duckdb.DuckDBPyConnection, lake: Lake, told: Callable[[str], None]) -> list[Path]:
    """Return the files of points, one an hour with token readings; make those that are missing."""
    edges = _edges(con)
    by_hour: dict[int, list[Path]] = {}
    for path in lake.files("tokens"):
        by_hour.setdefault(hour_of_path(path), []).append(path)
    found = []
    for hour, files in sorted(by_hour.items()):
        inside = edges.get(hour, [])
        path = _place(lake, hour, files, inside)
        if not path.exists():
            told(f"tokens {partition(hour)}")
            path = _make(con, lake, hour, inside)
        found.append(path)
    return found


def _edges(con: duckdb.DuckDBPyConnection) -> dict[int, list[Edge]]:
    """Return the edges of jobs by the hour in which they lie, sorted by job."""
    found: dict[int, list[Edge]] = {}
    spans = con.sql("SELECT job_id, job_start_us, job_end_us FROM token_span ORDER BY job_id")
    for job_id, *span in spans.fetchall():
        for hour in sorted({hour_of(at_us) for at_us in span if at_us is not None}):
            start_us, end_us = (
                at_us if at_us is not None and hour_of(at_us) == hour else None for at_us in span
            )
            found.setdefault(hour, []).append((job_id, start_us, end_us))
    return found


def _place(lake: Lake, hour: int, files: Sequence[Path], edges: Sequence[Edge]) -> Path:
    """Return where the points of an hour belong."""
    how = [model_text("token_point"), repr(_POINT), MOST]
    source = [[path.name for path in files], edges, *how]
    key = hashlib.sha256(json.dumps(source).encode()).hexdigest()[:32]
    return lake.root / CACHE / partition(hour) / f"{key}.parquet"


def _make(con: duckdb.DuckDBPyConnection, lake: Lake, hour: int, edges: Sequence[Edge]) -> Path:
    """Write the points of an hour from its readings; return the file."""
    import pyarrow as pa

    files = lake.valid_files("tokens", [hour])
    con.execute(f"CREATE OR REPLACE TEMP VIEW tokens AS {select_from(TOKENS, files)}")
    text = "CREATE OR REPLACE TEMP TABLE parameters AS SELECT $1::BIGINT AS hour_us, $2 AS most"
    con.execute(text, [hour, MOST])
    schema = pa.schema([("job_id", pa.string()), ("start_us", pa.int64()), ("end_us", pa.int64())])
    inside = [dict(zip(schema.names, edge, strict=True)) for edge in edges]
    con.register("token_edge", pa.Table.from_pylist(inside, schema=schema))
    rows = con.sql(model_text("token_point")).to_arrow_table()
    _warn_of_strays(con, hour)
    path = _place(lake, hour, [path for path, _ in files], edges)
    write_parquet(rows.select(_POINT.column_names).cast(_POINT.schema()), path, _POINT)
    try:
        for older in path.parent.glob("*.parquet"):
            if older != path:
                older.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path.parent}: cannot be written: {error.strerror}") from None
    return path


def _warn_of_strays(con: duckdb.DuckDBPyConnection, hour: int) -> None:
    """Say so where files hold readings that belong to another hour's partition, or cannot be."""
    ((strays, absurd),) = con.sql(
        "SELECT count(*) FILTER (WHERE ts_us - ts_us % 3600000000 <> hour_us), "
        "count(*) FILTER (WHERE value NOT BETWEEN 0 AND most) FROM tokens, parameters"
    ).fetchall()
    if strays:
        what = "readings have stamps of another hour; left out"
        _LOG.warning("tokens %s: %d %s", partition(hour), strays, what)
    if absurd:
        what = f"readings are below 0 or above {MOST}; left out"
        _LOG.warning("tokens %s: %d %s", partition(hour), absurd, what)
