"""The distribution of a place's power over the cells of an hour.

Of several hours it is that of the sums of their histograms: a percentile of a month never is a mean
of the hours' percentiles. Bins have fixed edges, so histograms of any places and hours add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenergy_sql.standing.grid import STEP_US, Array, Grid

GROWTH = 1.005
"""Each bin ends at so many times its beginning: half a per cent is finer than any board's meter."""

_BINS = 4700
"""To above 10 GW."""

EDGES_MW = 1000.0 * GROWTH ** np.arange(_BINS)


@dataclass(frozen=True, slots=True)
class Slots:
    """The power of a place by slot.

    Attributes:
        power_mw: what each slot adds to the mean of its cell: int64[K].
        present: whether a node, or a meter, is there: bool[K].
        unknown: whether a part of it is not known: bool[K].
    """

    power_mw: Array
    present: Array
    unknown: Array


@dataclass(frozen=True, slots=True)
class Cells:
    """The power of a place by cell: int64[C] and bool[C]."""

    power_mw: Array
    known: Array


def cells_of(slots: Slots, grid: Grid) -> Cells:
    """Return mean powers of cells; one is known if all of the place is, in all of the cell."""
    doubt = grid.by_cell((slots.unknown | ~slots.present).astype(np.int64))
    return Cells(grid.by_cell(slots.power_mw), doubt == 0)


def distribution(cells: Cells, hour_us: int) -> dict[str, Any]:
    """Return the columns of `place_hour` from `cells` to `counts`, without the bounds of the peak.

    Percentiles are of the nearest rank, so peak >= p99 >= p50 always.
    """
    values = cells.power_mw[cells.known]
    if not len(values):
        return {"cells": 0}
    ordered = np.sort(values)
    bins, counts = histogram(values)
    at = int(np.flatnonzero(cells.known & (cells.power_mw == ordered[-1]))[0])
    return {
        "cells": len(values),
        "mean_mw": float(values.sum()) / len(values),
        "min_mw": int(ordered[0]),
        "p50_mw": ranked(ordered, 0.50),
        "p99_mw": ranked(ordered, 0.99),
        "peak_mw": int(ordered[-1]),
        "peak_us": hour_us + at * STEP_US,
        "bins": bins.tolist(),
        "counts": counts.tolist(),
    }


def ranked(ordered: Array, part: float) -> int:
    """Return the value of the nearest rank of ascending values."""
    return int(ordered[max(int(np.ceil(part * len(ordered))), 1) - 1])


def histogram(values_mw: Array) -> tuple[Array, Array]:
    """Return the bins that some powers are in, ascending, and how many are in each."""
    bins, counts = np.unique(np.searchsorted(EDGES_MW, values_mw, "right"), return_counts=True)
    return bins, counts


def highest(cells: Cells, among: Array) -> int | None:
    """Return the highest power of some cells (bool[C]), known or not; None if there are none."""
    values = cells.power_mw[among]
    return int(values.max()) if len(values) else None
