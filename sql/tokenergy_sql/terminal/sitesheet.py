"""A year of the building as a sheet: quantities that Delegated Regulation (EU) 2024/1364 asks for.

In: `site_figure_by('year')` of a lake, for the site. Out: a CSV file, one row a quantity. What the
meters do not give stays empty, and its remark says why. Nothing is extrapolated to the whole year.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.output import require_writable, writing
from tokenergy_sql.catalog.asking import AnyLake, ask
from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.terminal.sitefigures import SITE, Wanted, require_figures

if TYPE_CHECKING:
    import duckdb

COLUMNS = (
    *("quantity", "symbol", "unit", "value", "low", "high"),
    *("coverage_of_year", "interim", "remark"),
)
"""Columns of the sheet."""

_YEARS = range(2000, 2100)
_SQL = "FROM site_figure_by('year', since := $since, until := $until) WHERE place = 'site'"


class _Line(NamedTuple):
    """A quantity: its name, symbol and unit, the figure it comes from and how.

    `side` is the sum of the figure that it is; empty: it is the quotient. `per_unit` is how many of
    the sum's base units (nJ, uL) make one unit.
    """

    quantity: str
    symbol: str
    unit: str
    figure: str
    side: str = ""
    per_unit: float = 1.0


_NJ_PER_KWH, _UL_PER_M3 = 3.6e15, 1e9

_LINES = (
    _Line("total energy consumption", "E_DC", "kWh", "facility", "above", _NJ_PER_KWH),
    _Line("energy consumption of the IT equipment", "E_IT", "kWh", "it", "above", _NJ_PER_KWH),
    _Line("total water input", "W_IN", "m3", "wue", "above", _UL_PER_M3),
    _Line("waste heat reused", "E_REUSE", "kWh", "erf", "above", _NJ_PER_KWH),
    _Line("renewable energy generated on the site", "", "kWh", "ref", "above", _NJ_PER_KWH),
    _Line("total renewable energy consumption", "E_RES-TOT", "kWh", ""),
    _Line("power usage effectiveness", "PUE", "1", "pue"),
    _Line("water usage effectiveness", "WUE", "L/kWh", "wue"),
    _Line("energy reuse factor", "ERF", "1", "erf"),
    _Line("renewable energy factor", "REF", "1", ""),
)

_QUOTIENT = ("value", "low", "high")

_NO_CONTRACTS = "not known here: contracts and guarantees of origin count too, and have no meter"
_NO_METER = "no meter of it is declared"


def write_sheet(lake: AnyLake, year: int, out: Path) -> int:
    """Write the sheet of a calendar year (UTC); return how many quantities have a value.

    Args:
        lake: the lake, indexed.
        year: the year.
        out: what to write; see `base.output.writing`.

    Raises:
        UserError: there is no such year, the lake has no figures of it, or the file cannot be
            written.
    """
    if year not in _YEARS:
        raise UserError(f"--year {year}: expected a year from {_YEARS[0]} to {_YEARS[-1]}")
    require_writable(out)
    since_us, until_us = (_start_us(one) for one in (year, year + 1))

    def read(con: duckdb.DuckDBPyConnection) -> list[NamedRow]:
        require_figures(lake, Wanted("year", since_us, until_us, SITE), con)
        return named_rows(con, _SQL, {"since": since_us, "until": until_us})

    figures = {row["figure"]: row for row in ask(lake, "site", read, _SQL)}
    lines = [_filled(line, figures) for line in _LINES]
    with writing(out) as path, path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    return sum(line["value"] is not None for line in lines)


def _start_us(year: int) -> int:
    return round(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000


def _filled(line: _Line, figures: Mapping[str, NamedRow]) -> dict[str, Any]:
    found = figures.get(line.figure)
    names = {"quantity": line.quantity, "symbol": line.symbol, "unit": line.unit}
    if found is None:
        remark = _NO_METER if line.figure else _NO_CONTRACTS
        return {**dict.fromkeys(COLUMNS), **names, "remark": remark}
    ends = ("", "_low", "_high")
    keys = [f"{line.side}{end}" for end in ends] if line.side else [*_QUOTIENT]
    amounts = [_in_unit(found[key], line) for key in keys]
    return {
        **names,
        **dict(zip(_QUOTIENT, amounts, strict=True)),
        "coverage_of_year": found["coverage_of_period"],
        "interim": found["interim"],
        "remark": "; ".join(_remarks(line, found)),
    }


def _in_unit(amount: Any, line: _Line) -> float | None:
    return None if amount is None else float(amount) / line.per_unit


def _remarks(line: _Line, found: NamedRow) -> Iterator[str]:
    if line.side and found["coverage_of_period"] < 1:
        yield "of the covered time alone: nothing is filled in"
    if found["pue_category"] is not None:
        yield f"PUE category {found['pue_category']}"
    if found["missing"]:
        yield f"not known all the time: {found['missing'].replace(',', ' ')}"
