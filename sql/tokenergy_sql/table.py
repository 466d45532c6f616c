"""The per-job table as the terminal shows it.

In: `job_index` of a lake. Out: a rich table; NULL is a dash, with the reason beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenergy_collectors.lake import Lake
from tokenergy_sql import catalog

if TYPE_CHECKING:
    from rich.table import Table

_SQL = """
SELECT
    job_id, workload, model, devices,
    CASE WHEN workload = 'training' THEN n_trained ELSE n_generated END AS tokens,
    e_gpu_j, e_gpu_active_j, coalesce(te_gpu_out, te_train) AS te_gpu,
    te_gpu_low, te_gpu_high, tokenergy, te_low, te_high, coverage, reason_codes, emulated
FROM job_index
ORDER BY e_gpu_j DESC NULLS LAST, job_id
"""


def job_table(lake: Lake) -> Table:
    """Return the per-job table of a lake, the largest consumer first."""
    from rich.table import Table
    from rich.text import Text

    with catalog.connect(lake) as con:
        result = con.sql(_SQL)
        rows = [dict(zip(result.columns, row, strict=True)) for row in result.fetchall()]
    emulated = any(row["emulated"] for row in rows)
    title = "Energy per token by job" + (" (emulated)" if emulated else "")
    table = Table(title=title, title_justify="left", caption_justify="left", show_edge=False)
    for name in ("job", "workload", "model"):
        table.add_column(name, overflow="fold")
    for name in (
        "GPUs",
        "tokens",
        "GPU kJ",
        "active %",
        "J/token GPU",
        "[low, high]",
        "J/token facility",
        "[low, high]",
        "covered %",
    ):
        table.add_column(name, justify="right")
    table.add_column("notes", overflow="fold")
    for row in rows:
        active = None if not row["e_gpu_j"] else 100 * row["e_gpu_active_j"] / row["e_gpu_j"]
        table.add_row(
            Text(row["job_id"]),
            row["workload"],
            Text(row["model"] or "-"),
            str(row["devices"]),
            "-" if row["tokens"] is None else f"{row['tokens']:,}",
            "-" if row["e_gpu_j"] is None else f"{row['e_gpu_j'] / 1000:,.1f}",
            "-" if active is None else f"{active:.1f}",
            significant(row["te_gpu"]),
            interval(row["te_gpu_low"], row["te_gpu_high"]),
            significant(row["tokenergy"]),
            interval(row["te_low"], row["te_high"]),
            "-" if row["coverage"] is None else f"{100 * row['coverage']:.2f}",
            row["reason_codes"].replace(",", " "),
        )
    return table


def significant(value: float | None, digits: int = 4) -> str:
    """Return a number to some significant digits; a dash for None."""
    if value is None:
        return "-"
    text = f"{value:#.{digits}g}"
    return text.rstrip(".") if "e" not in text else f"{value:.{digits - 1}e}"


def interval(low: float | None, high: float | None) -> str:
    """Return `[low, high]` to three significant digits; a dash if either is None."""
    if low is None or high is None:
        return "-"
    return f"[{significant(low, 3)}, {significant(high, 3)}]"
