"""The cooling of a place in one hour by the model, for its modelled PUE.

In: how `[[cooling]]` says the place is cooled, its IT power, what outdoor meters read in the hour.
Out: energy with bounds, what it was worked out from, or why it is not known. Weather is that of the
hour, by readings: never that of a typical year.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.cooling.classes import CLASSES, CoolingClass, Rejection
from tokenergy_sql.cooling.coefficients import Coefficients
from tokenergy_sql.cooling.declared import Declared
from tokenergy_sql.cooling.hours import WEATHER, Read, cooling_hours
from tokenergy_sql.cooling.laws import ZERO_C_K, Floats
from tokenergy_sql.cooling.moistair import standard_pressure_pa, wet_bulb_c
from tokenergy_sql.cooling.plant import Hall, Outdoors, cooling_of
from tokenergy_sql.cooling.traces import runs_of, time_integral
from tokenergy_sql.metering.amount import Amount
from tokenergy_sql.metering.readings import NONE, by_meter
from tokenergy_sql.metering.stale import without_stale
from tokenergy_sql.places import Place, Places

_MW_PER_KW = 1e6
_MK_PER_K = 1e3
_PPM = 1e6
_LEAST_KNOWN_US = HOUR_US // 2

_ROUNDING = 1e-9
"""How far the model's floats may be off: bounds are wider by this share."""


@dataclass(frozen=True, slots=True)
class Found:
    """The cooling of an hour.

    Attributes:
        energy: in the time asked for; None: not known.
        inputs: what it was worked out from.
        reasons: why it is not known, or has no bounds.
    """

    energy: Amount | None
    inputs: dict[str, Any]
    reasons: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Plant:
    """How a place is cooled.

    Attributes:
        supply: its class.
        rejection: tower or dry cooler.
        rated_kw: heat that its plant is made for.
        elevation_m: for the pressure of the air.
        k: coefficients.
    """

    supply: CoolingClass
    rejection: Rejection
    rated_kw: float
    elevation_m: float
    k: Coefficients


def plant_of(places: Places, declared: Declared, place: Place, ts_us: int) -> Plant | None:
    """Return how a place is cooled as of an instant; None: its class or `rated_kw` is not said."""
    path = places.at(ts_us).path(place)
    held = declared.at(path, ts_us)
    name = next((one.class_ for one in held if one.class_ is not None), None)
    # What the plant of the site is made for is not what that of a hall is.
    rated = next((one.rated_kw for one in held if one.place == place), None)
    if name is None or rated is None:
        return None
    supply = CLASSES[name]
    rejection = next((one.rejection for one in held if one.rejection is not None), None)
    elevation = next((one.elevation_m for one in held if one.elevation_m is not None), 0.0)
    k = declared.coefficients(path, ts_us)
    return Plant(supply, rejection or supply.rejection, rated, elevation, k)


def cooling_energy(
    places: Places,
    declared: Declared,
    read: Read,
    place: Place,
    hour_us: int,
    it: Amount,
    covered_us: int,
    percent: Fraction | None,
) -> Found:
    """Return the cooling of a place in an hour.

    Args:
        places: with their meters.
        declared: how they are cooled.
        read: returns readings.
        place: the site or a hall.
        hour_us: start of the hour.
        it: IT energy in the time for which it is known: all of it is heat.
        covered_us: that time, above 0.
        percent: how far the model may be off; None: not told.
    """
    plant = plant_of(places, declared, place, hour_us)
    if plant is None:
        return Found(None, {}, frozenset({"no_class"}))
    weather = _weather(places, read, place, hour_us)
    if "outdoor_temp" not in weather:
        return Found(None, {}, frozenset({"no_weather"}))
    share = _liquid_share(places, declared, read, place, hour_us, plant)
    ends = [it.low, it.value, it.high]
    heat = np.array([0 if one is None else one for one in ends], np.float64)
    heat /= covered_us * _MW_PER_KW
    dry, wet = _outdoors(weather, plant.elevation_m)
    hall = Hall(plant.supply, plant.rejection, share, plant.rated_kw)
    power_kw = cooling_of(heat, Outdoors(dry, wet), hall, plant.k).total_kw
    inputs = _inputs(plant, weather, float(heat[1]), share, float(dry[1]), float(wet[1]))
    if not math.isfinite(power_kw[1]):
        return Found(None, inputs, frozenset({"no_humidity"}))
    reasons = {"no_cooling_accuracy"} if percent is None else set()
    if None in ends or not np.isfinite(power_kw).all():
        reasons.add("no_accuracy")
    return Found(_energy(power_kw, covered_us, percent, not reasons), inputs, frozenset(reasons))


def _energy(power_kw: Floats, covered_us: int, percent: Fraction | None, bounded: bool) -> Amount:
    value = math.floor(float(power_kw[1]) * _MW_PER_KW * covered_us)
    if not bounded or percent is None:
        return Amount(value, None, None)
    share = float(percent) / 100 + _ROUNDING
    least, most = (float(of(power_kw)) * _MW_PER_KW * covered_us for of in (np.min, np.max))
    low, high = math.floor(least * (1 - share)), math.ceil(most * (1 + share))
    return Amount(value, max(low, 0), high)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A mean over the hour in base units, how far it may be off (NaN: not told), and its meter."""

    mean: float
    error: float
    meter: str


def _weather(places: Places, read: Read, place: Place, hour_us: int) -> dict[str, _Reading]:
    """Return what the outdoor meter nearest to a place read, by role; half of the hour or more."""
    tree, meters = places.at(hour_us), places.meters.at(hour_us)
    path = tree.path(place)
    found = {}
    for role in WEATHER:
        near = [
            (-path.index(one.place), one.id)
            for one in meters.meters.values()
            if one.role == role and one.place in path
        ]
        if not near:
            continue
        meter_id = min(near)[1]
        rows = read([meter_id], hour_us - HOUR_US, hour_us + 2 * HOUR_US)
        readings = without_stale(dict(by_meter(rows)), meters)[0].get(meter_id, NONE)
        runs = runs_of(places.meters.by_id[meter_id], readings)
        whole, known_us = time_integral(runs, (hour_us, hour_us + HOUR_US))
        if known_us >= _LEAST_KNOWN_US:
            error = max(run.error() for run in runs)
            found[role] = _Reading(whole / known_us, error, meter_id)
    return found


def _outdoors(weather: Mapping[str, _Reading], elevation_m: float) -> tuple[Floats, Floats]:
    """Return the least, the mean and the most of dry and wet bulb, °C (3,) each."""
    signs = np.array([-1.0, 0.0, 1.0])
    dry = _ends(weather["outdoor_temp"], signs) / _MK_PER_K - ZERO_C_K
    nothing = np.full(3, np.nan)
    if "humidity" not in weather:
        return dry, nothing
    humidity = np.clip(_ends(weather["humidity"], signs) / _PPM, 0.0, 1.0)
    return dry, wet_bulb_c(dry, humidity, nothing, np.full(3, standard_pressure_pa(elevation_m)))


def _ends(reading: _Reading, signs: Floats) -> Floats:
    # An unknown error times 0 would take the mean away too.
    return np.array([reading.mean + (reading.error * one if one else 0.0) for one in signs])


def _liquid_share(
    places: Places, declared: Declared, read: Read, place: Place, hour_us: int, plant: Plant
) -> float:
    """Return the part of the heat that goes to liquid: metered in the hour, else declared."""
    if plant.supply.carrier != "liquid":
        return 0.0
    for hour in cooling_hours(places, declared, read, [place], [hour_us]):
        if hour.heat is not None and hour.it is not None and hour.it.value > 0:
            return min(max(hour.heat.value / hour.it.value, 0.0), 1.0)
    return plant.k.liquid_share


def _inputs(
    plant: Plant,
    weather: Mapping[str, _Reading],
    it_kw: float,
    share: float,
    dry_c: float,
    wet_c: float,
) -> dict[str, Any]:
    found = {
        "class": plant.supply.name,
        "rejection": plant.rejection,
        "rated_kw": plant.rated_kw,
        "it_kw": round(it_kw, 3),
        "outdoor_c": round(dry_c, 3),
        "weather_meters": sorted(one.meter for one in weather.values()),
    }
    if math.isfinite(wet_c):
        found["wet_bulb_c"] = round(wet_c, 3)
    if plant.supply.carrier == "liquid":
        found["liquid_share"] = round(share, 4)
    return found
