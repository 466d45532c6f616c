"""Tokens of all hours: what was counted, when it is known, and how much at any instant.

In: `tokens` and `jobs` of a lake. Out: `Usage`.

A few points of each hour are read (`tokenpoints.py`). From them the models `token_*.sql` derive the
same as from all readings:

    point -> counter -> seen -> reading (by process) -> step -> curve (`tokencurves.py`)
    -> doubt -> process -> turn -> value at edges -> usage
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_collectors.lake.contract import TOKENS
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.connecting import select_from
from tokenergy_sql.catalog.duck import open_memory
from tokenergy_sql.catalog.reading import is_unreadable
from tokenergy_sql.index.modelrun import run_model
from tokenergy_sql.index.models import model_text
from tokenergy_sql.index.tokencurves import build, build_curves, build_readings, build_steps
from tokenergy_sql.index.tokenpoints import CACHE_FOLDER, LARGEST_COUNT, POINT, points

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_KEPT = ("token_counter", "token_curve", "token_process")
OF_SEVERAL = {
    "token_doubt": "counter BIGINT, start_us BIGINT, from_us BIGINT, to_us BIGINT, less BIGINT, "
    "more BIGINT, rate DOUBLE",
    "token_turn": "counter BIGINT, from_us BIGINT, to_us BIGINT",
}
"""Models that have rows only where a counter has several starts, and their columns."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a lake.

    Attributes:
        rows: columns of `token_usage`, all hours.
        by_job: columns of `models/job_usage.sql`, one row a job.
        known: columns of `models/token_known.sql`: when the tokens of a job are known.
        of_jobs: columns of `models/token_job.sql`: bounds of jobs in several hours.
        curves: tables of the models that `at` needs, by name.
    """

    rows: pa.Table
    by_job: pa.Table
    known: pa.Table
    of_jobs: pa.Table
    curves: dict[str, pa.Table]

    @classmethod
    def of(
        cls,
        lake: Lake,
        progress: Callable[[str], None] = lambda _: None,
        held: pa.Table | None = None,
    ) -> Usage:
        """Return the tokens of a lake.

        Hours with the same token files and job edges as at an earlier call are read from the cache.

        Args:
            lake: the lake.
            progress: called with the name of each hour whose readings are read.
            held: `allocations(lake)`, if the caller has it.

        Raises:
            UserError: the cache cannot be written.
            duckdb.Error: a raw file is damaged inside; see `catalog.reading.heal`.
        """
        with open_memory() as con:
            _count(con, lake, progress, held)
            return cls._of(con)

    @classmethod
    def of_points(cls, con: duckdb.DuckDBPyConnection, text: str) -> Usage:
        """Return the tokens that points give.

        Args:
            con: has `token_span` and the macros of units.
            text: a statement that selects the points: see `models/token_point.sql`.
        """
        con.execute(f"CREATE OR REPLACE TEMP TABLE token_point AS {text}")
        _build_usage(con)
        return cls._of(con)

    @classmethod
    def _of(cls, con: duckdb.DuckDBPyConnection) -> Usage:
        rows = con.table("token_usage").to_arrow_table()
        by_job = run_model(con, "job_usage")
        known = run_model(con, "token_known")
        # The same rules over the whole time of a job: inner edges of hours do not count.
        con.execute(f"CREATE OR REPLACE TEMP TABLE token_hour AS {model_text('token_job_span')}")
        build(con, ("token_usage",))
        of_jobs = run_model(con, "token_job")
        curves = {name: con.table(name).to_arrow_table() for name in _KEPT}
        return cls(rows, by_job, known, of_jobs, curves)

    def of_hour(self, hour_us: int) -> pa.Table:
        """Return the rows of one hour."""
        import pyarrow.compute as pc

        return self.rows.filter(pc.equal(self.rows["hour_us"], hour_us))

    def of_hours(self, hours: Sequence[int]) -> pa.Table:
        """Return the rows of some hours."""
        import pyarrow as pa
        import pyarrow.compute as pc

        chosen = pa.array(hours, pa.int64())
        return self.rows.filter(pc.is_in(self.rows["hour_us"], value_set=chosen))

    def at(self, instants: pa.Table) -> pa.Table:
        """Return how many tokens jobs had counted at instants: columns of `models/token_at.sql`.

        Args:
            instants: job_id, node, at_us (us UTC).
        """
        with open_memory() as con:
            views.define(con, views.UNITS)
            for name, rows in self.curves.items():
                con.register(name, rows)
            con.register("token_instant", instants)
            con.execute(
                "CREATE TEMP TABLE token_cut AS SELECT DISTINCT counter, at_us AS edge_us "
                "FROM token_instant JOIN token_counter USING (job_id, node)"
            )
            build(con, ("token_value",))
            return run_model(con, "token_at")


def usage(
    lake: Lake, progress: Callable[[str], None] = lambda _: None, held: pa.Table | None = None
) -> pa.Table:
    """Return the tokens of each job, hour, model and kind: `Usage.rows`; see `Usage.of`."""
    with open_memory() as con:
        _count(con, lake, progress, held)
        return con.table("token_usage").to_arrow_table()


def _count(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    progress: Callable[[str], None],
    held: pa.Table | None,
) -> None:
    """Create `token_usage`, and the tables that it is made from, on a new connection."""
    import duckdb

    views.define(con, views.UNITS)
    con.register("allocation", allocations(lake) if held is None else held)
    con.execute(f"CREATE TEMP TABLE token_span AS {model_text('token_span')}")
    found = points(con, lake, progress)
    try:
        several = _build_thin(con, found)
    except duckdb.Error as error:
        if not is_unreadable(error):
            raise
        # A cached file is damaged: only those are read here. Make all of them again.
        shutil.rmtree(lake.root / CACHE_FOLDER)
        several = _build_thin(con, points(con, lake, progress))
    if several:
        _read_moved(con, lake)


def _build_thin(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> bool:
    """Create `token_usage` from files of points: as `_build_usage`."""
    there = frozenset(POINT.column_names)
    text = select_from(POINT, [(path, there) for path in files])
    # A view: reading a few columns of the files twice is faster than all of them once and for all.
    con.execute(f"CREATE OR REPLACE TEMP VIEW thin AS {text}")
    con.execute("CREATE OR REPLACE TEMP VIEW token_point AS FROM thin")
    return _build_usage(con)


def _read_moved(con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Create `token_usage` again where stamps move, from all readings of those nodes."""
    con.execute(
        "CREATE OR REPLACE TEMP TABLE moved_node AS SELECT DISTINCT node "
        "FROM token_moved JOIN token_counter USING (counter) WHERE off_us <> 0"
    )
    nodes = [node for (node,) in con.execute("FROM moved_node ORDER BY node").fetchall()]
    if nodes:
        files = [one for node in nodes for one in lake.valid_files("tokens", node=node)]
        con.execute(f"CREATE OR REPLACE TEMP VIEW tokens AS {select_from(TOKENS, files)}")
        con.execute(f"CREATE OR REPLACE TEMP TABLE most AS SELECT {LARGEST_COUNT} AS most")
        build(con, ("token_whole",))
        con.execute("CREATE OR REPLACE TEMP VIEW token_point AS FROM token_whole")
        _build_usage(con)


def _build_usage(con: duckdb.DuckDBPyConnection) -> bool:
    """Create `token_usage` from `token_point`; tell whether a counter has several starts."""
    build(con, ("token_counter", "token_seen"))
    several = build_readings(con)
    build_steps(con)
    build_curves(con)
    _build_where(con, "token_doubt", several)
    build(con, ("token_process",))
    _build_where(con, "token_turn", several)
    build(con, ("token_hour",))
    con.execute(
        "CREATE OR REPLACE TEMP TABLE token_cut AS "
        "SELECT counter, unnest([a_us, b_us]) AS edge_us FROM token_hour"
    )
    build(con, ("token_value", "token_usage"))
    return several


def _build_where(con: duckdb.DuckDBPyConnection, name: str, there: bool) -> None:
    """Create the table of a model of `OF_SEVERAL`; without rows, for none of planning's time."""
    if there:
        build(con, (name,))
    else:
        con.execute(f"CREATE OR REPLACE TEMP TABLE {name} ({OF_SEVERAL[name]})")
