"""A piecewise-constant load: what a workload demands of its boards, segment after segment.

In: segments appended in order, each with the power it asks for, its utilization and the workload's
cumulative totals once it has ended. Out: means over the cells of the power grid, and totals at an
instant. Segments before the time in use are dropped, so memory does not grow with time.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

CELL_US = 5_000
"""Length of the cells in which true power is constant."""

Floats = npt.NDArray[np.float64]


class Load(NamedTuple):
    """What a segment demands of each board."""

    power_mw: float
    sm_percent: float
    mem_percent: float


@dataclass(frozen=True, slots=True)
class Cells:
    """A load on the grid. Each array has one value a cell; demands are weighted by `covered`.

    Attributes:
        covered: share of the cell that lies inside the workload, 0 to 1.
        power_mw: mean power demanded, counting 0 outside the workload.
        sm_percent: mean SM utilization.
        mem_percent: mean memory utilization.
    """

    covered: Floats
    power_mw: Floats
    sm_percent: Floats
    mem_percent: Floats


class Timeline:
    """Contiguous segments that begin at `start_us`, with cumulative totals at their ends."""

    def __init__(self, start_us: int, totals: tuple[int, ...] = ()) -> None:
        self._ends_us = [start_us]
        self._loads = [Load(0.0, 0.0, 0.0)]
        self._totals = [totals]

    @property
    def end_us(self) -> int:
        """Where the last segment ends."""
        return self._ends_us[-1]

    @property
    def totals(self) -> tuple[int, ...]:
        """Totals at the end of the last segment."""
        return self._totals[-1]

    def append(self, end_us: int, load: Load, totals: tuple[int, ...] | None = None) -> None:
        """Add a segment up to `end_us`; without totals they stay as they were."""
        self._ends_us.append(end_us)
        self._loads.append(load)
        self._totals.append(self._totals[-1] if totals is None else totals)

    def totals_at(self, at_us: int) -> tuple[int, ...]:
        """Return the totals after the last segment that had ended at `at_us`."""
        return self._totals[max(bisect_right(self._ends_us, at_us) - 1, 0)]

    def forget(self, before_us: int) -> None:
        """Drop what is not needed to answer for `before_us` and later."""
        keep = bisect_right(self._ends_us, before_us) - 1
        if keep > 0:
            del self._ends_us[:keep], self._loads[:keep], self._totals[:keep]

    def cells(self, first_us: int, count: int) -> Cells:
        """Return the mean demand in `count` cells from `first_us`; zero outside the segments."""
        edges_us = first_us + CELL_US * np.arange(count + 1, dtype=np.int64)
        ends_us = np.array(self._ends_us, dtype=np.float64)
        durations_us = np.diff(ends_us)
        loads = np.array(self._loads[1:], dtype=np.float64).reshape(-1, 3)
        columns = [np.ones(len(loads)), *loads.T]
        return Cells(*(_means(ends_us, column * durations_us, edges_us) for column in columns))


def _means(ends_us: Floats, amounts: Floats, edges_us: npt.NDArray[np.int64]) -> Floats:
    """Spread amounts (value times microseconds) of segments over cells and return cell means."""
    # The running sum at the cells' edges: differences of it keep the total amount exact.
    so_far = np.concatenate(([0.0], np.cumsum(amounts)))
    return np.diff(np.interp(edges_us, ends_us, so_far)) / CELL_US
