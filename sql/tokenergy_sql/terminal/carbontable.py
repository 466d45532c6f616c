"""Carbon and cost on the terminal.

In: the rows of `carbonrows.carbon_rows`. Out: a table, CSV or JSON; an unknown value is a dash, or
empty, or null. Below the table, the 24/7 score of the site where it is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.catalog.asking import AnyLake
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.terminal.carbonrows import Wanted, carbon_rows
from tokenergy_sql.terminal.grid import Grid
from tokenergy_sql.terminal.output import Output, Part
from tokenergy_sql.terminal.table import Column, interval, percent, significant, table_of


def print_carbon(lake: AnyLake, wanted: Wanted, output: Output) -> None:
    """Print one row for each value, period and workload.

    Args:
        lake: the lake, indexed.
        wanted: which rows.
        output: in which form, and where.

    Raises:
        UserError: no hour in the time asked for, or see `carbon_rows`.
    """
    rows, site = carbon_rows(lake, wanted)
    if not rows:
        raise UserError("carbon: no job with a signal in this time")
    output.show(rows, lambda: carbon_parts(rows, site, wanted))


def carbon_parts(rows: Sequence[NamedRow], site: Sequence[NamedRow], wanted: Wanted) -> list[Part]:
    """Return what `carbon_rows` found as a table, and a line for each score of the site."""
    return [carbon_table(rows, wanted), *_site_lines(site)]


def carbon_table(rows: Sequence[NamedRow], wanted: Wanted) -> Grid:
    """Return the rows as a table: columns of what is declared, and no others."""
    kinds = {row["quantity"] for row in rows if row["quantity"]}
    title = "Energy, carbon and cost" if any(row["currency"] for row in rows) else "Carbon"
    if kinds:
        title += f" ({', '.join(sorted(kinds)).replace('carbon_', '')} carbon)"
    labels = [Column(wanted.by, lambda r: str(r["value"] or "-"), justify="left")]
    if wanted.period != "all":
        labels.insert(0, Column(wanted.period, lambda r: str(r["name"]), justify="left"))
    columns = [*labels, _workload(rows), Column("kWh", _figure("kwh"), rank=1)]
    columns += _CARBON if kinds else []
    columns += _SCI if any(row["embodied_g"] is not None for row in rows) else []
    columns += _COST if any(row["currency"] for row in rows) else []
    return table_of(title, rows, columns)


def _site_lines(site: Sequence[NamedRow]) -> list[str]:
    """Return a line for each period with a score."""
    return [
        f"24/7 CFE score of the site, {row['name']}: {significant(row['value'])} "
        f"{interval(row['low'], row['high'])}, of {100 * row['coverage_of_period']:.1f} % of the "
        "time"
        for row in site
        if row["value"] is not None
    ]


def _workload(rows: Sequence[NamedRow]) -> Column:
    """Return the column of workloads: always shown where it alone tells two rows apart."""
    keys = {(row["name"], row["value"], row["currency"]) for row in rows}
    rank = 0 if len(keys) < len(rows) else 2
    return Column("workload", lambda r: str(r["workload"]), rank=rank, justify="left")


def _figure(name: str) -> Callable[[NamedRow], str]:
    return lambda row: significant(row[name])


def _share(name: str) -> Callable[[NamedRow], str]:
    return lambda row: percent(row[name], 1, 1)


_CARBON = [
    Column("g CO2e", _figure("g")),
    Column("[low, high]", lambda r: interval(r["g_low"], r["g_high"]), rank=2),
    Column("g GPU", _figure("g_gpu"), rank=3),
    Column("g/1,000 tokens", _figure("g_per_1k"), rank=1),
    Column("known %", _share("carbon_known_share"), rank=2),
]
_SCI = [
    Column("embodied g", _figure("embodied_g"), rank=3),
    Column("SCI g/token", _figure("sci_g_per_token"), rank=2),
]
_COST = [
    Column("cost", _figure("money")),
    Column("[low, high]", lambda r: interval(r["money_low"], r["money_high"]), rank=2),
    Column("currency", lambda r: str(r["currency"] or "-"), justify="left"),
    Column("per 1M tokens", _figure("money_per_1m"), rank=1),
    Column("known %", _share("cost_known_share"), rank=3),
]
