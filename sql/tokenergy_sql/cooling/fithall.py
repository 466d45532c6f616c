"""Fits of all machines of a place, from its metered hours.

In: `hours.cooling_hours` with powers, how the place is cooled. Out: a `Fit` for each machine: its
coefficients under the names that `[cooling.coefficients]` has, or why they cannot be told.

Machines that stand in a hall are fitted to the hall's heat, those that stand in none to the site's.
The heat of a place is that of its loops; where it has none, its IT energy (and the heat of the site
is not that of its halls' loops). What loops do not carry goes to air.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tokenergy_sql.cooling.classes import Rejection
from tokenergy_sql.cooling.coefficients import Coefficients
from tokenergy_sql.cooling.fit import Fit, Fitted, fit_affinity, fit_chiller
from tokenergy_sql.cooling.hours import CoolingHour, column
from tokenergy_sql.cooling.laws import ZERO_C_K, Floats, rejection_flow
from tokenergy_sql.cooling.moistair import standard_pressure_pa, wet_bulb_c

_MK_PER_K = 1_000.0
_PPM = 1e6

_RUNNING = 0.02
"""A chiller that draws less than this part of its most stands by."""


def fits_of(
    hours: Sequence[CoolingHour],
    rejection: Rejection,
    supply_c: float | None,
    rated_kw: float | None,
    elevation_m: float,
    k: Coefficients,
) -> list[Fit]:
    """Return the fit of each machine that has a meter.

    Args:
        hours: of one place, ascending.
        rejection: tower or dry cooler.
        supply_c: of its class, where no meter of supply temperature is there; None: unknown.
        rated_kw: heat that the plant is made for, to liquid and to air together; each has the part
            of it that it has of IT energy. None: that of the hour with most.
        elevation_m: for the pressure of the air.
        k: coefficients that are not fitted.
    """
    it = column(hours, "it")
    liquid, every = column(hours, "liquid"), column(hours, "heat")
    heat = every if any(one.own_loops for one in hours) else it
    to_air = it - liquid if any(one.loops for one in hours) else it
    outdoor = outdoor_c(hours, rejection, elevation_m)
    supply = _means_c(hours, "supply_temp")
    if supply_c is not None:
        supply = np.where(np.isfinite(supply), supply, supply_c)
    rated, rated_air = (_rated(of, it, rated_kw) for of in (heat, to_air))
    chiller = column(hours, "chiller")
    rejected = heat + np.where(np.isfinite(chiller), chiller, 0.0)
    approach_k = k.tower_approach_k if rejection == "tower" else k.dry_approach_k
    flow = rejection_flow(rejected / rated, approach_k, supply - outdoor, 0.0)
    tower = "tower_fan_w_per_kw" if rejection == "tower" else "dry_fan_w_per_kw"
    fits = [
        _affinity("pump", ("pump_w_per_kw", "pump_exponent"), heat / rated, hours, rated, k),
        _affinity("fan", ("fan_w_per_kw", "fan_exponent"), to_air / rated_air, hours, rated_air, k),
        _affinity("tower", (tower, "fan_exponent"), flow, hours, rated, k),
        _chiller(heat, chiller, outdoor, supply, rated, approach_k, k),
    ]
    there = frozenset[str]().union(*(one.machines for one in hours))
    return [fit for fit in fits if fit.machine in there]


def outdoor_c(hours: Sequence[CoolingHour], rejection: Rejection, elevation_m: float) -> Floats:
    """Return the temperature that heat goes to: wet bulb of a tower, else dry bulb, °C (n,)."""
    dry = _means_c(hours, "outdoor_temp")
    if rejection == "dry":
        return dry
    humidity = np.array([_or_nan(one.mean("humidity")) / _PPM for one in hours], np.float64)
    pressure = np.full(len(dry), standard_pressure_pa(elevation_m))
    return wet_bulb_c(dry, humidity, np.full(len(dry), np.nan), pressure)


def _affinity(
    machine: str,
    names: tuple[str, str],
    flow: Floats,
    hours: Sequence[CoolingHour],
    rated_kw: float,
    k: Coefficients,
) -> Fit:
    power = column(hours, machine)
    if not np.isfinite(power).any():
        return Fit(machine, refused=f"no hour has all meters of the role {machine}")
    # Slower than this a machine does not turn, whatever the flow: such hours say nothing.
    return fit_affinity(
        machine, names, np.where(flow > k.least_speed, flow, np.nan), power, rated_kw
    )


def _chiller(
    heat: Floats,
    power: Floats,
    outdoor: Floats,
    supply: Floats,
    rated_kw: float,
    approach_k: float,
    k: Coefficients,
) -> Fit:
    missing = [
        what
        for what, of in (
            ("all meters of the role chiller", power),
            ("the outdoor temperature, and for a tower the humidity", outdoor),
            ("the supply temperature; give the place a class", supply),
        )
        if not np.isfinite(of).any()
    ]
    if missing:
        return Fit("chiller", refused=f"no hour has {missing[0]}")
    steady = _steady(power)
    fit = fit_chiller(
        heat,
        np.where(steady, power, np.nan),
        outdoor,
        supply,
        rated_kw,
        k.evaporator_approach_k,
        k.least_lift_k,
    )
    # The site file has the approach in two parts, of which only the sum can be told.
    found = tuple(
        Fitted("condenser_approach_k", one.value - approach_k, one.error)
        if one.name == "lift_approach_k"
        else one
        for one in fit.found
    )
    return Fit(fit.machine, found, fit.hours, fit.residual, fit.refused)


def _steady(power: Floats) -> np.ndarray:
    """Return in which hours a chiller ran all the time: it runs, and did before and after."""
    known = np.where(np.isfinite(power), power, 0.0)
    runs = known > _RUNNING * known.max(initial=0.0)
    beside = np.concatenate([[True], runs, [True]])
    return np.asarray(runs & beside[:-2] & beside[2:])


def _means_c(hours: Sequence[CoolingHour], name: str) -> Floats:
    return np.array([_or_nan(one.mean(name)) / _MK_PER_K - ZERO_C_K for one in hours], np.float64)


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _rated(part: Floats, it: Floats, rated_kw: float | None) -> float:
    """Return the most heat that a part of the plant is made for, kW; NaN where nothing is known."""
    known = np.isfinite(part) & np.isfinite(it) if rated_kw else np.isfinite(part)
    if not known.any():
        return np.nan
    if rated_kw is None:
        return float(part[known].max())
    return float(rated_kw * part[known].sum() / it[known].sum())
