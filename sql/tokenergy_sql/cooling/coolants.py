"""How much heat a litre of coolant carries for a kelvin, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tokenergy_sql.cooling.laws import Floats


class Coolant(NamedTuple):
    """A coolant.

    Attributes:
        j_per_m3_k: density x heat capacity at a temperature (°C, n,), J/(m³ K).
        share: how far that may be off, over itself.
    """

    j_per_m3_k: Callable[[Floats], Floats]
    share: float


def water_density(temperature_c: ArrayLike) -> Floats:
    """Return the density of water, kg/m³ (n,); McCutcheon et al. (1993), 0 to 90 °C."""
    t = np.asarray(temperature_c, np.float64)
    fall = (t + 288.9414) / (508_929.2 * (t + 68.12963)) * (t - 3.9863) ** 2
    return np.asarray(1000.0 * (1.0 - fall), np.float64)


_WATER_J_PER_KG_K = 4_180.0
"""Of liquid water: 4,178 to 4,192 from 10 to 70 °C (IAPWS), so within 0.3 %."""

_PG25_J_PER_M3_K = 4.02e6


def _water(temperature_c: Floats) -> Floats:
    return water_density(temperature_c) * _WATER_J_PER_KG_K


def _pg25(temperature_c: Floats) -> Floats:
    return np.full_like(temperature_c, _PG25_J_PER_M3_K)


COOLANTS = {"water": Coolant(_water, 0.005), "pg25": Coolant(_pg25, 0.02)}
"""Coolants by name. `pg25` is water with a quarter of propylene glycol: about, within 2 %."""
