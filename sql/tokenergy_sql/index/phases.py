"""Prefill and decode: sums of an hour's windows, and what they say of each job.

In: a connection on which the models of an hour, or those of all jobs, have run. Out: rows of
`phase_block` and `phase_role`, and the columns on phases of `job_index`. The rules are in
docs/index-definition.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import PHASE_BLOCK, PHASE_ROLE
from tokenergy_sql.catalog.connecting import select_listed
from tokenergy_sql.catalog.duck import pattern
from tokenergy_sql.index.modelrun import build_model, run_model

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


_BOUNDS = ("", "_low", "_high")
_NOTHING_FITTED = ", ".join(
    [
        "job_id VARCHAR, windows BIGINT, device_us BIGINT, why VARCHAR, bent BOOLEAN",
        "left_out VARCHAR, base_w DOUBLE, residual DOUBLE",
        *(f"{phase}{bound} DOUBLE" for phase in ("prefill", "decode") for bound in _BOUNDS),
    ]
)
"""Columns of `phase_fit`, for a lake that has no window."""


def blocks(con: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return the rows of `phase_block` of an hour.

    Args:
        con: has what `models/phase_window.sql` and `models/phase_block.sql` read.
    """
    # Most hours of most lakes serve no prompts: planning two models would be all of their cost.
    served = "SELECT bool_or(kind = 'prompt_computed' AND tokens > 0) FROM token_growth"
    if con.execute(served).fetchall() != [(True,)]:
        return PHASE_BLOCK.schema().empty_table()
    build_model(con, "phase_window")
    return run_model(con, "phase_block")


def roles(con: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return the rows of `phase_role` of an hour.

    Args:
        con: has what `models/phase_role.sql` reads.
    """
    apart = (
        "SELECT bool_or(kind = 'prompt_external') FROM token_counter "
        "UNION ALL SELECT bool_or(of_role) FROM token_name"
    )
    if (True,) not in con.execute(apart).fetchall():
        return PHASE_ROLE.schema().empty_table()
    return run_model(con, "phase_role")


def of_jobs(con: duckdb.DuckDBPyConnection, lake: Lake, hours: Sequence[int]) -> pa.Table:
    """Return the columns of `models/job_phases.sql`.

    Args:
        con: has `found` (the indices of jobs) and `job_facts`.
        lake: has `phase_block` and `phase_role`.
        hours: starts of all hours in which these jobs have rows, microseconds UTC.
    """
    files = {
        table: [pattern(path) for path, _ in lake.valid_files(table.name, hours)]
        for table in (PHASE_BLOCK, PHASE_ROLE)
    }
    for table, paths in files.items():
        con.execute(f"CREATE TEMP VIEW {table.name} AS {select_listed(table, paths)}")
    if files[PHASE_BLOCK]:
        build_model(con, "phase_fit")
    else:
        con.execute(f"CREATE TEMP TABLE phase_fit ({_NOTHING_FITTED})")
    return run_model(con, "job_phases")
