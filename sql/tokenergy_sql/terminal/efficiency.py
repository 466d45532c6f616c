"""Where each job's energy went, and its steady state, on the terminal.

In: the rows of `tokenergy_sql.index.efficiency`, which reads `job_efficiency` and adds up hours.
Out: tables of all jobs, or of one job by hour and by power cap; NULL is a dash, with the
reason code beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.index.efficiency import CAPS_PERCENT, hours, jobs
from tokenergy_sql.terminal.grid import Grid
from tokenergy_sql.terminal.jobnames import find_job
from tokenergy_sql.terminal.output import Output
from tokenergy_sql.terminal.table import (
    Column,
    interval,
    notes,
    percent,
    scaled,
    significant,
    table_of,
)


def print_efficiency(lake: Lake, job_id: str | None, output: Output) -> None:
    """Print the table of all jobs, or those of one job; for programs its hours and their total.

    Raises:
        UserError: nothing has been indexed, or there is no such job.
    """
    tables = [all_jobs_table(lake)] if job_id is None else job_tables(lake, job_id)
    output.show(tables[0].source, lambda: tables)


def all_jobs_table(lake: Lake) -> Grid:
    """Return the table of all jobs.

    Raises:
        UserError: nothing has been indexed.
    """
    rows = jobs(lake)
    if not rows:
        raise UserError(f"lake {lake.root}: nothing is indexed; run `tokenergy index`")
    return table_of("Where each job's energy went", rows, (_JOB, *_FIGURES))


def job_tables(lake: Lake, job_id: str) -> Sequence[Grid]:
    """Return the tables of one job: by hour with the total below, and by power cap.

    Raises:
        UserError: there is no such job.
    """
    job_id = find_job(lake, job_id)
    total = next((row for row in jobs(lake) if row["job_id"] == job_id), None)
    if total is None:
        raise UserError(f"job {job_id!r}: is not indexed; run `tokenergy index`")
    by_hour = [*hours(lake, job_id), {**total, "hour_us": None}]
    return (
        table_of(f"Where the energy of {job_id} went", by_hour, (_HOUR, *_FIGURES)),
        _cap_table(total),
    )


def _cap_table(job: NamedRow) -> Grid:
    """Return what a job drew above each cap: GPU kJ and per cent of its energy, both bounds."""
    rows = [
        {
            "cap_percent": cap,
            "emulated": job["emulated"],
            "e_gpu_nj": job["e_gpu_nj"],
            "low_nj": job[f"over_{cap}_low_nj"],
            "high_nj": job[f"over_{cap}_high_nj"],
        }
        for cap in CAPS_PERCENT
    ]
    columns = (
        Column("cap, % of the limit", lambda r: f"{r['cap_percent']}"),
        Column("kJ above [low, high]", lambda r: interval(_kj(r["low_nj"]), _kj(r["high_nj"]))),
        Column("% of its energy", _share_above_cap),
    )
    return table_of("Drawn above a power cap", rows, columns)


def _share_above_cap(row: NamedRow) -> str:
    if row["low_nj"] is None or not row["e_gpu_nj"]:
        return "-"
    low, high = (100 * float(row[name]) / float(row["e_gpu_nj"]) for name in ("low_nj", "high_nj"))
    return f"[{low:.1f}, {high:.1f}]"


def _kj(energy_nj: Any) -> float | None:
    return scaled(energy_nj, 1e12)


def _share(name: str) -> Callable[[NamedRow], str]:
    """Return a function that shows a part of the energy in per cent of the total."""

    def cell(row: NamedRow) -> str:
        return percent(scaled(row[name], 1), scaled(row["e_gpu_nj"], 1), 1)

    return cell


def _hour(row: NamedRow) -> str:
    if row["hour_us"] is None:
        return "all"
    return f"{datetime.fromtimestamp(row['hour_us'] // 1_000_000, UTC):%Y-%m-%dT%H}"


def _steady_s(row: NamedRow) -> str:
    return "-" if row["steady_us"] is None else f"{row['steady_us'] / 1e6:,.0f}"


_JOB = Column("job", lambda r: str(r["job_id"]), justify="left")
_HOUR = Column("hour", _hour, justify="left")
_FIGURES = (
    Column("GPU kJ", lambda r: significant(_kj(r["e_gpu_nj"]))),
    Column("steady %", _share("e_steady_nj")),
    Column("low batch %", _share("e_low_batch_nj"), rank=2),
    Column("prefill %", _share("e_prefill_nj"), rank=2),
    Column("no tokens %", _share("e_no_tokens_nj"), rank=2),
    Column("idle %", _share("e_idle_nj"), rank=2),
    Column("unknown %", _share("e_unknown_nj"), rank=2),
    Column("gap % of time", lambda r: percent(r["gap_us"], r["device_us"], 1), rank=1),
    Column("excess kJ", lambda r: significant(_kj(r["e_low_batch_excess_nj"])), rank=2),
    Column("steady s", _steady_s, rank=2),
    Column("W", lambda r: significant(r["steady_w"]), rank=1),
    Column("tokens/s", lambda r: significant(r["steady_tokens_s"]), rank=1),
    Column("J/token steady", lambda r: significant(r["te_steady"])),
    Column("[low, high]", lambda r: interval(r["te_steady_low"], r["te_steady_high"])),
    Column("notes", notes, justify="left"),
)
