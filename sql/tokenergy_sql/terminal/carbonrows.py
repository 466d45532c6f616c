"""Carbon and cost side by side: one row a value, period and workload.

In: `carbon_by` and `cost_by` of a lake. Out: rows by column name, for the table, for CSV and JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.catalog.asking import AnyLake, ask
from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.terminal.sitefigures import PERIODS

if TYPE_CHECKING:
    import duckdb

DIMENSIONS = ("job", "model", "user", "account", "workload", "all")
"""What rows are grouped by."""

QUANTITIES = ("average", "marginal")
"""Kinds of carbon intensity; they are never added."""

_CARBON = "FROM carbon_by($dimension, $period, since := $since, until := $until, quantity := $kind)"
_COST = "FROM cost_by($dimension, $period, since := $since, until := $until)"
_SITE = "FROM site_figure_by($period, since := $since, until := $until) WHERE figure = 'cfe'"
_THERE = "SELECT DISTINCT purpose, quantity FROM job_signal_hour"
_OF_CARBON = (
    *("quantity", "g", "g_low", "g_high", "g_gpu", "embodied_g", "g_per_1k"),
    *("g_per_1k_low", "g_per_1k_high", "sci_g_per_token"),
)
_OF_COST = (
    *("currency", "money", "money_low", "money_high", "money_gpu"),
    *("money_per_1m", "money_per_1m_low", "money_per_1m_high"),
)


_Key = tuple[str, str | None, str]
"""Period, value and workload of a row."""


class Wanted(NamedTuple):
    """What is asked for.

    Attributes:
        by: one of `DIMENSIONS`.
        period: one of `PERIODS`.
        since_us, until_us: the first hour and the hour after the last one; None: all.
        kind: average or marginal; None: the only one that there is.
    """

    by: str = "job"
    period: str = "all"
    since_us: int | None = None
    until_us: int | None = None
    kind: str | None = None


def carbon_rows(lake: AnyLake, wanted: Wanted) -> tuple[list[NamedRow], list[NamedRow]]:
    """Return the rows, and those of the site's score of clean energy, one a period.

    A row has `name` (the period), `value`, `workload`, `kwh`; of carbon and of cost what the macros
    give, under their names, with `carbon_known_share` and `cost_known_share`. What is unknown is
    None.

    Raises:
        UserError: an option is none of its values; the lake has no signals; or its hours have
            average and marginal carbon, and none is named.
    """
    for option, given, known in (
        ("--by", wanted.by, DIMENSIONS),
        ("--period", wanted.period, PERIODS),
        ("--kind", wanted.kind, (*QUANTITIES, None)),
    ):
        if given not in known:
            expected = ", ".join(one for one in known if one)
            raise UserError(f"{option} {given!r}: expected {expected}")
    window = {"period": wanted.period, "since": wanted.since_us, "until": wanted.until_us}
    rows_of = {**window, "dimension": wanted.by}
    kind = None if wanted.kind is None else f"carbon_{wanted.kind}"

    def read(con: duckdb.DuckDBPyConnection) -> tuple[list[NamedRow], list[NamedRow]]:
        there = {*con.execute(_THERE).fetchall()}
        _check(there, wanted.kind)
        carbon = named_rows(con, _CARBON, {**rows_of, "kind": kind})
        return _joined(carbon, named_rows(con, _COST, rows_of)), named_rows(con, _SITE, window)

    return ask(lake, "carbon", read, f"{_CARBON} {_COST} {_SITE} {_THERE}")


def _check(there: set[tuple[str, str]], kind: str | None) -> None:
    """Check that a lake has figures, and that what would mix two questions is not asked.

    Raises:
        UserError: it has none, or both kinds of carbon and neither is named.
    """
    if not there:
        raise UserError(
            "carbon: the lake has no job with a signal: import one with `tokenergy-collect import "
            "signal`, name it in [[signal]] of site.toml, then run `tokenergy index` "
            "(docs/signals.md)"
        )
    kinds = {quantity for purpose, quantity in there if purpose == "carbon"}
    if len(kinds) > 1 and kind is None:
        raise UserError(
            "carbon: the lake has hours with average and hours with marginal carbon. They answer "
            "different questions and are never added: name one, --kind average or --kind marginal"
        )


def _joined(carbon: list[NamedRow], cost: list[NamedRow]) -> list[NamedRow]:
    """Return carbon and cost of one value, period and workload as one row; a row a currency."""
    of_carbon = {_key(row): row for row in carbon}
    of_cost: dict[_Key, list[NamedRow]] = {}
    for row in cost:
        of_cost.setdefault(_key(row), []).append(row)
    rows = [
        _row(of_carbon.get(key, {}), one)
        for key in {**of_carbon, **of_cost}
        for one in of_cost.get(key, [{}])
    ]
    return sorted(rows, key=lambda row: (row["name"], row["workload"], -(row["kwh"] or 0)))


def _key(row: NamedRow) -> _Key:
    return row["name"], row["value"], row["workload"]


def _row(carbon: NamedRow, cost: NamedRow) -> NamedRow:
    either = carbon or cost
    return {
        **{name: either[name] for name in ("name", "value", "workload", "kwh")},
        **{name: carbon.get(name) for name in _OF_CARBON},
        "carbon_known_share": carbon.get("known_share"),
        **{name: cost.get(name) for name in _OF_COST},
        "cost_known_share": cost.get("known_share"),
        "emulated": bool(carbon.get("emulated") or cost.get("emulated")),
    }
