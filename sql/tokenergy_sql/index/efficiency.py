"""Queries of job_efficiency: the energy that jobs spent at full rate, and otherwise.

In: a lake. Out: rows a job, or rows a job and hour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog import views
from tokenergy_sql.index.modelrun import index_version, run_model
from tokenergy_sql.index.models import model_text

if TYPE_CHECKING:
    import duckdb


EfficiencyRow = dict[str, Any]
"""Columns of `job_efficiency`."""

PARTS = (
    "e_steady_nj",
    "e_low_batch_nj",
    "e_prefill_nj",
    "e_no_tokens_nj",
    "e_idle_nj",
    "e_unknown_nj",
)
"""Parts of a job's GPU energy, which add up to it; NULL counts as 0."""

CAPS_PERCENT = (50, 60, 70, 80, 90)
"""Power caps of the contract, in per cent of the boards' limits."""


def jobs(lake: Lake) -> list[EfficiencyRow]:
    """Return one row a job: the columns of `job_efficiency`, added over hours; largest first."""
    named = views.tables_named("".join(map(model_text, ("job_efficiency_job", "job_efficiency"))))
    with catalog.connect(lake, named=named) as con:
        return jobs_of(con)


def jobs_of(con: duckdb.DuckDBPyConnection) -> list[EfficiencyRow]:
    """Return the rows of `jobs` from a connection to a lake."""
    text = "CREATE OR REPLACE TEMP TABLE parameters AS SELECT $1 AS index_version"
    con.execute(text, [index_version()])
    con.register("efficiency_sums", run_model(con, "job_efficiency_job"))
    rows: list[EfficiencyRow] = run_model(con, "job_efficiency").to_pylist()
    return sorted(rows, key=lambda row: (-(row["e_gpu_nj"] or 0), row["job_id"]))


def hours(lake: Lake, job_id: str) -> list[EfficiencyRow]:
    """Return the rows of `job_efficiency` of one job, in order of time."""
    with catalog.connect(lake, named=frozenset({"job_efficiency"})) as con:
        rows = con.execute("SELECT * FROM job_efficiency WHERE job_id = $1", [job_id])
        names = [column[0] for column in rows.description]
        found = [dict(zip(names, row, strict=True)) for row in rows.fetchall()]
    return sorted(found, key=lambda row: row["hour_us"])
