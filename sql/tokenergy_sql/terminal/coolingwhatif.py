"""What-ifs: halls at other classes of cooling, with the user's own weather, beside what is metered.

In: the metered rows of halls, the site file, a weather file. Out: rows by column name: of each hall
what is measured, then the hall as it is and as it would be, both `modelled`. Unknown is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.catalog.asking import AnyLake, ask
from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.cooling.classes import CLASSES, CoolingClass, Rejection
from tokenergy_sql.cooling.coefficients import Coefficients
from tokenergy_sql.cooling.keys import CoolingKeys
from tokenergy_sql.cooling.plant import PARTS
from tokenergy_sql.cooling.weather import Weather
from tokenergy_sql.cooling.whatif import Modelled, Now, j_per_token, year_of
from tokenergy_sql.places import parse_place
from tokenergy_sql.terminal.coolingfigures import Known, cooling_rows
from tokenergy_sql.terminal.sitefigures import SITE, WORKLOADS, Wanted

_MOST_IT = """
SELECT place, max(above / covered_us) / 1e6 AS kw FROM site_hour
WHERE figure = 'it' AND covered_us >= 3564000000 GROUP BY place
"""
"""The most IT power of an hour that is known to 99 %, kW: nJ/us is mW."""

_SAME_TIME = 0.05

_COLUMNS = (
    *("place", "class", "method", "rejection", "free_hours", "free_air_hours", "hours"),
    *("cooling", "pue", *(f"{one}_tokenergy" for one in WORKLOADS)),
    *(f"{one}_te_gpu" for one in WORKLOADS),
    *("facility_change", "it_change", "liquid_share", "it_kwh", "cooling_kwh"),
    *(f"{part}_kwh" for part in PARTS),
    *("rest_per_it", "emulated"),
)


class Asked(NamedTuple):
    """What is asked for.

    Attributes:
        classes: the classes.
        rejection: tower or dry cooler for all of them; None: what is usual for each.
        weather: a year.
    """

    classes: Sequence[CoolingClass]
    rejection: Rejection | None
    weather: Weather


class _Hall(NamedTuple):
    """A hall, or the site: its metered row, and how it is cooled.

    Attributes:
        row: as `cooling_rows` has it.
        now: in the model's terms.
        supply: its class as it is; None: not declared.
        rejection: of that.
        share: part of the heat that goes to liquid where the class is of liquid.
        k: coefficients.
    """

    row: NamedRow
    now: Now
    supply: CoolingClass | None
    rejection: Rejection | None
    share: float
    k: Coefficients


def whatif_rows(lake: AnyLake, known: Known, wanted: Wanted, asked: Asked) -> list[NamedRow]:
    """Return what is measured and what is modelled of each hall; of the site, if it has no halls.

    Raises:
        UserError: no place has metered IT energy, or see `cooling_rows`.
    """
    rows = cooling_rows(lake, known, wanted._replace(place=None))
    if wanted.place is not None and wanted.place not in {row["place"] for row in rows}:
        # Says which places there are.
        cooling_rows(lake, known, wanted)
    chosen = [row for row in rows if _is_chosen(row, rows, wanted.place)]
    if not chosen:
        raise UserError("cooling: no place has metered IT energy: nothing to model")
    most = {
        row["place"]: row["kw"]
        for row in ask(lake, "cooling", lambda con: named_rows(con, _MOST_IT), _MOST_IT)
    }
    site = next((row for row in rows if row["place"] == SITE), None)
    return [
        found
        for row in chosen
        for found in _of_hall(_hall(row, site, most.get(row["place"]), known), asked)
    ]


def _is_chosen(row: NamedRow, rows: Sequence[NamedRow], place: str | None) -> bool:
    if not row["it_kwh"]:
        return False
    if place is not None:
        return bool(row["place"] == place)
    halls = any(one["place"].startswith("hall:") and one["it_kwh"] for one in rows)
    return bool(row["place"].startswith("hall:") if halls else row["place"] == SITE)


def _hall(row: NamedRow, site: NamedRow | None, most_kw: float | None, known: Known) -> _Hall:
    place, last_us = parse_place(row["place"]), row["to_us"] - 1
    path = known.places.at(last_us).path(place)
    held = known.declared.at(path, last_us)
    k = known.declared.coefficients(path, last_us)
    name = row["class"] or ("air" if row["cooled"] == "air" else None)
    supply = None if name is None else CLASSES[name]
    hours = (row["to_us"] - row["from_us"]) / 3.6e9 * row["it_coverage_of_period"]
    it_kw = row["it_kwh"] / hours
    share = _share(row, k)
    liquid = None if supply is None else share if supply.carrier == "liquid" else 0.0
    now = Now(
        it_kw, max(_rated(held, row) or most_kw or it_kw, it_kw), liquid, rest_per_it(row, site)
    )
    return _Hall(row, now, supply, None if supply is None else _declared(held, supply), share, k)


def _rated(held: Sequence[CoolingKeys], row: NamedRow) -> float | None:
    """Return what a place itself is rated for: that of the site says nothing of a hall."""
    own = (one.rated_kw for one in held if str(one.place) == row["place"])
    return next((one for one in own if one is not None), None)


def _declared(held: Sequence[CoolingKeys], supply: CoolingClass) -> Rejection:
    return next((one.rejection for one in held if one.rejection is not None), supply.rejection)


def _share(row: NamedRow, k: Coefficients) -> float:
    """Return the share of liquid: measured where it is, else the coefficient."""
    measured = row["liquid_share"]
    return k.liquid_share if not measured else min(max(measured, 0.0), 1.0)


def rest_per_it(row: NamedRow, site: NamedRow | None) -> float | None:
    """Return what else the building needs, over IT: of the hall, else of the site.

    Only where PUE and cooling are known for nearly the same time: one is taken off the other.
    """
    for one in (row, site):
        if one is None or one["pue"] is None or one["cooling"] is None:
            continue
        known = (one["pue_coverage_of_period"], one["cooling_coverage_of_period"])
        if abs(known[0] - known[1]) <= _SAME_TIME:
            return float(one["pue"] - 1 - one["cooling"])
    return None


def _of_hall(hall: _Hall, asked: Asked) -> Iterator[NamedRow]:
    yield _measured(hall.row)
    before = None
    if hall.supply is not None and hall.rejection is not None:
        before = _year(hall, hall.supply, hall.rejection, asked.weather)
        yield _modelled(hall.row, before, before)
    for supply in asked.classes:
        after = _year(hall, supply, asked.rejection or supply.rejection, asked.weather)
        yield _modelled(hall.row, before, after)


def _year(hall: _Hall, supply: CoolingClass, rejection: Rejection, weather: Weather) -> Modelled:
    share = hall.share if supply.carrier == "liquid" else 0.0
    return year_of(hall.now, supply, rejection, share, weather, hall.k)


def _measured(row: NamedRow) -> NamedRow:
    """Return what is metered, in the columns of a what-if."""
    found: NamedRow = dict.fromkeys(_COLUMNS)
    same = ("place", "class", "cooling", "pue", "liquid_share", "it_kwh", "emulated")
    found |= {name: row[name] for name in (*same, *(n for n in _COLUMNS if n in row))}
    found["method"] = "measured"
    return found


def _modelled(row: NamedRow, before: Modelled | None, after: Modelled) -> NamedRow:
    found: NamedRow = dict.fromkeys(_COLUMNS)
    found |= {
        "place": row["place"],
        "class": after.supply.name,
        "method": "modelled, as it is" if after is before else "modelled",
        "rejection": after.rejection,
        "free_hours": after.free_hours,
        "free_air_hours": after.free_air_hours,
        "hours": after.hours,
        "cooling": after.cooling_per_it,
        "pue": after.pue,
        "liquid_share": after.liquid_share,
        "it_kwh": after.it_kwh,
        "cooling_kwh": after.cooling_kwh,
        "rest_per_it": after.rest_per_it,
        "emulated": row["emulated"],
    }
    found |= {f"{part}_kwh": after.parts_kwh[part] for part in PARTS}
    for workload in WORKLOADS:
        measured = row[f"{workload}_tokenergy"]
        found[f"{workload}_tokenergy"] = j_per_token(measured, before, after)
        # Boards draw what they draw: the model changes what is around them.
        found[f"{workload}_te_gpu"] = row[f"{workload}_te_gpu"]
    if before is not None:
        found["it_change"] = after.it_kwh / before.it_kwh - 1
        if before.facility_kwh is not None and after.facility_kwh is not None:
            found["facility_change"] = after.facility_kwh / before.facility_kwh - 1
    return found
