"""The per-job table as the terminal shows it.

In: `job_index` of a lake. Out: a rich table; NULL is a dash, with the reason beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog import views

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Row = dict[str, Any]

WIDE_COLUMNS = 150
"""Width of a terminal from which all columns are shown."""

_PIPE_COLUMNS = 400

_SQL = """
SELECT
    job_id, workload, model, devices,
    CASE WHEN workload = 'training' THEN n_trained ELSE n_generated END AS tokens,
    e_gpu_j, e_gpu_active_j, coalesce(te_gpu_out, te_train) AS te_gpu,
    te_gpu_low, te_gpu_high, tokenergy, te_low, te_high, coverage, reason_codes, emulated
FROM job_index
ORDER BY e_gpu_j DESC NULLS LAST, job_id
"""


def console() -> Console:
    """Return a console on standard output; in a pipe lines are as wide as they need to be."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS)


def job_table(lake: Lake, *, wide: bool) -> Table:
    """Return the per-job table of a lake, the largest consumer first.

    Args:
        lake: the lake, indexed.
        wide: whether there is room for all columns; if not, the index and its bounds are kept.
    """
    from rich.table import Table
    from rich.text import Text

    with catalog.connect(lake, named=views.tables_named(_SQL)) as con:
        result = con.sql(_SQL)
        rows = [dict(zip(result.columns, row, strict=True)) for row in result.fetchall()]
    emulated = any(row["emulated"] for row in rows)
    title = "Energy per token by job" + (" (emulated)" if emulated else "")
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    columns = [c for c in _COLUMNS if wide or c.narrow]
    for column in columns:
        table.add_column(Text(column.name), justify=column.justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(column.show(row)) for column in columns))
    return table


def significant(value: float | None, digits: int = 4) -> str:
    """Return a number to some significant digits, all of its whole ones; a dash for None."""
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    text = f"{value:#.{digits}g}"
    return text.rstrip(".") if "e" not in text else f"{value:.{digits - 1}e}"


def interval(low: float | None, high: float | None) -> str:
    """Return `[low, high]` to three significant digits; a dash if either is None."""
    if low is None or high is None:
        return "-"
    return f"[{significant(low, 3)}, {significant(high, 3)}]"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _percent(part: float | None, whole: float | None, digits: int) -> str:
    return "-" if part is None or not whole else f"{100 * part / whole:.{digits}f}"


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    show: Callable[[Row], str]
    narrow: bool = True
    justify: Literal["left", "right"] = "right"


_COLUMNS = (
    _Column("job", lambda r: str(r["job_id"]), justify="left"),
    _Column("workload", lambda r: str(r["workload"]), narrow=False, justify="left"),
    _Column("model", lambda r: r["model"] or "-", narrow=False, justify="left"),
    _Column("GPUs", lambda r: str(r["devices"])),
    _Column("tokens", lambda r: _count(r["tokens"])),
    _Column("GPU kJ", lambda r: significant(None if r["e_gpu_j"] is None else r["e_gpu_j"] / 1e3)),
    _Column("active %", lambda r: _percent(r["e_gpu_active_j"], r["e_gpu_j"], 1), narrow=False),
    _Column("J/token GPU", lambda r: significant(r["te_gpu"])),
    _Column("[low, high]", lambda r: interval(r["te_gpu_low"], r["te_gpu_high"])),
    _Column("J/token facility", lambda r: significant(r["tokenergy"])),
    _Column("[low, high]", lambda r: interval(r["te_low"], r["te_high"])),
    _Column("covered %", lambda r: _percent(r["coverage"], 1, 2), narrow=False),
    _Column("notes", lambda r: r["reason_codes"].replace(",", " "), justify="left"),
)
