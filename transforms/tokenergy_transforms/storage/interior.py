"""Solves a `Program` by interior points, with a proof of how good the solution is.

Mehrotra's predictor and corrector in primal-dual form. Each step solves one system with the matrix
A' D A: a narrow band for the course over time, bordered by two columns (the joined ends, and z). So
a step costs time in proportion to the number of steps of the load; some tens of them suffice.

Of any y >= 0 with A' y = -c, -b' y is a lower bound of the optimum (weak duality). `Solved.gap` is
the relative distance between the solution and that bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tokenergy_transforms.storage import band as banded
from tokenergy_transforms.storage.program import F64, Program

ENOUGH = 1e-7
"""Relative gap at which a solution is good."""
WIDE = 1e-4
"""Relative gap above which a study says that its gap is wide."""
TOLERABLE = 1e-3
"""Relative gap up to which the best solution is taken if no further step improves it."""
_MOST_STEPS = 200
_PATIENCE = ((WIDE, 1), (1.0, 25), (np.inf, 60))
"""How many steps without a better gap end the search, by the gap: far away it may grow at first."""
_BACK_OFF = 0.995
_STRICT = 1e3
"""How much more a violated row counts than a gap: a plan must keep its limits."""
_REFINED = 0.5
"""Gap from which on solutions of the system are refined."""


class NotSolvedError(Exception):
    """The steps ended without a solution within `TOLERABLE`."""


@dataclass(frozen=True, slots=True)
class Solved:
    """A solution: the course x, the value z, the relative gap to its proven bound, and y."""

    x: F64
    z: float
    gap: float
    steps: int
    y: F64


@dataclass(slots=True)
class _Point:
    """Where the solver is: x and z, the slack of each row, its price y, and what is unbalanced."""

    x: F64
    z: float
    slack: F64
    y: F64
    primal: F64
    dual: F64
    dual_z: float

    def gap(self, bound: F64) -> float:
        """Return how far this is from a proof: violated rows, unbalanced y, value above bound."""
        joined = self.dual.copy()
        joined[0] += joined[-1]
        joined[-1] = 0.0
        size = max(abs(self.z), 1e-9)
        unbalanced = float(np.abs(joined) @ np.abs(self.x)) + abs(self.dual_z * self.z)
        violated = float(np.max(self.primal - self.slack, initial=0.0))
        return max(
            abs(self.z + float(bound @ self.y)) / size, unbalanced / size, _STRICT * violated
        )


class _System:
    """The factored matrix of one step."""

    def __init__(self, program: Program, scale: F64) -> None:
        band, column, corner = program.normal(scale, program.width())
        size, width = band.shape
        # The first and the last entry of x are one number: their rows and columns are added up.
        border = np.zeros((size - 2, 2))
        reach = min(width - 1, size - 2)
        border[:reach, 0] += band[0, 1 : reach + 1]
        for j in range(1, reach + 1):
            border[size - 2 - j, 0] += band[size - 1 - j, j]
        border[:, 1] = column[1:-1]
        joined = band[0, 0] + band[-1, 0] + (2 * band[0, size - 1] if size <= width else 0.0)
        ends = column[0] + column[-1]
        self._inner = np.ascontiguousarray(band[1:-1])
        for j in range(1, width):
            self._inner[max(size - 2 - j, 0) :, j] = 0.0
        banded.factor(self._inner)
        self._border = border
        self._solved = border.copy()
        banded.solve(self._inner, self._solved)
        self._small = np.array([[joined, ends], [ends, corner]]) - border.T @ self._solved

    def solve(self, x: F64, z: float) -> tuple[F64, float]:
        """Return the solution for a right side (the ends of x not yet joined)."""
        inner = x[1:-1].copy().reshape(-1, 1)
        banded.solve(self._inner, inner)
        right = np.array([x[0] + x[-1], z]) - self._border.T @ inner[:, 0]
        found = _two(self._small, right)
        out = np.empty(len(x))
        out[1:-1] = inner[:, 0] - self._solved @ found
        out[0] = out[-1] = found[0]
        return out, float(found[1])


def _two(matrix: F64, right: F64) -> F64:
    """Solve two equations, scaled to a diagonal of ones.

    Raises:
        FloatingPointError: the numbers have left the range of floats.
    """
    root = np.sqrt(np.clip(np.diag(matrix), 1e-200, None))
    scaled, wanted = matrix / np.outer(root, root), right / root
    if not (np.isfinite(scaled).all() and np.isfinite(wanted).all()):
        raise FloatingPointError
    return np.asarray(np.linalg.lstsq(scaled, wanted, rcond=1e-14)[0] / root)


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def solve(program: Program, x: F64, z: float) -> Solved:
    """Return the least z, from a start that need not satisfy the rows.

    Args:
        program: what to solve. Its numbers should be near 1.
        x: float64[size], the start; its ends are equal.
        z: the start of z.

    Raises:
        NotSolvedError: no step improves the solution, and it is not tolerable: mostly because no
            x satisfies the rows.
    """
    bound = np.concatenate([rows.bound for rows in program.blocks])
    slack = bound - program.times(x, z)
    least = max(1e-3 * float(np.abs(slack).mean()), 1e-6)
    for part in program.split(slack):
        # Rows that the start violates begin well inside, and so do their neighbours.
        np.maximum(part, max(least, -float(part.min())), out=part)
    y = np.minimum(np.mean(slack) / slack, 1e3) / program.count
    best: Solved | None = None
    for step in range(_MOST_STEPS):
        dual, dual_z = program.transposed(y)
        primal = program.times(x, z) + slack - bound
        at = _Point(x, z, slack, y, primal, dual, dual_z + 1.0)
        gap = at.gap(bound)
        if not np.isfinite(gap):
            break
        if best is None or gap < best.gap:
            best = Solved(x, float(z), gap, step, y)
        patience = next(steps for most, steps in _PATIENCE if best.gap < most)
        if gap < ENOUGH or step - best.steps > patience:
            break
        try:
            x, z, slack, y = _step(program, at, refine=best.gap < _REFINED)
        except FloatingPointError:
            break
    if best is None or not best.gap < TOLERABLE:
        raise NotSolvedError
    return best


def _step(program: Program, at: _Point, refine: bool) -> tuple[F64, float, F64, F64]:
    """Return the next point: predict, choose how far to centre, correct."""
    slack, y = at.slack, at.y
    scale = y / slack
    system = _System(program, scale)
    mu = float(slack @ y) / len(y)

    def direction(target: F64) -> tuple[F64, float, F64, F64]:
        inner, inner_z = program.transposed((target + y * at.primal) / slack)
        right, right_z = -at.dual - inner, -at.dual_z - inner_z
        dx, dz = system.solve(right, right_z)
        if refine:
            # Near the end the matrix is nearly singular: solve for what is left, and add it.
            there, there_z = program.transposed(scale * program.times(dx, dz))
            more, more_z = system.solve(right - there, right_z - there_z)
            dx, dz = dx + more, dz + more_z
        dslack = -at.primal - program.times(dx, dz)
        return dx, dz, dslack, (target - y * dslack) / slack

    _, _, dslack, dy = direction(-slack * y)
    ahead, ahead_y = min(1.0, _reach(slack, dslack)), min(1.0, _reach(y, dy))
    after = float((slack + ahead * dslack) @ (y + ahead_y * dy)) / len(y)
    target = (after / mu) ** 3 * mu - slack * y - dslack * dy
    dx, dz, dslack, dy = direction(target)
    far, far_y = min(1.0, _BACK_OFF * _reach(slack, dslack)), min(1.0, _BACK_OFF * _reach(y, dy))
    return at.x + far * dx, at.z + far * dz, slack + far * dslack, y + far_y * dy


def _reach(value: F64, change: F64) -> float:
    """Return how far one may go until an entry reaches 0."""
    # Below a tiny change nothing reaches 0; the quotient would overflow.
    falling = change < -1e-250
    return float(np.min(-value[falling] / change[falling], initial=np.inf))
