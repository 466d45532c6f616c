"""Fits of the cooling model's coefficients to metered hours: least squares of relative errors.

In: heat, temperatures and power by hour. Out: coefficients with standard errors and the hours that
were used, or why they cannot be told. Errors of a meter are in per cent of what it shows, so each
hour's residual is divided by what was metered.

Standard errors take the hours' residuals as independent. They hold noise, not the meters' own
error: a meter that shows 1 % too much makes a coefficient 1 % too large, and no fit can tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tokenergy_sql.cooling.laws import Floats, chiller_kw

LEAST_HOURS = 48
"""Fewer hours tell no coefficient."""

MOST_ERROR = 0.1
"""A coefficient whose standard error is more than this part of it is not told."""

_SPREAD = 1.15
"""The 95th over the 5th percentile of what a machine's power depends on is at least this."""

_OUTDOOR_SPREAD_K = 5.0
_WITHIN_CLAMP_K = 2.0
_ROUNDS = 8


class Fitted(NamedTuple):
    """A coefficient as fitted: its name, value and standard error."""

    name: str
    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Fit:
    """The fit of one machine.

    Attributes:
        machine: what it is of.
        found: its coefficients; none if refused.
        hours: that were used.
        residual: root mean square of the hours' relative residuals; None if refused.
        refused: why nothing is told; None if something is.
    """

    machine: str
    found: tuple[Fitted, ...] = ()
    hours: int = 0
    residual: float | None = None
    refused: str | None = None


def fit_affinity(
    machine: str, names: tuple[str, str], flow: Floats, power_kw: Floats, rated_kw: float
) -> Fit:
    """Fit full power and exponent of pumps or fans.

    Args:
        machine: what it is of.
        names: of the coefficients: watts for a kW at full flow, and the exponent.
        flow: over full flow, by hour (n,); NaN where unknown.
        power_kw: metered (n,); NaN where unknown.
        rated_kw: heat at full flow.
    """
    used = np.isfinite(flow) & np.isfinite(power_kw) & (flow > 0) & (power_kw > 0)
    flow, power = flow[used], power_kw[used]
    if reason := _too_few(flow) or _too_even(flow, "the flow"):
        return Fit(machine, hours=len(flow), refused=reason)

    def model(values: Sequence[float]) -> Floats:
        return np.asarray(values[0] * rated_kw / 1000 * flow ** values[1], np.float64)

    start = (float(np.median(power / flow**3)) * 1000 / rated_kw, 3.0)
    return _least_squares(machine, names, model, power, start)


def fit_chiller(
    heat_kw: Floats,
    power_kw: Floats,
    outdoor_c: Floats,
    supply_c: Floats,
    rated_kw: float,
    evaporator_approach_k: float,
    least_lift_k: float,
    start: tuple[float, float, float] = (0.6, 0.2, 14.0),
) -> Fit:
    """Fit a chiller: its share of Carnot's COP, its standing share, and the approach of its lift.

    Args:
        heat_kw: that it took away, by hour (n,); NaN where unknown.
        power_kw: metered (n,).
        outdoor_c: wet bulb for a tower, dry bulb for a dry cooler (n,).
        supply_c: of the water (n,).
        rated_kw: the most heat.
        evaporator_approach_k: supply over evaporating temperature; it is not fitted.
        least_lift_k: hours near or below this lift say nothing of it, and are left out.
        start: where the search begins.

    Returns:
        `carnot_share`, `standing_share` and `lift_approach_k`: what the condensing temperature is
        over the outdoor one, that is the approach of tower or dry cooler and of the condenser.
    """
    evaporating_c = supply_c - evaporator_approach_k
    columns = np.stack(np.broadcast_arrays(heat_kw, power_kw, outdoor_c, evaporating_c))
    runs = np.isfinite(columns).all(axis=0) & (columns[0] > 0) & (columns[1] > 0)
    fit, before = Fit("chiller"), None
    for _ in range(_ROUNDS):
        # Which hours are too near to the least lift hangs on the approach that is looked for.
        lift_k = columns[2] + start[2] - columns[3]
        used = runs & (lift_k > least_lift_k + _WITHIN_CLAMP_K)
        if before is not None and np.array_equal(used, before):
            break
        fit, before = _fit_lifts(columns[:, used], rated_kw, start), used
        if not fit.found:
            break
        share, standing, approach_k = (one.value for one in fit.found)
        start = share, standing, approach_k
    return fit


def _fit_lifts(columns: Floats, rated_kw: float, start: tuple[float, float, float]) -> Fit:
    """Fit a chiller to hours well above the least lift: rows of heat, power, temperatures."""
    heat, power, outdoor, evaporating = columns
    reason = (
        _too_few(heat, " well above its least lift")
        or _too_even(heat, "the heat")
        or _too_mild(outdoor - evaporating)
    )
    if reason:
        return Fit("chiller", hours=len(heat), refused=reason)

    def model(values: Sequence[float]) -> Floats:
        share, standing, approach_k = values
        lift_k = np.maximum(outdoor + approach_k - evaporating, 0.1)
        return chiller_kw(heat, rated_kw, evaporating, lift_k, share, standing)

    names = ("carnot_share", "standing_share", "lift_approach_k")
    return _of_physics(_least_squares("chiller", names, model, power, start))


def _too_mild(difference_k: Floats) -> str | None:
    low, high = np.percentile(difference_k, (5, 95)).tolist()
    if high - low >= _OUTDOOR_SPREAD_K:
        return None
    return (
        f"outdoor over evaporating temperature varies by only {high - low:.1f} K: carnot_share and "
        f"the approach cannot be told apart; take hours of other weather, at least "
        f"{_OUTDOOR_SPREAD_K:.0f} K apart"
    )


def _of_physics(fit: Fit) -> Fit:
    """Return a chiller's fit, refused if no chiller can be so."""
    values = {one.name: one.value for one in fit.found}
    if not values or 0 < values["carnot_share"] < 1 > values["standing_share"] >= 0:
        return fit
    told = ", ".join(f"{name} {value:.3g}" for name, value in values.items())
    return Fit(
        fit.machine,
        hours=fit.hours,
        refused=f"no chiller is like the best fit ({told}): are these its heat, its power and its "
        "outdoor temperature?",
    )


def _too_few(values: Floats, more: str = "") -> str | None:
    if len(values) >= LEAST_HOURS:
        return None
    return (
        f"{len(values)} hours can be used, at least {LEAST_HOURS} are needed: hours with all "
        f"meters known and the machine running{more}"
    )


def _too_even(values: Floats, what: str) -> str | None:
    low, high = np.percentile(values, (5, 95)).tolist()
    if high >= _SPREAD * low:
        return None
    return (
        f"{what} varies by only {100 * (high / low - 1):.1f} % (5th to 95th percentile): how power "
        f"depends on it cannot be told; take hours of other loads, at least "
        f"{100 * (_SPREAD - 1):.0f} % apart"
    )


def _least_squares(
    machine: str,
    names: Sequence[str],
    model: Callable[[Sequence[float]], Floats],
    power: Floats,
    start: Sequence[float],
) -> Fit:
    """Return the coefficients that make the relative residuals least, with standard errors."""
    from scipy.optimize import least_squares

    found = least_squares(
        lambda values: model(values) / power - 1, start, method="lm", x_scale=np.abs(start)
    )
    hours, free = len(power), len(power) - len(names)
    # Columns in per cent of each coefficient, so that the rank does not hang on units.
    jacobian = found.jac * found.x
    _, sizes, turned = np.linalg.svd(jacobian, full_matrices=False)
    if not found.success or not np.isfinite(found.x).all() or sizes[-1] < 1e-9 * sizes[0]:
        return Fit(machine, hours=hours, refused="the coefficients cannot be told apart")
    variance = 2 * found.cost / free
    relative = np.sqrt(variance * np.sum((turned / sizes[:, None]) ** 2, axis=0))
    worst = int(np.argmax(relative))
    if relative[worst] > MOST_ERROR:
        return Fit(
            machine,
            hours=hours,
            refused=f"{names[worst]} would have a standard error of {100 * relative[worst]:.0f} % "
            f"(at most {100 * MOST_ERROR:.0f} %): take more hours, or hours that differ more",
        )
    return Fit(
        machine,
        tuple(
            Fitted(name, float(value), float(abs(value) * error))
            for name, value, error in zip(names, found.x, relative, strict=True)
        ),
        hours,
        math.sqrt(2 * found.cost / hours),
    )
