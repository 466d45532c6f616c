"""Energy per token by a dimension, as the terminal shows it.

In: `tokenergy_by` of a lake. Out: a rich table; NULL is a dash, with the reason beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tokenergy_sql.catalog.asking import AnyLake, ask
from tokenergy_sql.terminal.table import WIDE_COLUMNS, console, interval, significant

if TYPE_CHECKING:
    import duckdb
    from rich.table import Table

Row = dict[str, Any]

_FIGURES: tuple[tuple[str, bool, Callable[[Row], str]], ...] = (
    ("jobs", True, lambda r: f"{r['jobs']:,}"),
    ("tokens", True, lambda r: "-" if r["n_tokens"] is None else f"{r['n_tokens']:,}"),
    ("GPU kWh", True, lambda r: _kwh(r["e_gpu_nj"])),
    ("[low, high]", False, lambda r: _kwh_between(r["e_gpu_low_nj"], r["e_gpu_high_nj"])),
    ("facility kWh", False, lambda r: _kwh(r["e_facility_nj"])),
    ("burdened kWh", False, lambda r: _kwh(r["e_facility_burdened_nj"])),
    ("J/token GPU", True, lambda r: significant(r["te_gpu"])),
    ("[low, high]", True, lambda r: interval(r["te_gpu_low"], r["te_gpu_high"])),
    ("J/token facility", True, lambda r: significant(r["tokenergy"])),
    ("[low, high]", True, lambda r: interval(r["te_low"], r["te_high"])),
    ("burdened", False, lambda r: significant(r["tokenergy_burdened"])),
    ("covered %", False, lambda r: _percent(r["coverage"])),
)
"""Heading, whether a narrow terminal shows it too, and the text."""


def print_by(lake: AnyLake, dimension: str) -> None:
    """Print a row a value of the dimension and workload, the largest consumer first.

    Raises:
        UserError: there is no such dimension.
    """
    terminal = console()
    terminal.print(dimension_table(lake, dimension, wide=terminal.width >= WIDE_COLUMNS))


def dimension_table(lake: AnyLake, dimension: str, *, wide: bool) -> Table:
    """Return energy per token by a dimension as a table.

    Args:
        lake: the lake, indexed.
        dimension: one of those of `tokenergy_by`.
        wide: whether there is room for all columns.

    Raises:
        UserError: there is no such dimension.
    """
    from rich.table import Table
    from rich.text import Text

    rows = ask(lake, "by", lambda con: _rows(con, dimension), "tokenergy_by")
    emulated = any(row["emulated"] for row in rows)
    title = f"Energy per token by {dimension}" + (" (emulated)" if emulated else "")
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for name in dict.fromkeys((dimension, "workload")):
        table.add_column(Text(name), overflow="fold")
    figures = [figure for figure in _FIGURES if wide or figure[1]]
    for name, _, _ in figures:
        table.add_column(Text(name), justify="right", overflow="fold")
    table.add_column("notes", overflow="fold")
    for row in rows:
        named = {dimension: row["value"] or "-", "workload": row["workload"]}
        notes = ["estimate" if row["estimate"] else "", *row["reason_codes"].split(",")]
        cells = [*named.values(), *(show(row) for _, _, show in figures), " ".join(notes).strip()]
        table.add_row(*map(Text, cells))
    return table


def _rows(con: duckdb.DuckDBPyConnection, dimension: str) -> list[Row]:
    result = con.execute("FROM tokenergy_by($1)", [dimension])
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _kwh(energy_nj: int | None) -> str:
    return significant(None if energy_nj is None else float(energy_nj) / 3.6e15)


def _kwh_between(low_nj: int | None, high_nj: int | None) -> str:
    return "-" if low_nj is None or high_nj is None else f"[{_kwh(low_nj)}, {_kwh(high_nj)}]"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"
