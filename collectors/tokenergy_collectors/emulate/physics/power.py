"""The physics of a node's boards: true power, and its exact integral.

In: the load that workloads put on each board. Out: true power as an integer number of milliwatts,
constant over the cells of a fixed 5 ms grid. mW x us = nJ, so energy at any microsecond is an exact
integer: this is the truth that measurements are scored against.

Power follows its target through a first-order lag and carries a ripple in proportion to itself. It
is generated in chunks as time goes on. Only the last two are kept; the energy at declared edges
(job starts and ends) is recorded on the way, so memory does not grow with time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tokenergy_collectors.emulate.workloads.base import Workload
from tokenergy_collectors.emulate.workloads.timeline import CELL_US, Floats

CHUNK_CELLS = 2_000
CHUNK_US = CHUNK_CELLS * CELL_US
"""Power is generated 10 s at a time; 10 to 20 s of history can be read."""

Ints = npt.NDArray[np.int64]

_NEGLIGIBLE = 1e-9
_WARM_TAU_US = 25_000_000
_AMBIENT_C = 27.0
_KELVIN_PER_MW = 5.2e-5
"""An air-cooled board at 700 W settles at 63 degrees, with a time constant of 25 s."""


@dataclass(frozen=True, slots=True)
class BoardPhysics:
    """The parameters of one board's power.

    Attributes:
        idle_mw: power without any workload.
        limit_mw: power limit; true power never exceeds it by more than 4 %.
        rise_us: time constant of a rise.
        fall_us: time constant of a fall.
        ripple: standard deviation of the ripple in a cell, as a share of power.
        factor: this board's power under load, relative to the nominal one.
    """

    idle_mw: float
    limit_mw: int
    rise_us: float
    fall_us: float
    ripple: float
    factor: float


@dataclass(frozen=True, slots=True)
class Placement:
    """A workload and the boards on this node that it runs on, by rank."""

    workload: Workload
    boards: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """True power of all boards over the two latest chunks; never changed once made.

    Arrays have one row a board and one column a cell. `energy_nj[b, i]` is the integral from time
    zero to the start of cell i, so it has one column more.
    """

    start_us: int
    end_us: int
    power_mw: Ints
    energy_nj: Ints
    sm_percent: Floats
    mem_percent: Floats
    temp_c: Floats

    def energy_at(self, board: int, at_us: Ints) -> Ints:
        """Return a board's exact integral in nJ at instants within [start_us, end_us)."""
        cell, inside_us = np.divmod(at_us - self.start_us, CELL_US)
        energy_nj: Ints = self.energy_nj[board, cell] + self.power_mw[board, cell] * inside_us
        return energy_nj


def lag(target: Floats, before: Floats, tau_cells: Floats) -> Floats:
    """Return the first-order response to targets held for a cell each.

    y[n] = k y[n-1] + (1 - k) u[n] with k = exp(-1 / tau), solved for all n at once: the sum over
    2m terms is the sum over m terms plus k^m times the same sum m cells ago.

    Args:
        target: u, one row a board.
        before: y before the first cell, one a board.
        tau_cells: time constant in cells, one a board.
    """
    keep = np.exp(-1.0 / tau_cells)[:, None]
    response = (1.0 - keep) * target
    response[:, :1] += keep * before[:, None]
    step = 1
    while step < target.shape[1] and float(keep.max()) ** step > _NEGLIGIBLE:
        response[:, step:] += keep**step * response[:, :-step]
        step *= 2
    return response


class BoardGroup:
    """All boards of a node, advanced together.

    Args:
        boards: the boards, by index.
        placements: what runs on them.
        edges_us: profile times at which to record the energy of every board.
        seed: seeds of the ripple.
    """

    def __init__(
        self,
        boards: Sequence[BoardPhysics],
        placements: Sequence[Placement],
        edges_us: Iterable[int],
        seed: Sequence[int],
    ) -> None:
        self._boards = list(boards)
        self._placements = placements
        self._edges_us = sorted(set(edges_us), reverse=True)
        self._seed = list(seed)
        self._idle_mw = np.array([board.idle_mw for board in boards])
        self._limit_mw = np.array([board.limit_mw for board in boards])
        self._ripple = np.array([board.ripple for board in boards])
        rise = np.array([board.rise_us for board in boards]) / CELL_US
        fall = np.array([board.fall_us for board in boards]) / CELL_US
        self._taus = (rise, fall)
        self._lagged = [self._idle_mw.copy(), self._idle_mw.copy()]
        self._warm_mw = self._idle_mw.copy()
        self.edge_nj: dict[int, Ints] = {}
        """Energy of each board since time zero, by edge."""
        # Two idle chunks before time zero, so that the windows of the first readings are filled.
        first = self._generate(-2 * CHUNK_US, np.zeros(len(boards), dtype=np.int64))
        second = self._generate(-CHUNK_US, first.energy_nj[:, -1])
        self.trace = _join(first, second, -second.energy_nj[:, -1:])

    def advance(self, to_us: int) -> None:
        """Generate chunks until `to_us` lies within the trace."""
        while self.trace.end_us <= to_us:
            trace = self.trace
            chunk = self._generate(trace.end_us, trace.energy_nj[:, -1])
            while self._edges_us and self._edges_us[-1] < chunk.end_us:
                edge = np.array([self._edges_us.pop()])
                rows = [chunk.energy_at(board, edge) for board in range(len(self._boards))]
                self.edge_nj[int(edge[0])] = np.concatenate(rows)
            self.trace = _join(_latest(trace), chunk, np.zeros((1, 1), dtype=np.int64))

    def _generate(self, start_us: int, energy_nj: Ints) -> Trace:
        target_mw, sm_percent, mem_percent = self._demand(start_us)
        power_mw = self._follow(target_mw, start_us)
        so_far = energy_nj[:, None] + np.cumsum(power_mw * CELL_US, axis=1)
        return Trace(
            start_us,
            start_us + CHUNK_US,
            power_mw,
            np.concatenate([energy_nj[:, None], so_far], axis=1),
            sm_percent,
            mem_percent,
            self._warm(power_mw),
        )

    def _demand(self, start_us: int) -> tuple[Floats, Floats, Floats]:
        """Return target power (mW) and utilization (percent) of a chunk's cells."""
        target_mw = np.repeat(self._idle_mw[:, None], CHUNK_CELLS, axis=1)
        sm_percent, mem_percent = np.zeros_like(target_mw), np.zeros_like(target_mw)
        for placement in self._placements:
            workload = placement.workload
            if workload.end_us <= start_us or workload.start_us >= start_us + CHUNK_US:
                continue
            workload.advance(start_us + CHUNK_US)
            cells = workload.cells(start_us, CHUNK_CELLS)
            for board in placement.boards:
                factor = self._boards[board].factor
                target_mw[board] += factor * cells.power_mw - cells.covered * self._idle_mw[board]
                sm_percent[board] += cells.sm_percent
                mem_percent[board] += cells.mem_percent
            workload.forget(start_us - CHUNK_US)
        return target_mw, sm_percent, mem_percent

    def _follow(self, target_mw: Floats, start_us: int) -> Ints:
        """Return true power: the lagged target with its ripple, in whole milliwatts.

        Two lags run side by side. The faster one is above on a rise and below on a fall, so their
        maximum (or minimum, where falls are faster) rises with one constant and falls with the
        other.
        """
        rise, fall = self._taus
        lagged = [lag(target_mw, self._lagged[i], self._taus[i]) for i in (0, 1)]
        self._lagged = [response[:, -1].copy() for response in lagged]
        faster_rise = (rise <= fall)[:, None]
        smooth = np.where(faster_rise, np.maximum(*lagged), np.minimum(*lagged))
        # A generator a chunk, so that the noise does not depend on how time advanced. Chunks before
        # time zero begin at -2, and a seed must not be negative.
        rng = np.random.default_rng([*self._seed, start_us // CHUNK_US + 2])
        rippled = smooth * (1 + self._ripple[:, None] * rng.standard_normal(smooth.shape))
        top_mw = 1.04 * self._limit_mw[:, None]
        return np.rint(np.clip(rippled, 0.5 * self._idle_mw[:, None], top_mw)).astype(np.int64)

    def _warm(self, power_mw: Ints) -> Floats:
        """Return the temperature at the end of a chunk's cells, degrees Celsius."""
        tau = np.full(len(self._boards), _WARM_TAU_US / CELL_US)
        warm_mw = lag(power_mw.astype(np.float64), self._warm_mw, tau)
        self._warm_mw = warm_mw[:, -1].copy()
        return _AMBIENT_C + _KELVIN_PER_MW * warm_mw


def _latest(trace: Trace) -> Trace:
    """Return the second of a trace's two chunks."""
    cut = CHUNK_CELLS
    return Trace(
        trace.end_us - CHUNK_US,
        trace.end_us,
        trace.power_mw[:, cut:],
        trace.energy_nj[:, cut:],
        trace.sm_percent[:, cut:],
        trace.mem_percent[:, cut:],
        trace.temp_c[:, cut:],
    )


def _join(old: Trace, new: Trace, shift_nj: Ints) -> Trace:
    """Return two chunks as one trace, with the energy shifted by a constant a board."""
    return Trace(
        old.start_us,
        new.end_us,
        np.concatenate([old.power_mw, new.power_mw], axis=1),
        np.concatenate([old.energy_nj[:, :-1], new.energy_nj], axis=1) + shift_nj,
        np.concatenate([old.sm_percent, new.sm_percent], axis=1),
        np.concatenate([old.mem_percent, new.mem_percent], axis=1),
        np.concatenate([old.temp_c, new.temp_c], axis=1),
    )
