"""From points of token counters to token usage, on a connection.

In: points (`tokenpoints.py`), the time of each job (`token_span`). Out: `Counted`. The models
`token_*.sql` derive the same from few points of each hour as from all readings:

    point -> counter -> seen -> reading (by process) -> step -> curve (`tokencurves.py`)
    -> doubt -> process -> turn -> value at edges -> usage

A counter is of one job, and no model compares jobs: some of the jobs may be counted alone. Of a
long job, days that nothing changes any more are passed over: see `models/token_settled.sql`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.lake.contract import TOKENS
from tokenergy_sql.catalog.connecting import select_from
from tokenergy_sql.index.modelrun import run_model
from tokenergy_sql.index.models import model_text
from tokenergy_sql.index.tokencurves import build, build_curves, build_readings, build_steps
from tokenergy_sql.index.tokenpoints import LARGEST_COUNT, POINT

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

OF_SEVERAL = {
    "token_doubt": "counter BIGINT, start_us BIGINT, from_us BIGINT, to_us BIGINT, less BIGINT, "
    "more BIGINT, rate DOUBLE",
    "token_turn": "counter BIGINT, from_us BIGINT, to_us BIGINT",
}
"""Models that have rows only where a counter has several starts, and their columns."""

ReadingsOf = Callable[[list[str]], Sequence[tuple[Path, frozenset[str]]]]
"""Returns the files of `tokens` of some nodes, each with its columns."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The jobs to count.

    Attributes:
        jobs: job_id.
        points: of those that are counted in part, the points of their settled days: columns of
            `models/token_settled.sql`.
        past: their tokens in these days: columns of `models/token_past.sql`.
    """

    jobs: pa.Array
    points: pa.Table
    past: pa.Table


@dataclass(frozen=True, slots=True)
class Counted:
    """Tokens of jobs.

    Attributes:
        rows: columns of `token_usage`, all hours of these jobs; of those that were counted in part,
            without their settled days.
        jobs: columns of `models/token_kept.sql`, one row a job.
        known: columns of `models/token_known.sql`: when the tokens of a job are known.
        totals: columns of `models/token_job.sql`: bounds of jobs in several hours.
        points: columns of `models/token_settled.sql`, of all days that are settled now.
        past: columns of `models/token_past.sql`, of the same days.
    """

    rows: pa.Table
    jobs: pa.Table
    known: pa.Table
    totals: pa.Table
    points: pa.Table
    past: pa.Table


class UnsettledError(Exception):
    """Jobs have to be counted as a whole.

    Args:
        jobs: job_id.
    """

    def __init__(self, jobs: pa.Array) -> None:
        super().__init__(f"{len(jobs)} jobs")
        self.jobs = jobs


def count(
    con: duckdb.DuckDBPyConnection,
    points: Sequence[Path],
    readings_of: ReadingsOf,
    chosen: Chosen | None = None,
) -> Counted:
    """Count the tokens of jobs.

    Args:
        con: has `token_span` and the macros of units.
        points: files of points that have all of these jobs, but for settled days.
        readings_of: called for nodes of jobs for which few points are not enough.
        chosen: the jobs; all jobs as a whole if None.

    Raises:
        UnsettledError: something has changed the settled days of jobs.
    """
    there = frozenset(POINT.column_names)
    text = select_from(POINT, [(path, there) for path in points])
    # A view: reading a few columns of the files twice is faster than all of them once and for all.
    con.execute(f"CREATE OR REPLACE TEMP VIEW thin AS {_choose(con, text, chosen)}")
    several = _build_usage(con, "FROM thin")
    _read_whole(con, readings_of, several=several)
    if chosen is not None and len(chosen.points):
        unsettled = run_model(con, "token_unsettled")["job_id"]
        if len(unsettled):
            raise UnsettledError(unsettled.combine_chunks())
    rows = _add_past(con, chosen)
    con.execute(f"CREATE OR REPLACE TEMP TABLE settled_now AS {model_text('token_settled')}")
    con.execute(f"CREATE OR REPLACE TEMP TABLE job_usage AS {model_text('job_usage')}")
    settled = con.table("settled_now").to_arrow_table()
    past = run_model(con, "token_past")
    kept = run_model(con, "token_kept")
    known = run_model(con, "token_known")
    # The same rules over the whole time of a job: inner edges of hours do not count.
    con.execute(f"CREATE OR REPLACE TEMP TABLE token_hour AS {model_text('token_job_span')}")
    build(con, ("token_usage",))
    return Counted(rows, kept, known, run_model(con, "token_job"), settled, past)


def _choose(con: duckdb.DuckDBPyConnection, points: str, chosen: Chosen | None) -> str:
    """Return a SELECT of the points of the jobs to count."""
    import pyarrow as pa

    if chosen is None:
        return points
    con.register("counted_job", pa.table({"job_id": chosen.jobs}))
    text = f"SELECT * FROM ({points}) SEMI JOIN counted_job USING (job_id)"  # noqa: S608 - paths are escaped
    if not len(chosen.points):
        return text
    con.register("settled_point", chosen.points)
    con.execute(
        "CREATE OR REPLACE TEMP TABLE settled_job AS "
        "SELECT DISTINCT job_id, settled_from_us, settled_to_us FROM settled_point"
    )
    return (
        f"SELECT t.* FROM ({text}) AS t LEFT JOIN settled_job AS s USING (job_id) "  # noqa: S608 - paths are escaped
        "WHERE s.job_id IS NULL OR t.ts_us >= s.settled_to_us UNION ALL BY NAME "
        "SELECT * EXCLUDE (settled_from_us, settled_to_us) FROM settled_point"
    )


def _add_past(con: duckdb.DuckDBPyConnection, chosen: Chosen | None) -> pa.Table:
    """Return the rows outside of settled days; put sums in place of the others."""
    if chosen is None or not len(chosen.points):
        return con.table("token_usage").to_arrow_table()
    con.execute(
        "CREATE OR REPLACE TEMP TABLE counted_usage AS "
        "SELECT u.* FROM token_usage AS u LEFT JOIN settled_job AS s USING (job_id) "
        "WHERE s.job_id IS NULL OR u.hour_us < settled_from_us OR u.hour_us >= settled_to_us"
    )
    con.register("settled_past", chosen.past)
    con.execute(
        "CREATE OR REPLACE TEMP TABLE token_usage AS "
        "FROM counted_usage UNION ALL BY NAME FROM settled_past"
    )
    return con.table("counted_usage").to_arrow_table()


def rows_of(con: duckdb.DuckDBPyConnection, text: str) -> pa.Table:
    """Return the rows of `token_usage` that points give.

    Args:
        con: has `token_span` and the macros of units.
        text: a statement that selects the points: see `models/token_point.sql`.
    """
    # A table: it is read twice.
    con.execute(f"CREATE OR REPLACE TEMP TABLE told AS {text}")
    _build_usage(con, "FROM told")
    return con.table("token_usage").to_arrow_table()


def _read_whole(con: duckdb.DuckDBPyConnection, readings_of: ReadingsOf, *, several: bool) -> None:
    """Create `token_usage` again where few points are not enough, from all readings of those jobs.

    These are jobs whose stamps move, and those with a process that reads below its highest: how far
    below is not seen at the edges of hours alone.
    """
    moved = "FROM token_moved WHERE off_us <> 0 UNION ALL SELECT counter " if several else ""
    con.execute(
        "CREATE OR REPLACE TEMP TABLE whole_job AS SELECT DISTINCT job_id FROM token_counter "  # noqa: S608 - two constant texts
        f"SEMI JOIN (SELECT counter {moved}FROM token_step WHERE anomaly AND process IS NOT NULL) "
        "USING (counter)"
    )
    found = con.execute(
        "SELECT DISTINCT node FROM token_counter SEMI JOIN whole_job USING (job_id) ORDER BY node"
    )
    nodes = [node for (node,) in found.fetchall()]
    if nodes:
        text = select_from(TOKENS, readings_of(nodes))
        con.execute(f"CREATE OR REPLACE TEMP VIEW tokens AS {text}")
        con.execute(f"CREATE OR REPLACE TEMP TABLE most AS SELECT {LARGEST_COUNT} AS most")
        build(con, ("token_whole",))
        _build_usage(con, "FROM token_whole")


def _build_usage(con: duckdb.DuckDBPyConnection, points: str) -> bool:
    """Create `token_usage` from points; tell whether a counter has several starts."""
    con.execute(f"CREATE OR REPLACE TEMP VIEW token_point AS {points}")
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
