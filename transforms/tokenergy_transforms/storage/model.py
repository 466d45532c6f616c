"""The linear program of a store: its rows, in numbers near 1.

Of a load P[k] in N cells of `step_s`, with s[k] the charge at the edges, u[k] = (s[k+1] - s[k]) /
step and b[k] the power that the store takes from the site (negative: gives):

    g[k] = P[k] + b[k]                       grid power
    0 <= s[k] <= W,  s[N] = s[0]
    |g[k+1] - g[k]| <= R step                if a ramp limit is asked for
    min(0, min P) <= g[k] <= min(peak limit, max P)
    |b[k]| <= Q                              Q free, or at most c-rate x (W + reserve)

Without losses b = u. With losses b = u / charge where the store charges and b = u discharge where
it discharges, which no linear program can say: one that allows both at once burns energy instead of
storing it, down to W = 0, whatever small price is on throughput. So each cell has one direction,
`signs`, and b is a fixed multiple of u. `optimum` finds the directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tokenergy_transforms.storage.program import F64, Program, Rows, rows
from tokenergy_transforms.storage.wanted import Limits, Store

_START_WITHIN = 1e-7


@dataclass(frozen=True, slots=True)
class Model:
    """The program of one load, and what turns its numbers into W and J.

    Attributes:
        load_w: float64[N].
        step_s: length of a cell.
        limits: what grid power must keep.
        store: what the store is like.
        power_w: the power that is 1 in the program.
        energy_j: the energy that is 1 in the program.
        signs: float64[N], 1 where the store may charge, -1 where it may discharge; None: without
            losses, where it does not matter.
        strict: whether a cell may not turn. If it may, its b is off, but the directions of a plan
            are a good guess.
    """

    load_w: F64
    step_s: float
    limits: Limits
    store: Store
    power_w: float
    energy_j: float
    signs: F64 | None = None
    strict: bool = True

    @property
    def cells(self) -> int:
        """The number of cells."""
        return len(self.load_w)

    @property
    def per_u(self) -> F64:
        """float64[N]: power taken / change of charge."""
        if self.signs is None:
            return np.ones(self.cells)
        return np.where(self.signs > 0, 1 / self.store.charge, self.store.discharge)

    def battery_w(self, x: F64) -> F64:
        """Return b: what the store takes."""
        taken: F64 = self.per_u * np.diff(x * self.energy_j) / self.step_s
        return taken

    def start(self) -> tuple[F64, float]:
        """Return the course x under flat grid power, losses left out, and the energy it needs."""
        change = (self.load_w.mean() - self.load_w) * self.step_s / self.energy_j
        course = np.concatenate(([0.0], np.cumsum(change)))
        course -= course.min()
        energy = float(course.max()) + 1e-3
        x = course + 0.05 * energy
        x[-1] = x[0]
        return x, 1.1 * energy


def least_energy(model: Model) -> Program:
    """Return the program whose z is the usable energy W."""
    edges, store = np.zeros(model.cells + 1), model.store
    found = [rows(0, [(0, -1.0)], 0.0, edges), rows(0, [(0, 1.0)], -1.0, edges)]
    if store.c_rate is not None:
        rate = store.c_rate / 3600 * model.energy_j / model.power_w
        spare = np.full(model.cells, rate * store.reserve_j / model.energy_j)
        found += [rows(0, _taken(model, sign), -rate, spare) for sign in (1.0, -1.0)]
    return _program(model, [*found, *_start_rows(model, None)])


def least_power(model: Model, energy_j: float) -> Program:
    """Return the program whose z is the power Q that a store of some usable energy needs."""
    most = energy_j / model.energy_j
    zeros = np.zeros(model.cells + 1)
    found = [rows(0, [(0, -1.0)], 0.0, zeros), rows(0, [(0, 1.0)], 0.0, zeros + most)]
    found += [rows(0, _taken(model, sign), -1.0, zeros[1:]) for sign in (1.0, -1.0)]
    return _program(model, [*found, *_start_rows(model, most)])


def _program(model: Model, found: list[Rows]) -> Program:
    blocks = [*_directions(model), *found, *_limits(model)]
    return Program(model.cells + 1, tuple(blocks))


def _taken(model: Model, factor: float) -> list[tuple[int, F64]]:
    """Return the weights of factor x b, in units of power."""
    weight = factor * model.energy_j / model.step_s / model.power_w * model.per_u
    return [(0, -weight), (1, weight)]


def _ramp(model: Model, factor: float) -> list[tuple[int, F64]]:
    """Return the weights of factor x (b[k+1] - b[k]), in units of power."""
    weight = factor * model.energy_j / model.step_s / model.power_w * model.per_u
    before, after = weight[:-1], weight[1:]
    return [(0, before), (1, -before - after), (2, after)]


def _limits(model: Model) -> list[Rows]:
    """Return the rows of the limits of grid power."""
    load = model.load_w / model.power_w
    cap = model.limits.cap_w(model.load_w) / model.power_w
    floor = min(0.0, float(load.min()))
    found = [
        rows(0, _taken(model, 1.0), 0.0, cap - load),
        rows(0, _taken(model, -1.0), 0.0, load - floor),
    ]
    if model.limits.ramp_w_s is not None and model.cells > 1:
        change = model.limits.ramp_w_s * model.step_s / model.power_w
        rise, unit = np.diff(load), max(change, 1e-6)
        found += [
            rows(0, _ramp(model, sign / unit), 0.0, (change - sign * rise) / unit)
            for sign in (1.0, -1.0)
        ]
    return found


def _directions(model: Model) -> list[Rows]:
    """Return the rows that give each cell its direction; they come first in the program."""
    if model.signs is None or not model.strict:
        return []
    turned = model.signs * model.energy_j / model.step_s / model.power_w
    return [rows(0, [(0, turned), (1, -turned)], 0.0, np.zeros(model.cells))]


def _start_rows(model: Model, energy: float | None) -> list[Rows]:
    """Return the rows that fix the charge at the start, to within a ten-millionth."""
    share = model.store.start_share
    if share is None:
        return []
    bound, extra = (0.0, share) if energy is None else (share * energy, 0.0)
    return [
        rows(0, [(0, sign)], -sign * extra, np.array([sign * bound + _START_WITHIN]))
        for sign in (1.0, -1.0)
    ]
