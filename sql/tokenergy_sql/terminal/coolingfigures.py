"""Cooling as metered, one row a place and period: heat to liquid and air beside PUE and J/token.

In: the building's figures of a lake, and readings of flow and temperature. Out: rows by column
name, for the table, for CSV and for JSON. What is unknown is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.asking import AnyLake, ask
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.cooling.declared import Declared
from tokenergy_sql.cooling.hours import CoolingHour, cooling_hours
from tokenergy_sql.cooling.laws import ZERO_C_K
from tokenergy_sql.metering.amount import Amount, less, total
from tokenergy_sql.places import SITE, Place, Places, parse_place
from tokenergy_sql.terminal import halltokens
from tokenergy_sql.terminal.sitefigures import WORKLOADS, Wanted, site_rows

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_NJ_PER_KWH = 3.6e15
_WHOLE = 0.999
_ENDS = ("", "_low", "_high")
_OF_SITE = (
    *(f"cooling{end}" for end in _ENDS),
    *("cooling_coverage", "cooling_coverage_of_period"),
    *(f"pue{end}" for end in _ENDS),
    *("pue_coverage", "pue_coverage_of_period", "pue_category", "interim"),
    *(f"it_kwh{end}" for end in _ENDS),
    "it_coverage_of_period",
)
_OF_TOKENS = ("n_joint", "tokenergy", "te_low", "te_high", "te_gpu", "te_gpu_low", "te_gpu_high")
_READ = "SELECT meter_id, ts_us, value_n FROM meter WHERE ts_us >= $1 AND ts_us < $2"
_HOURS = "SELECT DISTINCT hour_us FROM site_hour WHERE hour_us >= $1 AND hour_us < $2"
TEXT = f"{_READ} {_HOURS} {halltokens.SQL}"
"""SQL of this module: the tables that it names are read."""


class Known(NamedTuple):
    """What the site file says.

    Attributes:
        places: with their meters.
        declared: how they are cooled.
    """

    places: Places
    declared: Declared


def cooling_rows(lake: AnyLake, known: Known, wanted: Wanted) -> list[NamedRow]:
    """Return what meters say of the cooling of each place and period.

    A row has `period`, `place`, `from_us`, `to_us`, `cooled` (air, liquid or mixed), `class`,
    `method` (measured; None where neither cooling, PUE nor heat is known); of `cooling`, `pue`,
    `it_kwh` and both workloads what `site_rows` has, for halls too; `heat_liquid_kwh`,
    `liquid_share`, `heat_air_kwh` and `air_share` with `_low` and `_high`;
    `heat_coverage_of_period`, `outdoor_c`, `outdoor_coverage_of_period`, `missing`,
    `cooling_shared`.

    Raises:
        UserError: see `site_rows`.
    """
    rows = site_rows(lake, wanted)

    def read(con: duckdb.DuckDBPyConnection) -> tuple[list[CoolingHour], list[NamedRow]]:
        periods = sorted({(row["from_us"], row["to_us"]) for row in rows})
        places = [parse_place(one) for one in dict.fromkeys(row["place"] for row in rows)]
        begin, end = min(one for one, _ in periods), max(until for _, until in periods)
        found = [*hours_of(lake, con, known, places, (begin, end))]
        # Nothing of a user's runs here, whose names they could take.
        views.define(con, views.UNITS)
        return found, halltokens.hall_tokens(con, known.places, periods)

    hours, tokens = ask(lake, "cooling", read, TEXT)
    by_place: dict[str, list[CoolingHour]] = {}
    for hour in hours:
        by_place.setdefault(str(hour.place), []).append(hour)
    of_halls = {(one["from_us"], one["place"], one["workload"]): one for one in tokens}
    found = [_wide(row, by_place.get(row["place"], []), of_halls, known) for row in rows]
    return [row | {"cooling_shared": shared_cooling(row, found)} for row in found]


def shared_cooling(row: NamedRow, rows: Sequence[NamedRow]) -> float | None:
    """Return what of the site's cooling stands in no hall, over the site's IT energy.

    Halls bear it in some proportion that no meter tells: it is the same number for each of them.
    None for the site and for modules, and where a meter does not cover the whole period: sums of
    different times are not subtracted.

    Args:
        row: of a hall.
        rows: all rows; those of the same period count.
    """
    same = [one for one in rows if one["from_us"] == row["from_us"]]
    site = next((one for one in same if one["place"] == "site"), None)
    if site is None or not row["place"].startswith("hall:") or not site["it_kwh"]:
        return None
    halls = [one for one in same if one["place"].startswith("hall:")]
    halls = [one for one in halls if one["cooling_coverage_of_period"] is not None]
    if site["cooling"] is None or any(_is_partly(one) for one in (site, *halls)):
        return None
    own = sum(one["cooling"] * one["it_kwh"] for one in halls)
    return max(float(site["cooling"] - own / site["it_kwh"]), 0.0)


def _is_partly(row: NamedRow) -> bool:
    """Return whether cooling or IT energy is not known in all of the period."""
    known = (row["cooling_coverage_of_period"], row["it_coverage_of_period"])
    return row["cooling"] is None or any(one is None or one < _WHOLE for one in known)


def hours_of(
    lake: AnyLake,
    con: duckdb.DuckDBPyConnection,
    known: Known,
    places: Iterable[Place],
    interval: tuple[int, int],
    powers: bool = False,
) -> Iterator[CoolingHour]:
    """Yield the hours of a lake in an interval, of some places; see `cooling_hours`.

    Args:
        lake: the lake.
        con: a connection to it.
        known: the site file.
        places: which.
        interval: first and last instant, microseconds UTC.
        powers: see `cooling_hours`.
    """

    def read(ids: Sequence[str], begin_us: int, end_us: int) -> pa.Table:
        if isinstance(lake, Lake):
            return _read_files(lake, ids, begin_us, end_us)
        sql = f"{_READ} AND meter_id IN (SELECT unnest($3::VARCHAR[]))"
        return con.sql(sql, params=[begin_us, end_us, [*ids]]).to_arrow_table()

    found = con.execute(_HOURS, [*interval]).fetchall()
    hours = [hour_us for (hour_us,) in found]
    yield from cooling_hours(known.places, known.declared, read, places, hours, powers)


def _read_files(lake: Lake, ids: Sequence[str], begin_us: int, end_us: int) -> pa.Table:
    """Return readings of some meters, hour by hour: SQL would look at all files for each day."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns, wanted = ["meter_id", "ts_us", "value_n"], pa.array([*ids], pa.string())
    parts = []
    for hour_us in range(begin_us - begin_us % HOUR_US, end_us, HOUR_US):
        rows = lake.read("meter", [hour_us], columns=columns)
        parts.append(rows.filter(pc.is_in(rows["meter_id"].cast(pa.string()), wanted)))
    return pa.concat_tables(parts)


def _wide(
    row: NamedRow,
    hours: Sequence[CoolingHour],
    tokens: Mapping[tuple[int, str, str], NamedRow],
    known: Known,
) -> NamedRow:
    """Return a row of `site_rows` with what is known of its hours' heat and weather."""
    hours = [one for one in hours if row["from_us"] <= one.hour_us < row["to_us"]]
    place = parse_place(row["place"])
    last_us = max((one.hour_us for one in hours), default=row["from_us"])
    wide = {name: row[name] for name in ("period", "place", "from_us", "to_us")}
    wide |= said_of(known, place, last_us)
    wide |= {name: row[name] for name in _OF_SITE}
    emulated = bool(row["emulated"])
    for workload in WORKLOADS:
        of_hall = tokens.get((row["from_us"], row["place"], workload), {})
        own = {name: row[f"{workload}_{name}"] for name in _OF_TOKENS}
        found = own if place == SITE else {name: of_hall.get(name) for name in _OF_TOKENS}
        wide |= {f"{workload}_{name}": value for name, value in found.items()}
        emulated = emulated or bool(of_hall.get("emulated"))
    left_out = {*(row["missing"] or "").split(","), *(m for one in hours for m in one.missing)}
    wide |= _heat(hours, row["to_us"] - row["from_us"])
    known_ones = (wide["cooling"], wide["pue"], wide["heat_liquid_kwh"])
    wide["method"] = None if all(one is None for one in known_ones) else "measured"
    wide["missing"] = ",".join(sorted(left_out - {""})) or None
    wide["emulated"] = emulated
    return wide


def said_of(known: Known, place: Place, ts_us: int) -> dict[str, Any]:
    """Return how a place is cooled by what the site file says: `cooled` and `class`."""
    tree = known.places.at(ts_us)
    spot, path = tree.spot(place), tree.path(place)
    held = known.declared.at(path, ts_us)
    return {
        "cooled": None if spot is None else spot.cooling,
        "class": next((one.class_ for one in held if one.class_ is not None), None),
    }


def _heat(hours: Sequence[CoolingHour], period_us: int) -> NamedRow:
    """Return heat to liquid and to air, sums over the time in which heat and IT are both known."""
    known = [(one.heat, one.it) for one in hours if one.heat is not None and one.it is not None]
    liquid = total(heat for heat, _ in known) if known else None
    it = total(it for _, it in known) if known else None
    air = None if liquid is None or it is None else less(it, liquid)
    covered_us = sum(one.covered_us for one in hours)
    warm = [one.means["outdoor_temp"] for one in hours if "outdoor_temp" in one.means]
    warm_us = sum(known_us for _, known_us in warm)
    return {
        "loops": max((one.loops for one in hours), default=0),
        **_kwh("heat_liquid_kwh", liquid),
        **_shares("liquid_share", liquid, it),
        **_kwh("heat_air_kwh", air),
        **_shares("air_share", air, it),
        "heat_coverage_of_period": covered_us / period_us if known else None,
        "outdoor_c": sum(one for one, _ in warm) / warm_us / 1e3 - ZERO_C_K if warm_us else None,
        "outdoor_coverage_of_period": warm_us / period_us if warm_us else None,
    }


def _kwh(name: str, amount: Amount | None) -> NamedRow:
    values = amount or (None, None, None)
    return {
        f"{name}{end}": None if value is None else value / _NJ_PER_KWH
        for end, value in zip(_ENDS, values, strict=True)
    }


def _shares(name: str, part: Amount | None, whole: Amount | None) -> NamedRow:
    """Return part over whole: the least over the most, and the reverse."""
    found: dict[str, float | None] = dict.fromkeys(f"{name}{end}" for end in _ENDS)
    if part is None or whole is None:
        return {**found}
    ends = {"": (part.value, whole.value)}
    if None not in (*part, *whole):
        # A part below 0, of meters that disagree, is least where the whole is least.
        for end, value, wholes in (
            ("_low", part.low, (whole.high, whole.low)),
            ("_high", part.high, (whole.low, whole.high)),
        ):
            ends[end] = (value or 0, wholes[0 if (value or 0) >= 0 else 1] or 0)
    for end, (above, below) in ends.items():
        found[f"{name}{end}"] = above / below if below > 0 else None
    return {**found}
