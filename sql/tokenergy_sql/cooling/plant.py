"""A hall's cooling by hour: what its fans, pumps, towers and chillers would draw. All is modelled.

In: heat, outdoor temperatures, the hall, coefficients. Out: kW by part, and in which hours no
chiller runs. Liquid and air each go their own way:

- liquid is cooled by a tower or dry cooler alone while the supply temperature can be held by it,
  else by a chiller that rejects its heat there: all or nothing;
- air is outside air while that is cool enough, else it is cooled by chilled water.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenergy_sql.cooling.classes import CLASSES, CoolingClass, Rejection
from tokenergy_sql.cooling.coefficients import Coefficients
from tokenergy_sql.cooling.laws import Floats, affinity_kw, chiller_kw, rejection_flow

PARTS = ("fan", "pump", "tower", "condenser_pump", "chiller")
"""What draws power; `tower` is the fans of a tower or dry cooler."""


@dataclass(frozen=True, slots=True, eq=False)
class Outdoors:
    """Outdoor air by hour.

    Attributes:
        dry_c: dry bulb, °C (n,).
        wet_c: wet bulb, °C (n,); NaN where unknown.
    """

    dry_c: Floats
    wet_c: Floats


@dataclass(frozen=True, slots=True)
class Hall:
    """How a hall is cooled.

    Attributes:
        supply: its class: of the liquid if there is any, else of the air.
        rejection: tower or dry cooler.
        liquid_share: part of the heat that goes to liquid.
        rated_kw: heat that the plant is made for.
    """

    supply: CoolingClass
    rejection: Rejection
    liquid_share: float
    rated_kw: float


@dataclass(frozen=True, slots=True, eq=False)
class Cooling:
    """The cooling of a hall by hour.

    Attributes:
        kw: of each of `PARTS`, kW (n,).
        free: in which hours no chiller runs for what the hall's class is of (n,).
        free_air: the same for the heat that goes to air; all of them where there is none.
    """

    kw: dict[str, Floats]
    free: NDArray[np.bool_]
    free_air: NDArray[np.bool_]

    @property
    def total_kw(self) -> Floats:
        """Return the power of all parts, kW (n,)."""
        return np.asarray(sum(self.kw.values()), np.float64)


def free_liquid(
    outdoors: Outdoors, supply_c: float, rejection: Rejection, k: Coefficients
) -> NDArray[np.bool_]:
    """Return in which hours a tower or dry cooler alone holds a supply temperature (n,)."""
    return np.asarray(_reached_c(outdoors, rejection, k) <= supply_c)


def free_air(outdoors: Outdoors, supply_c: float, k: Coefficients) -> NDArray[np.bool_]:
    """Return in which hours outside air alone holds a supply temperature (n,)."""
    return np.asarray(outdoors.dry_c + k.air_approach_k <= supply_c)


def cooling_of(heat_kw: Floats, outdoors: Outdoors, hall: Hall, k: Coefficients) -> Cooling:
    """Return the cooling of a hall.

    Args:
        heat_kw: all that the equipment gives off, kW (n,).
        outdoors: of the same hours.
        hall: how it is cooled.
        k: coefficients.
    """
    of_liquid = hall.supply.carrier == "liquid"
    share = hall.liquid_share if of_liquid else 0.0
    air_c = CLASSES["air"].supply_c if of_liquid else hall.supply.supply_c
    is_free_air = free_air(outdoors, air_c, k)
    kw = _air(heat_kw * (1 - share), hall.rated_kw * (1 - share), is_free_air, outdoors, hall, k)
    if not share:
        return Cooling(kw, is_free_air, is_free_air)
    is_free = free_liquid(outdoors, hall.supply.supply_c, hall.rejection, k)
    heat, rated = heat_kw * share, hall.rated_kw * share
    more = _rejected(heat, rated, hall.supply.supply_c, is_free, outdoors, hall.rejection, k)
    more["pump"] = affinity_kw(
        k.pump_w_per_kw / 1000 * rated, heat / rated, k.pump_exponent, k.least_speed
    )
    kw = {part: kw.get(part, 0.0) + more.get(part, np.zeros_like(heat)) for part in PARTS}
    return Cooling(kw, is_free, is_free_air if share < 1 else np.ones_like(is_free_air))


def _air(
    heat: Floats,
    rated: float,
    free: NDArray[np.bool_],
    outdoors: Outdoors,
    hall: Hall,
    k: Coefficients,
) -> dict[str, Floats]:
    """Return the power of the parts that take heat from air, kW (n,)."""
    if not rated:
        return {part: np.zeros_like(heat) for part in PARTS}
    chilled = np.where(free, 0.0, heat)
    air_c = hall.supply.supply_c if hall.supply.carrier == "air" else CLASSES["air"].supply_c
    water_c = air_c - k.coil_approach_k
    kw = _rejected(chilled, rated, water_c, np.zeros_like(free), outdoors, hall.rejection, k)
    kw["pump"] = affinity_kw(
        k.pump_w_per_kw / 1000 * rated, chilled / rated, k.pump_exponent, k.least_speed
    )
    kw["fan"] = affinity_kw(
        k.fan_w_per_kw / 1000 * rated, heat / rated, k.fan_exponent, k.least_speed
    )
    return kw


def _rejected(
    heat: Floats,
    rated: float,
    water_c: float,
    free: NDArray[np.bool_],
    outdoors: Outdoors,
    rejection: Rejection,
    k: Coefficients,
) -> dict[str, Floats]:
    """Return the power of what gives heat to the outdoors, kW (n,).

    Args:
        heat: in the water, kW.
        rated: the most of it, kW.
        water_c: how cold the water must be.
        free: in which hours no chiller is needed.
        outdoors: of these hours.
        rejection: tower or dry cooler.
        k: coefficients.
    """
    evaporating_c = water_c - k.evaporator_approach_k
    lift_k = np.maximum(
        _reached_c(outdoors, rejection, k) + k.condenser_approach_k - evaporating_c,
        k.least_lift_k,
    )
    chiller = chiller_kw(
        np.where(free, 0.0, heat), rated, evaporating_c, lift_k, k.carnot_share, k.standing_share
    )
    rejected = heat + chiller
    # The machines outdoors are made for the heat alone: with a chiller they turn at full speed.
    approach_k = k.tower_approach_k if rejection == "tower" else k.dry_approach_k
    outdoor_c = outdoors.wet_c if rejection == "tower" else outdoors.dry_c
    difference = np.where(free, water_c - outdoor_c, approach_k)
    flow = rejection_flow(rejected / rated, approach_k, difference, k.least_speed)
    w_per_kw = k.tower_fan_w_per_kw if rejection == "tower" else k.dry_fan_w_per_kw
    # A dry cooler has no water of its own: only a chiller's condenser needs another pump then.
    pumped = rejected if rejection == "tower" else np.where(chiller > 0, rejected, 0.0)
    return {
        "chiller": chiller,
        "tower": affinity_kw(w_per_kw / 1000 * rated, flow, k.fan_exponent, k.least_speed),
        "condenser_pump": affinity_kw(
            k.condenser_pump_w_per_kw / 1000 * rated,
            np.minimum(pumped / rated, 1.0),
            k.pump_exponent,
            k.least_speed,
        ),
    }


def _reached_c(outdoors: Outdoors, rejection: Rejection, k: Coefficients) -> Floats:
    """Return how cold the water gets outdoors, °C (n,)."""
    if rejection == "tower":
        return outdoors.wet_c + k.tower_approach_k
    return outdoors.dry_c + k.dry_approach_k
