"""A hall at another class of cooling: chiller hours, energies, PUE and J/token. All is modelled.

In: a hall's mean IT power, how it is cooled now, a year of weather, coefficients. Out: energies of
that year for the hall as it is and as it would be.

What leaving fans move. Fans inside servers are part of IT energy. Let f be `server_fan_share`: what
they draw, over IT energy, where air takes all the heat. The rest of a server's energy, C, stays as
it is, and the fans' part falls with the heat that is left to air: with a share s of liquid,

    IT(s) = C x (1 + f / (1 - f) x (1 - s))

So IT energy falls where liquid comes, and the loop's pumps that carry that heat instead appear in
the building's cooling. PUE divides by less then: it may rise while J/token falls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tokenergy_sql.cooling.classes import CoolingClass, Rejection
from tokenergy_sql.cooling.coefficients import Coefficients
from tokenergy_sql.cooling.plant import PARTS, Hall, cooling_of
from tokenergy_sql.cooling.weather import Weather


@dataclass(frozen=True, slots=True)
class Now:
    """A hall as it is.

    Attributes:
        it_kw: its mean IT power.
        rated_kw: IT power that the plant is made for.
        liquid_share: part of its heat that goes to liquid; None: unknown.
        rest_per_it: energy of the building besides IT and cooling, over IT; None: unknown.
    """

    it_kw: float
    rated_kw: float
    liquid_share: float | None
    rest_per_it: float | None


@dataclass(frozen=True, slots=True)
class Modelled:
    """A year of a hall at a class. Energies kWh.

    Attributes:
        supply: its class.
        rejection: tower or dry cooler.
        liquid_share: part of the heat that goes to liquid.
        hours: of the weather file that are known.
        free_hours: of these, in which no chiller runs for what the class is of.
        free_air_hours: in which none runs for the heat that goes to air.
        it_kwh, cooling_kwh: IT energy, and cooling energy.
        parts_kwh: cooling energy of each of `plant.PARTS`.
        rest_per_it: as of `Now`.
    """

    supply: CoolingClass
    rejection: Rejection
    liquid_share: float
    hours: int
    free_hours: int
    free_air_hours: int
    it_kwh: float
    cooling_kwh: float
    parts_kwh: dict[str, float]
    rest_per_it: float | None

    @property
    def cooling_per_it(self) -> float:
        """Return cooling energy over IT energy."""
        return self.cooling_kwh / self.it_kwh

    @property
    def pue(self) -> float | None:
        """Return PUE; None if it is not known what the building needs besides."""
        if self.rest_per_it is None:
            return None
        return 1 + self.cooling_per_it + self.rest_per_it

    @property
    def facility_kwh(self) -> float | None:
        """Return all energy of the hall, kWh; None likewise."""
        return None if self.pue is None else self.it_kwh * self.pue


def it_over_compute(liquid_share: float, k: Coefficients) -> float:
    """Return IT energy over what servers need without their fans."""
    fans = k.server_fan_share / (1 - k.server_fan_share)
    return 1 + fans * (1 - liquid_share)


def year_of(
    now: Now,
    supply: CoolingClass,
    rejection: Rejection,
    liquid_share: float,
    weather: Weather,
    k: Coefficients,
) -> Modelled:
    """Return a year of a hall at a class.

    Args:
        now: the hall; with an unknown share of liquid, its IT energy is taken to stay.
        supply: the class.
        rejection: tower or dry cooler.
        liquid_share: of the class; 0 for air.
        weather: of a year.
        k: coefficients.
    """
    change = 1.0
    if now.liquid_share is not None:
        change = it_over_compute(liquid_share, k) / it_over_compute(now.liquid_share, k)
    hall = Hall(supply, rejection, liquid_share, now.rated_kw * change)
    heat = np.full(weather.hours, now.it_kw * change)
    found = cooling_of(heat, weather.outdoors, hall, k)
    parts = {part: float(np.sum(found.kw[part])) for part in PARTS}
    return Modelled(
        supply,
        rejection,
        liquid_share,
        weather.hours,
        int(found.free.sum()),
        int(found.free_air.sum()),
        float(heat.sum()),
        sum(parts.values()),
        parts,
        now.rest_per_it,
    )


def j_per_token(measured: float | None, before: Modelled | None, after: Modelled) -> float | None:
    """Return J/token of the facility after a change: measured x energy after / energy before.

    Both energies are modelled, with the same weather; the tokens are the same. None if something
    is unknown.
    """
    if measured is None or before is None:
        return None
    if before.facility_kwh is None or after.facility_kwh is None:
        return None
    return measured * after.facility_kwh / before.facility_kwh
