"""The time grid of an hour: cells of 10 s, cut where something moves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenergy_collectors.lake.contract import HOUR_US

Array = np.ndarray[Any, np.dtype[Any]]

STEP_US = 10_000_000
"""A cell: long enough for boards that are read each second, short enough for what trips a fuse."""

CELLS = HOUR_US // STEP_US


@dataclass(frozen=True, slots=True)
class Grid:
    """The K slots of an hour: its cells, each cut at the instants at which something moves.

    Attributes:
        hour_us: start of the hour, microseconds UTC.
        edges: of the slots: int64[K + 1], ascending, from the hour's start to its end.
        cell: that each slot is in: int64[K].
        length: of the slots, microseconds: int64[K].
    """

    hour_us: int
    edges: Array
    cell: Array
    length: Array

    def __len__(self) -> int:
        """Return how many slots there are."""
        return len(self.cell)

    def slot(self, ts_us: int) -> int:
        """Return the slot that begins at an instant; K at the end of the hour."""
        return int(np.searchsorted(self.edges, ts_us))

    def by_cell(self, values: Array) -> Array:
        """Return sums by cell of values by slot (..., K)."""
        if len(self.cell) == CELLS:  # nothing moves: each cell is one slot
            return values
        starts = np.flatnonzero(np.diff(self.cell, prepend=-1))
        found: Array = np.add.reduceat(values, starts, axis=-1)
        return found


def grid_of(hour_us: int, cuts: Iterable[int] = ()) -> Grid:
    """Return the grid of an hour that is cut at some instants inside it."""
    regular = hour_us + STEP_US * np.arange(CELLS + 1, dtype=np.int64)
    edges = np.union1d(regular, np.array([*cuts], np.int64))
    return Grid(hour_us, edges, (edges[:-1] - hour_us) // STEP_US, np.diff(edges))
