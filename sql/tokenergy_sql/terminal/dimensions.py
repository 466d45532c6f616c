"""Energy per token by a dimension, such as model or rack.

In: `tokenergy_by` of a lake. Out: a rich table; NULL is a dash, with the reason code beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenergy_sql.catalog.asking import AnyLake, ask
from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.terminal.table import (
    WIDE_COLUMNS,
    Column,
    console,
    count,
    interval,
    percent,
    scaled,
    significant,
    table_of,
)

if TYPE_CHECKING:
    from rich.table import Table


def print_by(lake: AnyLake, dimension: str) -> None:
    """Print one row for each value of the dimension and workload, the largest consumer first.

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
    rows = ask(
        lake,
        "by",
        lambda con: named_rows(con, "FROM tokenergy_by($1)", [dimension]),
        "tokenergy_by",
    )
    value = Column(dimension, lambda row: row["value"] or "-", justify="left")
    workload = Column("workload", lambda row: str(row["workload"]), justify="left")
    # By workload, the value is the workload: one column is enough.
    labels = (workload,) if dimension == "workload" else (value, workload)
    title = f"Energy per token by {dimension}"
    return table_of(title, rows, (*labels, *_FIGURES), wide=wide)


def _kwh(energy_nj: Any) -> str:
    return significant(scaled(energy_nj, 3.6e15))


def _kwh_interval(low_nj: Any, high_nj: Any) -> str:
    return "-" if low_nj is None or high_nj is None else f"[{_kwh(low_nj)}, {_kwh(high_nj)}]"


def _notes(row: NamedRow) -> str:
    codes = ["estimate" if row["estimate"] else "", *row["reason_codes"].split(",")]
    return " ".join(codes).strip()


_FIGURES = (
    Column("jobs", lambda r: count(r["jobs"])),
    Column("tokens", lambda r: count(r["n_tokens"])),
    Column("GPU kWh", lambda r: _kwh(r["e_gpu_nj"])),
    Column("[low, high]", lambda r: _kwh_interval(r["e_gpu_low_nj"], r["e_gpu_high_nj"]), False),
    Column("facility kWh", lambda r: _kwh(r["e_facility_nj"]), narrow=False),
    Column("burdened kWh", lambda r: _kwh(r["e_facility_burdened_nj"]), narrow=False),
    Column("J/token GPU", lambda r: significant(r["te_gpu"])),
    Column("[low, high]", lambda r: interval(r["te_gpu_low"], r["te_gpu_high"])),
    Column("J/token facility", lambda r: significant(r["tokenergy"])),
    Column("[low, high]", lambda r: interval(r["te_low"], r["te_high"])),
    Column("burdened", lambda r: significant(r["tokenergy_burdened"]), narrow=False),
    Column("covered %", lambda r: percent(r["coverage"], 1, 2), narrow=False),
    Column("notes", _notes, justify="left"),
)
