"""Where each job's energy went, and its steady state, as the terminal shows them.

In: `job_efficiency` of a lake. Out: one row a job, hours added up exactly; rich tables of all jobs,
or of one job by hour and by power cap. NULL is a dash, with the reason beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.efficiency import CAPS_PERCENT, hours, jobs
from tokenergy_sql.index.efficiency import EfficiencyRow as Row
from tokenergy_sql.terminal.jobnames import require_job
from tokenergy_sql.terminal.table import console, interval, significant

if TYPE_CHECKING:
    from rich.table import Table


def all_jobs_table(lake: Lake) -> Table:
    """Return the table of all jobs.

    Raises:
        UserError: nothing has been indexed.
    """
    rows = jobs(lake)
    if not rows:
        raise UserError(f"lake {lake.root}: nothing is indexed; run `tokenergy index`")
    return _table("Where each job's energy went", rows, (_JOB, *_COLUMNS))


def job_tables(lake: Lake, job_id: str) -> list[Table]:
    """Return the tables of one job: by hour with the whole below, and by power cap.

    Raises:
        UserError: there is no such job.
    """
    require_job(lake, job_id)
    whole = [row for row in jobs(lake) if row["job_id"] == job_id]
    if not whole:
        raise UserError(f"job {job_id!r}: is not indexed; run `tokenergy index`")
    by_hour = [*hours(lake, job_id), {**whole[0], "hour_us": None}]
    return [
        _table(f"Where the energy of {job_id} went", by_hour, (_HOUR, *_COLUMNS)),
        _cap_table(whole[0]),
    ]


def print_efficiency(lake: Lake, job_id: str | None) -> None:
    """Print the table of all jobs, or those of one job.

    Raises:
        UserError: nothing has been indexed, or there is no such job.
    """
    terminal = console()
    for table in [all_jobs_table(lake)] if job_id is None else job_tables(lake, job_id):
        terminal.print(table)


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    show: Callable[[Row], str]
    justify: Literal["left", "right"] = "right"


def _table(title: str, rows: Sequence[Row], columns: Sequence[_Column]) -> Table:
    from rich.table import Table
    from rich.text import Text

    marked = title + (" (emulated)" if any(row["emulated"] for row in rows) else "")
    table = Table(title=marked, title_justify="left", show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(Text(column.name), justify=column.justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(column.show(row)) for column in columns))
    return table


def _cap_table(job: Row) -> Table:
    """Return what a job drew above each cap: GPU kJ and per cent of its energy, both bounds."""
    rows = [
        {
            "cap": cap,
            "emulated": job["emulated"],
            "whole": job["e_gpu_nj"],
            "low": job[f"over_{cap}_low_nj"],
            "high": job[f"over_{cap}_high_nj"],
        }
        for cap in CAPS_PERCENT
    ]
    columns = (
        _Column("cap, % of the limit", lambda r: f"{r['cap']}"),
        _Column("kJ above [low, high]", lambda r: interval(_kj(r["low"]), _kj(r["high"]))),
        _Column("% of its energy", _shares),
    )
    return _table("Drawn above a power cap", rows, columns)


def _shares(row: Row) -> str:
    if row["low"] is None or not row["whole"]:
        return "-"
    low, high = (100 * float(row[name]) / float(row["whole"]) for name in ("low", "high"))
    return f"[{low:.1f}, {high:.1f}]"


def _kj(energy_nj: int | None) -> float | None:
    return None if energy_nj is None else float(energy_nj) / 1e12


def _part(name: str) -> Callable[[Row], str]:
    """Return what shows a part of the energy, in per cent of the whole."""

    def show(row: Row) -> str:
        if row[name] is None or not row["e_gpu_nj"]:
            return "-"
        return f"{100 * float(row[name]) / float(row['e_gpu_nj']):.1f}"

    return show


def _hour(row: Row) -> str:
    if row["hour_us"] is None:
        return "all"
    return f"{datetime.fromtimestamp(row['hour_us'] // 1_000_000, UTC):%Y-%m-%dT%H}"


def _gap(row: Row) -> str:
    if row["gap_us"] is None or not row["device_us"]:
        return "-"
    return f"{100 * row['gap_us'] / row['device_us']:.1f}"


def _steady_s(row: Row) -> str:
    return "-" if row["steady_us"] is None else f"{row['steady_us'] / 1e6:,.0f}"


_JOB = _Column("job", lambda r: str(r["job_id"]), justify="left")
_HOUR = _Column("hour", _hour, justify="left")
_COLUMNS = (
    _Column("GPU kJ", lambda r: significant(_kj(r["e_gpu_nj"]))),
    _Column("steady %", _part("e_steady_nj")),
    _Column("low batch %", _part("e_low_batch_nj")),
    _Column("prefill %", _part("e_prefill_nj")),
    _Column("no tokens %", _part("e_no_tokens_nj")),
    _Column("idle %", _part("e_idle_nj")),
    _Column("unknown %", _part("e_unknown_nj")),
    _Column("gap % of time", _gap),
    _Column("excess kJ", lambda r: significant(_kj(r["e_low_batch_excess_nj"]))),
    _Column("steady s", _steady_s),
    _Column("W", lambda r: significant(r["steady_w"])),
    _Column("tokens/s", lambda r: significant(r["steady_tokens_s"])),
    _Column("J/token steady", lambda r: significant(r["te_steady"])),
    _Column("[low, high]", lambda r: interval(r["te_steady_low"], r["te_steady_high"])),
    _Column("notes", lambda r: r["reason_codes"].replace(",", " "), justify="left"),
)
