"""The formulas of the cooling model, each of arrays or numbers. Temperatures °C, lifts K.

Sources: affinity laws and Carnot's COP from any textbook (ASHRAE Handbook, Fundamentals; Systems
and Equipment). The part load of a chiller is a straight line: see `chiller_kw`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

ZERO_C_K = 273.15


def affinity_kw(
    full_kw: ArrayLike, flow: ArrayLike, exponent: float, least_speed: float = 0.0
) -> Floats:
    """Return the power of a pump or fan by the affinity law: full power x flow^exponent.

    Args:
        full_kw: at full flow, kW.
        flow: over full flow; where it is 0 the machine stands.
        exponent: 3 by the law; less where a static head remains.
        least_speed: a machine that runs turns no slower than this.
    """
    ratio = np.asarray(flow, np.float64)
    power = np.asarray(full_kw) * np.maximum(ratio, least_speed) ** exponent
    return _floats(np.where(ratio > 0, power, 0.0))


def carnot_cop(evaporating_c: ArrayLike, lift_k: ArrayLike) -> Floats:
    """Return the greatest COP that a chiller can have: T / lift, T absolute."""
    return _floats((np.asarray(evaporating_c) + ZERO_C_K) / np.asarray(lift_k))


def chiller_kw(
    heat_kw: ArrayLike,
    rated_kw: ArrayLike,
    evaporating_c: ArrayLike,
    lift_k: ArrayLike,
    carnot_share: float,
    standing_share: float,
) -> Floats:
    """Return the power of a chiller: that of full load at this lift x (a + (1 - a) load).

    Args:
        heat_kw: that it takes away, kW; where it is 0 the chiller stands.
        rated_kw: the most that it is made for, kW.
        evaporating_c: °C.
        lift_k: from evaporating to condensing, above 0.
        carnot_share: COP at full load over Carnot's.
        standing_share: a: of full power, what does not fall with load.
    """
    heat = np.asarray(heat_kw, np.float64)
    full_kw = np.asarray(rated_kw) / (carnot_share * carnot_cop(evaporating_c, lift_k))
    load = heat / np.asarray(rated_kw)
    power = full_kw * (standing_share + (1 - standing_share) * load)
    return _floats(np.where(heat > 0, power, 0.0))


def rejection_flow(
    heat_share: ArrayLike, approach_k: float, difference_k: ArrayLike, least_speed: float
) -> Floats:
    """Return how fast the fans of a tower or dry cooler turn, over full speed.

    They hold the supply temperature: heat is in proportion to flow x difference, and at full heat
    and the declared approach they turn at full speed.

    Args:
        heat_share: heat rejected over the most that is.
        approach_k: that the machine reaches at full heat and speed.
        difference_k: supply over outdoor temperature.
        least_speed: they turn no slower, where there is heat.
    """
    heat = np.asarray(heat_share, np.float64)
    difference = np.maximum(np.asarray(difference_k), approach_k)
    flow = np.clip(heat * approach_k / difference, least_speed, 1.0)
    return _floats(np.where(heat > 0, flow, 0.0))


def _floats(values: Any) -> Floats:
    return np.asarray(values, np.float64)
