"""Units of meters, and what one of each is in the base unit of its quantity.

| quantity | base unit | why |
| --- | --- | --- |
| power | mW | as everywhere in the lake: mW × µs = nJ |
| energy | nJ | as in the ledger |
| volume | µL | a pulse of a fine water meter is 100,000 of them |
| flow | µL/s | µL/s × s = µL; 1 m3/h is 277,777.8 of them |
| temperature | mK | absolute, so that no value is below 0 and differences are those of °C |
| ratio | ppm | as everywhere in the index |

All factors are exact. A figure in base units is a `Fraction` until it is rounded, once, downwards
(upper bounds upwards), so that differences of a rounded register telescope.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

Quantity = Literal["energy", "power", "volume", "flow", "temperature", "ratio"]

QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)

BASE: dict[Quantity, str] = {
    "energy": "nJ",
    "power": "mW",
    "volume": "uL",
    "flow": "uL/s",
    "temperature": "mK",
    "ratio": "ppm",
}
"""The base unit of each quantity."""

CUMULATIVE: frozenset[Quantity] = frozenset({"energy", "volume"})
"""Quantities of which a meter shows a sum since it began; of the others, a momentary value."""

BILLION = 1_000_000_000
"""Raw rows hold billionths of the register's own unit, as whole numbers."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: value × `factor` + `offset` is in the base unit of its quantity."""

    quantity: Quantity
    factor: Fraction
    offset: Fraction = Fraction(0)


def _units(quantity: Quantity, **factors: Fraction | int) -> dict[str, Unit]:
    return {name: Unit(quantity, Fraction(factor)) for name, factor in factors.items()}


_J = 10**9
_L = 10**6
UNITS: dict[str, Unit] = {
    **_units("energy", J=_J, kJ=_J * 10**3, MJ=_J * 10**6, GJ=_J * 10**9),
    **_units("energy", Wh=_J * 3600, kWh=_J * 3600 * 10**3, MWh=_J * 3600 * 10**6),
    **_units("energy", GWh=_J * 3600 * 10**9),
    **_units("power", mW=1, W=10**3, kW=10**6, MW=10**9),
    **_units("volume", mL=10**3, L=_L, m3=_L * 10**3),
    "L/s": Unit("flow", Fraction(_L)),
    "L/min": Unit("flow", Fraction(_L, 60)),
    "L/h": Unit("flow", Fraction(_L, 3600)),
    "m3/h": Unit("flow", Fraction(_L * 10**3, 3600)),
    "m3/s": Unit("flow", Fraction(_L * 10**3)),
    "°C": Unit("temperature", Fraction(1000), Fraction(273_150)),
    "C": Unit("temperature", Fraction(1000), Fraction(273_150)),
    "K": Unit("temperature", Fraction(1000)),
    "1": Unit("ratio", Fraction(10**6)),
    "%": Unit("ratio", Fraction(10**4)),
}
"""Every unit by its name in the site file."""


def units_of(quantity: Quantity) -> list[str]:
    """Return the names of the units of a quantity."""
    return [name for name, unit in UNITS.items() if unit.quantity == quantity]
