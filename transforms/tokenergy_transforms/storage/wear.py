"""How hard a plan works a store: cycles by rainflow counting, and equivalent full cycles.

In: the charge over time. Out: cycles with their depths. A cycle of rainflow counting (ASTM E1049)
is a swing that is closed within a larger one; what stays open counts half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokenergy_transforms.storage.program import F64

SHALLOW = 0.01
"""Cycles of a smaller share of the usable energy are not counted: they are noise of the load."""


@dataclass(frozen=True, slots=True)
class Wear:
    """What a plan does to a store.

    Attributes:
        cycles: rainflow cycles of at least `SHALLOW` depth; halves count.
        full: equivalent full cycles: depths of all cycles, added up.
        mean_depth: mean depth of the counted cycles; None if there is none.
        most_depth: deepest cycle, a share of the usable energy.
    """

    cycles: float
    full: float
    mean_depth: float | None
    most_depth: float


def wear(charges: Sequence[F64], energy_j: float) -> Wear:
    """Return the wear of some runs.

    Args:
        charges: the charge at the edges of the cells of each run, J.
        energy_j: the usable energy.
    """
    if energy_j <= 0:
        return Wear(0.0, 0.0, None, 0.0)
    found = [pair for charge in charges for pair in _cycles(charge / energy_j)]
    if not found:
        return Wear(0.0, 0.0, None, 0.0)
    depth, count = np.array(found).T
    deep = depth >= SHALLOW
    cycles = float(count[deep].sum())
    mean = float((depth[deep] * count[deep]).sum()) / cycles if cycles else None
    return Wear(cycles, float((depth * count).sum()), mean, float(depth.max()))


def _cycles(charge: F64) -> list[tuple[float, float]]:
    """Return (depth, count) of the cycles of one run."""
    import rainflow

    turning = _turning(charge)
    return [(float(r), float(n)) for r, _, n, _, _ in rainflow.extract_cycles(turning)]


def _turning(charge: F64) -> F64:
    """Return the ends of a course and the points where it turns: all that rainflow needs."""
    change = np.diff(charge)
    moving = np.flatnonzero(change)
    turns = moving[1:][np.sign(change[moving[1:]]) != np.sign(change[moving[:-1]])]
    return charge[np.concatenate(([0], turns, [len(charge) - 1]))]
