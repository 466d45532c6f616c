"""One study: what store would tame one load, by optimum and by rule.

In: the known runs of a load, limits, a store. Out: the smallest store for all runs, plans, books
and wear. Each run is studied for itself and ends as full as it began; the store must do for the
worst of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokenergy_transforms.storage import causal, optimum
from tokenergy_transforms.storage.balance import Balance, balance
from tokenergy_transforms.storage.causal import Causal
from tokenergy_transforms.storage.optimum import SPARE
from tokenergy_transforms.storage.program import F64
from tokenergy_transforms.storage.runs import Run
from tokenergy_transforms.storage.wanted import Limits, Store
from tokenergy_transforms.storage.wear import Wear, wear


@dataclass(frozen=True, slots=True)
class Plan:
    """What a store does in one run: grid power (float64[N], W) and charge (float64[N + 1], J)."""

    run: Run
    grid_w: F64
    charge_j: F64


@dataclass(frozen=True, slots=True)
class Study:
    """The result for one load.

    Attributes:
        energy_j: least usable energy; 0 if no store is needed.
        power_w: least power at `SPARE` x that energy.
        gap: largest relative gap of the two to their proven bounds.
        rule: what the rule needs.
        plans: the optimum's plan for each run, in the order of time.
        books: of these plans.
        wear: of these plans.
    """

    energy_j: float
    power_w: float
    gap: float
    rule: Causal
    plans: list[Plan]
    books: Balance
    wear: Wear


def study(runs: Sequence[Run], step_s: float, limits: Limits, store: Store) -> Study:
    """Return the smallest store for some runs.

    Raises:
        ImpossibleError: no store keeps the limits.
    """
    loads = [run.load_w for run in runs]
    for load_w in loads:
        optimum.require_possible(load_w, limits)
    rule = causal.needed(loads, step_s, limits, store)
    solved, energy_j, gap = _energies(loads, step_s, limits, store)
    plans, power_w = [], 0.0
    for run, found in zip(runs, solved, strict=True):
        if found is None:
            plans.append(Plan(run, run.load_w.copy(), np.zeros(len(run.load_w) + 1)))
            continue
        q_w, near, grid_w, charge_j = optimum.best_power(found[0], energy_j * SPARE, found[1])
        power_w, gap = max(power_w, q_w), max(gap, near)
        plans.append(Plan(run, grid_w, charge_j))
    books = Balance()
    for plan in plans:
        books = books.plus(balance(plan.run.load_nj, plan.grid_w, step_s, store))
    worn = wear([plan.charge_j for plan in plans], energy_j * SPARE)
    return Study(energy_j, power_w, gap, rule, plans, books, worn)


def _energies(
    loads: Sequence[F64], step_s: float, limits: Limits, store: Store
) -> tuple[list[optimum.Found | None], float, float]:
    """Return the solution of each run, the largest energy, and the largest gap."""
    solved = [optimum.best_energy(load_w, step_s, limits, store) for load_w in loads]
    found = [one for one in solved if one is not None]
    energy_j = max((one[1].z * one[0].energy_j for one in found), default=0.0)
    return solved, energy_j, max((one[1].gap for one in found), default=0.0)
