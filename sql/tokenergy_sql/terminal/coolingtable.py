"""Cooling on the terminal: what is metered, what-ifs, and fits.

In: rows of `coolingfigures`, `coolingwhatif` and `coolingfits`. Out: tables; an unknown value is a
dash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tokenergy_collectors.lake.paths import show_hour
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.terminal.grid import Grid
from tokenergy_sql.terminal.sitefigures import WORKLOADS
from tokenergy_sql.terminal.table import (
    Column,
    count,
    interval,
    percent,
    significant,
    table_of,
)


def cooling_table(rows: Sequence[NamedRow], period: str) -> Grid:
    """Return what is metered as a table.

    Args:
        rows: one or more, as `cooling_rows` returns them.
        period: that was asked for.
    """
    title = "Cooling, measured"
    if period == "all":
        title += f", {show_hour(rows[0]['from_us'])} to {show_hour(rows[0]['to_us'])} UTC"
    labels = [_PLACE] if period == "all" else [_PERIOD, _PLACE]
    return table_of(title, rows, (*labels, *_SAID, *_SIDE, *_tokens(rows), *_HEAT))


def whatif_table(rows: Sequence[NamedRow], weather: str) -> Grid:
    """Return what-ifs as a table; the rows are those of `whatif_rows`."""
    title = f"Cooling at other classes, modelled with the weather of {weather}"
    return table_of(
        title, rows, (_PLACE, *_MODELLED_SAID, *_MODELLED, *_tokens(rows, 1), *_MODELLED_REST)
    )


def fit_table(rows: Sequence[NamedRow]) -> Grid:
    """Return fits as a table; the rows are those of `fit_rows`."""
    return table_of("Coefficients of cooling, fitted to metered hours", rows, _FIT)


def _tokens(rows: Sequence[NamedRow], second: int = 0) -> list[Column]:
    """Return the columns of J per token: of workloads that occur, never mixed.

    Args:
        rows: of the table.
        second: rank of the facility's figure of workloads after the first.
    """
    there = [
        one for one in WORKLOADS if any(row.get(f"{one}_tokenergy") is not None for row in rows)
    ]
    more = [one for one in WORKLOADS if any(row.get(f"{one}_te_gpu") is not None for row in rows)]
    workloads = [one for one in WORKLOADS if one in (*there, *more)] or WORKLOADS[:1]
    return [
        Column(f"J/token {boundary} ({workload})", _figure(f"{workload}_{name}"), rank=rank)
        for place, workload in enumerate(workloads)
        for boundary, name, rank in (
            ("facility", "tokenergy", second if place else 0),
            ("GPU", "te_gpu", 1),
        )
    ]


def _figure(name: str, digits: int = 4) -> Callable[[NamedRow], str]:
    return lambda row: significant(row[name], digits)


def _bounds(name: str) -> Callable[[NamedRow], str]:
    return lambda row: interval(row[f"{name}_low"], row[f"{name}_high"])


def _per_cent(name: str, digits: int = 1) -> Callable[[NamedRow], str]:
    return lambda row: percent(row[name], 1, digits)


def _per_cents(name: str) -> Callable[[NamedRow], str]:
    def cell(row: NamedRow) -> str:
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        return interval(*(None if one is None else 100 * one for one in (low, high)))

    return cell


def _text(name: str) -> Callable[[NamedRow], str]:
    return lambda row: str(row[name]) if row[name] is not None else "-"


def _change(name: str) -> Callable[[NamedRow], str]:
    return lambda row: "-" if row[name] is None else f"{100 * row[name]:+.1f}"


_PERIOD = Column("period", _text("period"), justify="left")
_PLACE = Column("place", _text("place"), justify="left")
_SAID = (
    Column("cooled by", _text("cooled"), rank=2, justify="left"),
    Column("class", _text("class"), rank=2, justify="left"),
)
_SIDE = (
    Column("cooling / IT", _figure("cooling")),
    Column("[low, high]", _bounds("cooling"), rank=2),
    Column("shared / IT", _figure("cooling_shared"), rank=1),
    Column("PUE", _figure("pue")),
    Column("[low, high]", _bounds("pue"), rank=2),
)
_HEAT = (
    Column("heat to liquid %", _per_cent("liquid_share")),
    Column("[low, high]", _per_cents("liquid_share"), rank=1),
    Column("to air %", _per_cent("air_share"), rank=1),
    Column("liquid kWh", _figure("heat_liquid_kwh"), rank=2),
    Column("IT kWh", _figure("it_kwh"), rank=2),
    Column("outdoor °C", _figure("outdoor_c", 3), rank=1),
    Column("heat covered %", _per_cent("heat_coverage_of_period", 2), rank=2),
    Column("method", _text("method"), rank=1, justify="left"),
    Column("missing", lambda r: (r["missing"] or "-").replace(",", " "), rank=2, justify="left"),
)
_MODELLED_SAID = (
    Column("class", _text("class"), justify="left"),
    Column("method", _text("method"), justify="left"),
    Column("heat to", _text("rejection"), rank=1, justify="left"),
)
_MODELLED = (
    Column("no chiller, h", lambda r: count(r["free_hours"])),
    Column("of h", lambda r: count(r["hours"]), rank=2),
    Column("cooling / IT", _figure("cooling"), rank=1),
    Column("PUE", _figure("pue")),
)
_MODELLED_REST = (
    Column("facility energy %", _change("facility_change"), rank=1),
    Column("IT energy %", _change("it_change"), rank=1),
    Column("liquid %", _per_cent("liquid_share"), rank=1),
    Column("cooling kWh", _figure("cooling_kwh"), rank=2),
    Column("chiller kWh", _figure("chiller_kwh"), rank=2),
    Column("IT kWh", _figure("it_kwh"), rank=2),
)
_FIT = (
    _PLACE,
    Column("machine", _text("machine"), justify="left"),
    Column("coefficient", _text("coefficient"), justify="left"),
    Column("value", _figure("value")),
    Column("± standard error", _figure("standard_error", 2), rank=1),
    Column("unit", _text("unit"), rank=2, justify="left"),
    Column("now", _figure("now"), rank=2),
    Column("hours", lambda r: count(r["hours"]), rank=2),
    Column("residual %", _figure("residual_percent", 2), rank=2),
    Column("why not", _text("refused"), justify="left"),
)
