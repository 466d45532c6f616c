"""Fits of the cooling model to what is metered, one row a place, machine and coefficient.

In: metered hours of a lake, the site file. Out: rows by column name; a machine that cannot be
fitted has one row that says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.catalog.asking import AnyLake, ask
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.cooling.classes import CLASSES, Rejection
from tokenergy_sql.cooling.coefficients import ABOUT, Coefficients
from tokenergy_sql.cooling.fit import Fit
from tokenergy_sql.cooling.fithall import fits_of
from tokenergy_sql.cooling.hours import CoolingHour
from tokenergy_sql.places import parse_place
from tokenergy_sql.terminal.coolingfigures import TEXT, Known, hours_of
from tokenergy_sql.terminal.sitefigures import SITE, Wanted, site_rows

if TYPE_CHECKING:
    import duckdb


def fit_rows(
    lake: AnyLake, known: Known, wanted: Wanted, rejection: Rejection | None
) -> list[NamedRow]:
    """Return the coefficients of each place that meters can tell, and why others cannot be told.

    Args:
        lake: the lake, indexed.
        known: the site file.
        wanted: which time and place; of all places, those with a loop or with cooling of their own.
        rejection: tower or dry cooler; None: what is declared, or usual for the class.

    Raises:
        UserError: no place has metered cooling, or see `site_rows`.
    """
    rows = site_rows(lake, wanted)
    begin, end = min(row["from_us"] for row in rows), max(row["to_us"] for row in rows)
    places = [parse_place(row["place"]) for row in rows if row["place"] == wanted.place]
    if not places:
        places = [
            parse_place(row["place"])
            for row in rows
            if row["cooling"] is not None and (row["place"] == SITE or ":" in row["place"])
        ]

    def read(con: duckdb.DuckDBPyConnection) -> list[CoolingHour]:
        return [*hours_of(lake, con, known, places, (begin, end), powers=True)]

    hours = ask(lake, "cooling", read, TEXT)
    found = []
    for place in places:
        of_place = [one for one in hours if one.place == place]
        path = known.places.at(end - 1).path(place)
        held = known.declared.at(path, end - 1)
        k = known.declared.coefficients(path, end - 1)
        name = next((one.class_ for one in held if one.class_ is not None), None)
        supply = None if name is None else CLASSES[name]
        declared = next((one.rejection for one in held if one.rejection is not None), None)
        usual = declared or (supply.rejection if supply else "tower")
        water_c = None if supply is None else supply.supply_c
        if supply is not None and supply.carrier == "air":
            water_c = supply.supply_c - k.coil_approach_k
        own = (one.rated_kw for one in held if one.place == place)
        height = (one.elevation_m for one in held)
        fits = fits_of(
            of_place,
            rejection or usual,
            water_c,
            next((one for one in own if one is not None), None),
            next((one for one in height if one is not None), 0.0),
            k,
        )
        found += [row for fit in fits for row in _rows(str(place), fit, k)]
    if not found:
        raise UserError("cooling: no place has metered cooling: nothing to fit")
    emulated = any(row["emulated"] for row in rows)
    return [row | {"emulated": emulated} for row in found]


def _rows(place: str, fit: Fit, k: Coefficients) -> Iterator[NamedRow]:
    of_fit = {
        "hours": fit.hours,
        "residual_percent": None if fit.residual is None else 100 * fit.residual,
        "refused": fit.refused,
        "method": "fitted" if fit.found else None,
        "emulated": False,
    }
    empty = dict.fromkeys(("coefficient", "value", "standard_error", "unit", "now"))
    if not fit.found:
        yield {"place": place, "machine": fit.machine, **empty, **of_fit}
    for one in fit.found:
        yield {
            "place": place,
            "machine": fit.machine,
            "coefficient": one.name,
            "value": one.value,
            "standard_error": one.error,
            "unit": ABOUT[one.name].unit,
            "now": getattr(k, one.name),
            **of_fit,
        }
