"""Energy per token by a dimension, such as model or rack.

In: `tokenergy_by` of a lake. Out: a table; NULL is a dash, with the reason code beside it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog.asking import AnyLake, ask
from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.terminal.grid import Grid
from tokenergy_sql.terminal.nextstep import next_step
from tokenergy_sql.terminal.output import Output
from tokenergy_sql.terminal.table import (
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
    import duckdb

_NO_JOBS = (
    "no job is indexed: the lake's books have none. Name the jobs that held the GPUs: "
    "docs/collecting.md, Jobs"
)


def print_by(lake: AnyLake, dimension: str, output: Output) -> None:
    """Print one row for each value of the dimension and workload, the largest consumer first.

    Raises:
        UserError: there is no such dimension.
    """
    names, rows = _asked(lake, dimension)
    output.show(rows, lambda: [_table(rows, dimension)], names=names)
    if not rows:
        step = next_step(lake) if isinstance(lake, Lake) else None
        # To stderr, as progress: what reads the table gets the table alone.
        console(sys.stderr).print(step or _NO_JOBS, highlight=False)


def dimension_table(lake: AnyLake, dimension: str) -> Grid:
    """Return energy per token by a dimension as a table.

    Args:
        lake: the lake, indexed.
        dimension: one of those of `tokenergy_by`.

    Raises:
        UserError: there is no such dimension.
    """
    return _table(_asked(lake, dimension)[1], dimension)


def _asked(lake: AnyLake, dimension: str) -> tuple[list[str], list[NamedRow]]:
    """Return the names of the columns, and the rows."""

    def read(con: duckdb.DuckDBPyConnection) -> tuple[list[str], list[NamedRow]]:
        rows = named_rows(con, "FROM tokenergy_by($1)", [dimension])
        return [column[0] for column in con.description or ()], rows

    return ask(lake, "by", read, "tokenergy_by")


def _table(rows: list[NamedRow], dimension: str) -> Grid:
    value = Column(dimension, lambda row: row["value"] or "-", justify="left")
    # A value with several workloads has a row for each: without the workload they look the same.
    alone = len({row["value"] for row in rows}) == len(rows)
    rank = 2 if alone else 0
    workload = Column("workload", lambda row: str(row["workload"]), rank=rank, justify="left")
    # By workload, the value is the workload: one column is enough.
    labels = (value,) if dimension == "workload" else (value, workload)
    title = f"Energy per token by {dimension}"
    return table_of(title, rows, (*labels, *_FIGURES))


def _kwh(energy_nj: Any) -> str:
    return significant(scaled(energy_nj, 3.6e15))


def _kwh_interval(low_nj: Any, high_nj: Any) -> str:
    return "-" if low_nj is None or high_nj is None else f"[{_kwh(low_nj)}, {_kwh(high_nj)}]"


def _notes(row: NamedRow) -> str:
    codes = ["estimate" if row["estimate"] else "", *row["reason_codes"].split(",")]
    return " ".join(codes).strip()


_FIGURES = (
    Column("jobs", lambda r: count(r["jobs"]), rank=2),
    Column("tokens", lambda r: count(r["n_tokens"])),
    Column("GPU kWh", lambda r: _kwh(r["e_gpu_nj"]), rank=2),
    Column("[low, high]", lambda r: _kwh_interval(r["e_gpu_low_nj"], r["e_gpu_high_nj"]), 3),
    Column("facility kWh", lambda r: _kwh(r["e_facility_nj"]), rank=3),
    Column("burdened kWh", lambda r: _kwh(r["e_facility_burdened_nj"]), rank=3),
    Column("J/token GPU", lambda r: significant(r["te_gpu"])),
    Column("[low, high]", lambda r: interval(r["te_gpu_low"], r["te_gpu_high"]), rank=1),
    Column("J/token facility", lambda r: significant(r["tokenergy"]), rank=2),
    Column("[low, high]", lambda r: interval(r["te_low"], r["te_high"]), rank=2),
    Column("burdened", lambda r: significant(r["tokenergy_burdened"]), rank=3),
    Column("covered %", lambda r: percent(r["coverage"], 1, 2), rank=3),
    Column("notes", _notes, justify="left"),
)
