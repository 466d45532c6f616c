"""The smallest store that keeps the limits: first its energy, then, at that energy, its power.

In: a load without gaps. Out: energy and power with the proof's gap, and the plan. Three things are
settled before the program runs: a load that keeps the limits needs no store; a peak limit below the
mean load cannot be kept; and a change that no store can undo is told as such.

With losses each cell needs a direction (see `model`). They are taken from the plan without losses;
then, in loads of up to 40,000 cells, those whose direction the prices of the program speak against
are turned, as long as that helps. No cell charges and discharges at once. What is found is proven
to be the least for its directions alone; on small loads it equals the optimum over all directions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tokenergy_collectors.base.errors import UserError
from tokenergy_transforms.storage import interior
from tokenergy_transforms.storage.causal import needed
from tokenergy_transforms.storage.model import Model, least_energy, least_power
from tokenergy_transforms.storage.program import F64
from tokenergy_transforms.storage.simplex import MOST_ROWS, least
from tokenergy_transforms.storage.wanted import Limits, Store

SPARE = 1.001
"""The least power is sought at this multiple of the least energy: at the least energy itself there
is hardly a choice of power."""
_GUESSES = 4
_TURNS = 4
_HELPS = 1e-4
_MOST_PROVEN = MOST_ROWS // 10
"""Cells whose program is small enough for HiGHS, which proves that there is no plan."""
_MOST_TURNED = 40_000
"""Cells up to which directions are improved: that takes a solution each time."""


@dataclass(frozen=True, slots=True)
class Optimum:
    """The smallest store, and a plan that it carries out.

    Attributes:
        energy_j: least usable energy W.
        power_w: least power Q at `SPARE` x W.
        gap: the larger relative gap of the two to their proven bounds.
        grid_w: float64[N], grid power under the plan of least power.
        charge_j: float64[N + 1], charge under it.
    """

    energy_j: float
    power_w: float
    gap: float
    grid_w: F64
    charge_j: F64


class ImpossibleError(UserError):
    """No store keeps the limits; `reason` is its code."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


Found = tuple[Model, interior.Solved]
"""A program of least energy and its solution."""


def require_possible(load_w: F64, limits: Limits) -> None:
    """Return if some store may keep the limits.

    Raises:
        ImpossibleError: the mean load is above the peak limit.
    """
    mean = float(load_w.mean())
    if limits.peak_w is not None and mean > limits.peak_w:
        raise ImpossibleError(
            "peak_below_mean",
            f"--peak-kw {limits.peak_w / 1e3:g}: the load is {mean / 1e3:.6g} kW on average, and a "
            "store gives back no more than it takes; ask for a higher peak",
        )


def best_energy(load_w: F64, step_s: float, limits: Limits, store: Store) -> Found | None:
    """Return the program and solution of least energy; None if no store is needed.

    Raises:
        ImpossibleError: no store keeps the limits.
    """
    require_possible(load_w, limits)
    if limits.kept_by(load_w, step_s):
        return None
    swing = float(load_w.max() - load_w.min())
    lossless = replace(store, charge=1.0, discharge=1.0)
    scale = needed([load_w], step_s, limits, lossless).energy_j
    model = Model(load_w, step_s, limits, lossless, swing, scale)
    try:
        solved = least(least_energy(model), *model.start())
        if store.lossless:
            return model, solved
        return _lossy(model, solved, store)
    except interior.NotSolvedError:
        raise _refused(load_w) from None


_IMPOSSIBLE = (
    "no store keeps these limits on this load: its losses, its C-rate or its charge at the start "
    "leave no room below the peak; ask for a higher peak or ramp, or leave out --start-charge or "
    "--c-rate"
)


def _refused(load_w: F64) -> ImpossibleError:
    """Return the error where no plan was found: on small loads HiGHS has proven that none is."""
    if len(load_w) > _MOST_PROVEN:
        return ImpossibleError("not_solved", "the program did not solve; study a shorter span")
    return ImpossibleError("no_store_suffices", _IMPOSSIBLE)


def _lossy(model: Model, solved: interior.Solved, store: Store) -> Found:
    """Return the program and solution with losses, from those without.

    Directions are first those of the plan without losses. If no plan has them, since losses need
    more charging, a program whose cells may turn gives better ones.

    Raises:
        NotSolvedError: no directions were found.
    """
    battery_w = model.battery_w(solved.x)
    model = replace(model, store=store)
    for _ in range(_GUESSES):
        model = replace(model, signs=np.where(battery_w > 0, 1.0, -1.0), strict=True)
        try:
            return _turned(model, least(least_energy(model), *model.start()))
        except interior.NotSolvedError:
            model = replace(model, strict=False)
            solved = least(least_energy(model), *model.start())
            battery_w = model.battery_w(solved.x)
    raise interior.NotSolvedError


def _turned(model: Model, solved: interior.Solved) -> Found:
    """Return the program and solution with cells turned, as long as that helps."""
    for _ in range(_TURNS if model.cells <= _MOST_TURNED else 0):
        signs = np.ones(model.cells) if model.signs is None else model.signs
        per = model.energy_j / model.step_s / model.power_w
        # A cell at rest, whose direction has a price, would rather go the other way.
        still = signs * np.diff(solved.x) * per < solved.y[: model.cells]
        if not still.any():
            break
        turned = replace(model, signs=np.where(still, -signs, signs))
        try:
            other = least(least_energy(turned), *model.start())
        except interior.NotSolvedError:
            break
        if other.z > solved.z * (1 - _HELPS):
            break
        model, solved = turned, other
    return model, solved


def best_power(
    model: Model, energy_j: float, start: interior.Solved
) -> tuple[float, float, F64, F64]:
    """Return the least power at an energy, its gap, grid power and charge.

    Raises:
        ImpossibleError: no store of this energy keeps the limits.
    """
    try:
        # Interior points begin away from the edges: between the plan and a store that is half full.
        x = 0.8 * start.x + 0.1 * energy_j / model.energy_j
        z = 2 * float(np.abs(model.battery_w(start.x)).max()) / model.power_w
        found = least(least_power(model, energy_j), x, z)
    except interior.NotSolvedError:
        raise _refused(model.load_w) from None
    grid_w = model.load_w + model.battery_w(found.x)
    return found.z * model.power_w, found.gap, grid_w, found.x * model.energy_j


def optimum(load_w: F64, step_s: float, limits: Limits, store: Store) -> Optimum:
    """Return the smallest store for one load without gaps.

    Args:
        load_w: float64[N], the load of each cell.
        step_s: length of a cell.
        limits: what grid power must keep.
        store: what the store is like.

    Raises:
        ImpossibleError: no store keeps the limits.
    """
    found = best_energy(load_w, step_s, limits, store)
    if found is None:
        return Optimum(0.0, 0.0, 0.0, load_w.copy(), np.zeros(len(load_w) + 1))
    model, solved = found
    energy_j = solved.z * model.energy_j
    power_w, gap, grid_w, charge_j = best_power(model, energy_j * SPARE, solved)
    return Optimum(energy_j, power_w, max(gap, solved.gap), grid_w, charge_j)
