"""Power of racks, modules, halls or the site on the terminal; and of modules that are not there.

In: rows of `modulefigures` and `moduleplan`. Out: a table, CSV or JSON; an unknown value is a dash,
or empty, or null.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tokenergy_collectors.lake.paths import show_hour
from tokenergy_sql.catalog.asking import AnyLake
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.terminal.grid import Grid
from tokenergy_sql.terminal.modulefigures import WORKLOADS, Span, module_rows
from tokenergy_sql.terminal.moduleplan import Plan, plan_rows
from tokenergy_sql.terminal.output import Output
from tokenergy_sql.terminal.table import Column, count, percent, significant, table_of


def print_modules(lake: AnyLake, grouped: str, span: Span, output: Output) -> None:
    """Print one row for each rack, module, hall or type.

    Args:
        lake: the lake, indexed.
        grouped: one of `modulefigures.GROUPS`.
        span: which hours.
        output: in which form, and where.

    Raises:
        UserError: see `module_rows`.
    """
    rows = module_rows(lake, grouped, span)
    output.show(rows, lambda: [modules_table(rows, grouped)])


def print_plan(lake: AnyLake, plan: Plan, span: Span, output: Output) -> None:
    """Print what more modules would draw; the arguments are as in `print_modules`.

    Raises:
        UserError: see `plan_rows`.
    """
    rows = plan_rows(lake, plan, span)
    output.show(rows, lambda: [plan_table(rows, plan)])


def modules_table(rows: Sequence[NamedRow], grouped: str) -> Grid:
    """Return the power of places as a table."""
    title = f"Power by {grouped}, {_when(rows[0])}, means of 10 s"
    first = [Column(grouped, lambda r: str(r["name"]), justify="left")]
    if grouped in ("rack", "module"):
        first.append(Column("hall", lambda r: r["hall"] or "-", rank=2, justify="left"))
    if grouped == "type":
        first.append(Column("modules", lambda r: count(r["places"]), rank=1))
    return table_of(title, rows, (*first, *_POWER, *_tokens(rows), *_LAST))


def plan_table(rows: Sequence[NamedRow], plan: Plan) -> Grid:
    """Return a projection as a table."""
    pue = rows[0]["pue"]
    at = f"at a PUE of {significant(pue)} ({rows[0]['pue_method']})" if pue else "PUE unknown"
    title = (
        f"Projection, not a measurement: {plan.number} more modules of type {plan.type}, drawing "
        f"like the {rows[0]['modules']} measured {_when(rows[0])} ({rows[0]['method']}), {at}"
    )
    return table_of(title, rows, _PLAN)


def _when(row: NamedRow) -> str:
    return f"{show_hour(row['from_us'])} to {show_hour(row['to_us'])} UTC"


def _tokens(rows: Sequence[NamedRow]) -> list[Column]:
    """Return the columns of J per token: of workloads that occur, never mixed."""
    there = [one for one in WORKLOADS if any(row[f"{one}_n_joint"] is not None for row in rows)]
    return [
        Column(f"J/token {boundary} ({workload})", _figure(f"{workload}_{name}"), rank=1)
        for workload in there
        for boundary, name in (("facility", "tokenergy"), ("GPU", "te_gpu"))
    ]


def _figure(name: str) -> Callable[[NamedRow], str]:
    return lambda row: significant(row[name])


_POWER = (
    Column("p50 kW", _figure("p50_kw")),
    Column("p99 kW", _figure("p99_kw")),
    Column("peak kW", _figure("peak_kw")),
    Column("rated kW", _figure("rated_kw"), rank=1),
    Column("stranded kW", _figure("stranded_kw"), rank=1),
    Column("load factor", _figure("load_factor"), rank=2),
    Column("coincidence", _figure("coincidence"), rank=1),
    Column("kWh", _figure("energy_kwh"), rank=2),
    Column("facility kWh", _figure("facility_kwh"), rank=2),
)
_LAST = (
    Column("by", lambda r: str(r["method"]), rank=1, justify="left"),
    Column("known %", lambda r: percent(r["coverage"], 1, 1), rank=1),
    Column("missing", lambda r: (r["missing"] or "-").replace(",", " "), rank=2, justify="left"),
)
_PLAN = (
    Column("case", lambda r: str(r["case"]), justify="left"),
    Column("of", lambda r: str(r["of"]), justify="left"),
    Column("IT p50 kW", _figure("it_p50_kw"), rank=3),
    Column("IT p99 kW", _figure("it_p99_kw"), rank=2),
    Column("IT peak kW", _figure("it_peak_kw"), rank=2),
    Column("site p50 kW", _figure("site_p50_kw"), rank=2),
    Column("site p99 kW", _figure("site_p99_kw")),
    Column("site peak kW", _figure("site_peak_kw")),
    Column("rated kW", _figure("rated_kw"), rank=1),
    Column("left at p99 kW", _figure("left_p99_kw")),
    Column("left at peak kW", _figure("left_peak_kw")),
)
