"""The building's figures, one row a place and period, with the J per token of the same time.

In: `site_figure_by` and `site_tokens_by` of a lake. Out: rows by column name, for the table,
for CSV and for JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.paths import show_hour
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.asking import AnyLake, ask
from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.catalog.sqlfile import read_sql

if TYPE_CHECKING:
    import duckdb

PERIODS = ("hour", "day", "week", "month", "year", "all")
"""Lengths of time that figures are given for; see `site_figure_by`."""

FIGURES = {
    "pue": "pue",
    "intake": "intake",
    "cooling": "cooling",
    "other": "other",
    "losses": "losses",
    "losses_modelled": "losses_modelled",
    "pue_modelled": "pue_modelled",
    "wue": "wue_l_per_kwh",
    "erf": "erf",
    "ref": "ref",
    "cue": "cue_kg_per_kwh",
    "cfe": "cfe",
    "facility": "facility_kwh",
    "it": "it_kwh",
}
"""Names of figures in the lake, and of their columns, with the unit where it is no ratio."""

WORKLOADS = ("inference", "training")
"""Their J per token are never mixed."""

SITE = "site"
"""The place that is the whole site."""

_OF_FIGURE = {"": "value", "_low": "low", "_high": "high"}
_COVERAGES = ("coverage", "coverage_of_period")
_OF_TOKENS = ("n_joint", "tokenergy", "te_low", "te_high", "te_gpu", "te_gpu_low", "te_gpu_high")

_PLACES = "SELECT place, min(hour_us), max(hour_us) FROM site_hour GROUP BY place ORDER BY place"
_TOKENS = "FROM site_tokens_by($period, since := $since, until := $until)"
_FIGURES = "FROM site_figure_by($period, since := $since, until := $until)"
_COMPARED = read_sql("tokenergy_sql.terminal", "site_compared")


class Wanted(NamedTuple):
    """What is asked for.

    Attributes:
        period: one of `PERIODS`.
        since_us: the first hour; None: from the first of the lake on.
        until_us: the hour after the last one; None: to the last of the lake.
        place: the only place: `site`, `hall:NAME` or `module:NAME`; None: all.
    """

    period: str = "all"
    since_us: int | None = None
    until_us: int | None = None
    place: str | None = None


def site_rows(lake: AnyLake, wanted: Wanted) -> list[NamedRow]:
    """Return the figures of each place and period.

    A row has `period`, `place`, `from_us`, `to_us`; of each of `FIGURES` the value, `_low`,
    `_high`, `_coverage` (of the hours that have it) and `_coverage_of_period`; `pue_category`,
    `interim`, `missing`; and for each of `WORKLOADS` its tokens and J per token, under the names
    that `tokenergy_by` gives them, such as `inference_te_gpu`: of the whole site, in the hours in
    which its PUE is known. `pue_modelled_error` is the modelled over the measured PUE, less 1, in
    the `pue_compared_hours` of which both are known. What is unknown is None.

    Raises:
        UserError: the lake has no such figures; the message says which it has, or what to do.
    """
    if wanted.period not in PERIODS:
        raise UserError(f"--by {wanted.period!r}: expected {', '.join(PERIODS[:-1])} or all")

    def read(con: duckdb.DuckDBPyConnection) -> list[NamedRow]:
        require_figures(lake, wanted, con)
        window = {"period": wanted.period, "since": wanted.since_us, "until": wanted.until_us}
        figures = named_rows(con, _FIGURES, window)
        rows = _joined(figures, named_rows(con, _TOKENS, window))
        del window["period"]
        # Nothing of a user's runs here, whose macros this could take.
        views.define(con, views.UNITS)
        both = named_rows(con, _COMPARED, window)
        return [row | _compared(row, both) for row in rows]

    rows = ask(lake, "site", read, f"{_FIGURES} {_TOKENS} {_COMPARED}")
    return [row for row in rows if wanted.place in (None, row["place"])]


def _compared(row: NamedRow, both: Iterable[NamedRow]) -> NamedRow:
    """Return how far the modelled PUE of a row is off the measured one, in hours that have both."""
    hours = [
        one
        for one in both
        if one["place"] == row["place"] and row["from_us"] <= one["hour_us"] < row["to_us"]
    ]

    def pue(how: str) -> float:
        above, below = (sum(one[f"{how}_{side}"] for one in hours) for side in ("above", "below"))
        return above / below if below > 0 else 0.0

    measured = pue("measured")
    error = pue("modelled") / measured - 1 if measured > 0 else None
    return {"pue_modelled_error": error, "pue_compared_hours": len(hours)}


def require_figures(lake: AnyLake, wanted: Wanted, con: duckdb.DuckDBPyConnection) -> None:
    """Return if a lake, on this connection, has figures of the place and the time.

    Raises:
        UserError: it has none.
    """
    places = con.execute(_PLACES).fetchall()
    if not places:
        raise UserError(
            f"lake {_name(lake)}: has no figures of the building: declare [[meter]] in site.toml, "
            "let a collector read the meters over Modbus TCP or import their readings, then run "
            "`tokenergy index` (docs/building.md)"
        )
    known = [place for place, _, _ in places]
    if wanted.place is not None and wanted.place not in known:
        raise UserError(f"--place {wanted.place!r}: the lake has figures of {', '.join(known)}")
    asked = [one for one in places if wanted.place in (None, one[0])]
    first_us, end_us = min(one[1] for one in asked), max(one[2] for one in asked) + HOUR_US
    since_us = first_us if wanted.since_us is None else wanted.since_us
    until_us = end_us if wanted.until_us is None else wanted.until_us
    there = f"the lake has them from {show_hour(first_us)} to {show_hour(end_us)}"
    if since_us >= end_us:
        raise UserError(f"--from {show_hour(since_us)}: no figures of the building; {there}")
    if until_us <= first_us:
        raise UserError(f"--to {show_hour(until_us)}: no figures of the building; {there}")
    if since_us >= until_us:
        raise UserError(f"--from {show_hour(since_us)}: is not before --to {show_hour(until_us)}")


def _name(lake: AnyLake) -> str:
    return str(getattr(lake, "root", None) or getattr(lake, "url", ""))


def _joined(figures: Iterable[NamedRow], tokens: Iterable[NamedRow]) -> list[NamedRow]:
    """Return one row a place and period; its figures are side by side."""
    of_period: dict[int, dict[str, NamedRow]] = {}
    for row in tokens:
        of_period.setdefault(row["from_us"], {})[row["workload"]] = row
    grouped: dict[tuple[int, str], dict[str, NamedRow]] = {}
    for row in figures:
        grouped.setdefault((row["from_us"], row["place"]), {})[row["figure"]] = row
    order = sorted(grouped, key=lambda key: (key[0], key[1] != SITE, key[1]))
    return [
        _wide(grouped[key], of_period.get(key[0], {}) if key[1] == SITE else {}) for key in order
    ]


def _wide(figures: dict[str, NamedRow], tokens: dict[str, NamedRow]) -> NamedRow:
    one = next(iter(figures.values()))
    missing = {name for row in figures.values() for name in (row["missing"] or "").split(",")}
    wide = {
        "period": one["name"],
        "place": one["place"],
        "from_us": one["from_us"],
        "to_us": one["to_us"],
    }
    for name, column in FIGURES.items():
        row = figures.get(name, {})
        wide |= {f"{column}{end}": row.get(key) for end, key in _OF_FIGURE.items()}
        wide |= {f"{name}_{key}": row.get(key) for key in _COVERAGES}
    wide["pue_category"] = figures.get("pue", {}).get("pue_category")
    wide["interim"] = any(row["interim"] for row in figures.values())
    wide["missing"] = ",".join(sorted(missing - {""})) or None
    for workload in WORKLOADS:
        row = tokens.get(workload, {})
        wide |= {f"{workload}_{name}": row.get(name) for name in _OF_TOKENS}
    wide["emulated"] = any(row["emulated"] for row in tokens.values())
    return wide
