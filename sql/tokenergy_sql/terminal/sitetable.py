"""The building's figures on the terminal, with the J per token of the same time beside PUE.

In: the rows of `sitefigures.site_rows`. Out: a table, CSV or JSON; an unknown value is a dash, or
empty, or null.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tokenergy_collectors.lake.paths import show_hour
from tokenergy_sql.catalog.asking import AnyLake
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.terminal.grid import Grid
from tokenergy_sql.terminal.output import Output
from tokenergy_sql.terminal.sitefigures import FIGURES, WORKLOADS, Wanted, site_rows
from tokenergy_sql.terminal.table import (
    Column,
    interval,
    percent,
    significant,
    table_of,
)


def print_site(lake: AnyLake, wanted: Wanted, output: Output) -> None:
    """Print one row for each place and period.

    Args:
        lake: the lake, indexed.
        wanted: which figures.
        output: in which form, and where.

    Raises:
        UserError: see `site_rows`.
    """
    rows = site_rows(lake, wanted)
    output.show(rows, lambda: [site_table(rows, wanted.period)])


def site_table(rows: Sequence[NamedRow], period: str) -> Grid:
    """Return the figures as a table.

    Args:
        rows: one or more, as `site_rows` returns them.
        period: one of `PERIODS`: `all` needs no column of its own.
    """
    title = "Figures of the building"
    if period == "all":
        title += f", {show_hour(rows[0]['from_us'])} to {show_hour(rows[0]['to_us'])} UTC"
    if all(row["interim"] for row in rows):
        title += ", interim (not of a full calendar year)"
    labels = [_PLACE] if period == "all" else [_PERIOD, _PLACE]
    interim = [_INTERIM] if period == "year" else []
    more = [
        column
        for name, column in (_MODELLED | _OUTSIDE).items()
        if any(row[name] is not None for row in rows)
    ]
    shown = (*labels, *_PUE, *_tokens(rows), *more, *_REST, *interim, _MISSING)
    return table_of(title, rows, shown)


def _tokens(rows: Sequence[NamedRow]) -> list[Column]:
    """Return the columns of J per token: of workloads that occur, never mixed."""
    there = [one for one in WORKLOADS if any(row[f"{one}_n_joint"] is not None for row in rows)]
    return [
        Column(f"J/token {boundary} ({workload})", _figure(f"{workload}_{name}"), rank=rank)
        for workload in there or WORKLOADS[:1]
        for boundary, name, rank in (("facility", "tokenergy", 0), ("GPU", "te_gpu", 1))
    ]


def _figure(name: str) -> Callable[[NamedRow], str]:
    return lambda row: significant(row[name])


def _coverage(row: NamedRow) -> str:
    """Return how much of the period PUE is of; where there is no PUE, the least of any figure."""
    metered = [
        name for name in FIGURES if not name.endswith("modelled") and name not in ("cue", "cfe")
    ]
    known = [row[f"{name}_coverage_of_period"] for name in metered]
    pue = known[0]
    least = min((one for one in known if one is not None), default=None)
    return percent(least if pue is None else pue, 1, 2)


def _category(row: NamedRow) -> str:
    return "-" if row["pue_category"] is None else str(row["pue_category"])


def _error(row: NamedRow) -> str:
    error = row["pue_modelled_error"]
    return "-" if error is None else f"{100 * error:+.2f}"


_PERIOD = Column("period", lambda r: str(r["period"]), justify="left")
_PLACE = Column("place", lambda r: str(r["place"]), justify="left")
_PUE = (
    Column("PUE", _figure("pue")),
    Column("[low, high]", lambda r: interval(r["pue_low"], r["pue_high"]), rank=1),
    Column("category", _category, rank=2),
)
_MODELLED = {
    "pue_modelled": Column("PUE modelled", _figure("pue_modelled"), rank=1),
    "pue_modelled_low": Column(
        "[low, high]",
        lambda r: interval(r["pue_modelled_low"], r["pue_modelled_high"]),
        rank=2,
    ),
    "pue_modelled_error": Column("modelled vs measured %", _error, rank=1),
    "losses": Column("losses / IT", _figure("losses"), rank=2),
    "losses_modelled": Column("losses / IT, modelled", _figure("losses_modelled"), rank=2),
}
"""Columns that are there only if a row has a value of it."""

_REST = (
    Column("intake / IT", _figure("intake"), rank=2),
    Column("cooling / IT", _figure("cooling"), rank=1),
    Column("WUE L/kWh", _figure("wue_l_per_kwh"), rank=2),
    Column("ERF", _figure("erf"), rank=2),
    Column("REF", _figure("ref"), rank=2),
    Column("facility kWh", _figure("facility_kwh"), rank=2),
    Column("IT kWh", _figure("it_kwh"), rank=2),
    Column("covered %", _coverage, rank=1),
)
_OUTSIDE = {
    "cue_kg_per_kwh": Column("CUE kg/kWh", _figure("cue_kg_per_kwh"), rank=1),
    "cfe": Column("24/7 CFE", _figure("cfe"), rank=1),
}
"""Figures that need a signal of the grid: shown where there are any."""
_INTERIM = Column("interim", lambda r: "yes" if r["interim"] else "no", rank=1, justify="left")
_MISSING = Column(
    "missing", lambda r: (r["missing"] or "-").replace(",", " "), rank=2, justify="left"
)
