"""The books of a store: what it took, gave, lost and kept, in whole nanojoules.

In: the energy of the load in each cell, and grid power. Out: sums that close exactly:

    grid energy = load energy + losses + change of charge

A cell's grid energy is rounded to a nanojoule, and so is its change of charge: downwards, so that a
loss is never negative. Every sum is of whole numbers without an upper limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tokenergy_transforms.batch import I64
from tokenergy_transforms.storage.program import F64
from tokenergy_transforms.storage.wanted import Store

WHOLE_PPM = 1_000_000
_NJ_PER_J = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Balance:
    """Energies in nanojoules.

    Attributes:
        grid_nj: from the grid.
        load_nj: to the load.
        taken_nj: into the store, before losses.
        given_nj: out of the store, after losses.
        loss_nj: lost in the store; never negative.
        change_nj: charge at the end less that at the start.
    """

    grid_nj: int = 0
    load_nj: int = 0
    taken_nj: int = 0
    given_nj: int = 0
    loss_nj: int = 0
    change_nj: int = 0

    def plus(self, other: Balance) -> Balance:
        """Return the sum of two."""
        return Balance(
            self.grid_nj + other.grid_nj,
            self.load_nj + other.load_nj,
            self.taken_nj + other.taken_nj,
            self.given_nj + other.given_nj,
            self.loss_nj + other.loss_nj,
            self.change_nj + other.change_nj,
        )


def ppm(share: float) -> int:
    """Return an efficiency in parts per million."""
    return round(share * WHOLE_PPM)


def balance(load_nj: I64, grid_w: F64, step_s: float, store: Store) -> Balance:
    """Return the books of a run.

    Args:
        load_nj: int64[N].
        grid_w: float64[N].
        step_s: length of a cell.
        store: its efficiencies, taken to a millionth.
    """
    grid_nj = np.rint(grid_w * (step_s * _NJ_PER_J)).astype(np.int64)
    flow = grid_nj - load_nj
    taken, given = np.maximum(flow, 0), np.maximum(-flow, 0)
    into = _times(taken, ppm(store.charge))
    out = _divided(given, ppm(store.discharge))
    return Balance(
        _sum(grid_nj),
        _sum(load_nj),
        _sum(taken),
        _sum(given),
        _sum(taken - into) + _sum(out - given),
        _sum(into) - _sum(out),
    )


def _times(energy: I64, share: int) -> I64:
    """Return floor(energy x share / 10^6) without leaving 64 bits."""
    return energy // WHOLE_PPM * share + energy % WHOLE_PPM * share // WHOLE_PPM


def _divided(energy: I64, share: int) -> I64:
    """Return ceil(energy x 10^6 / share) without leaving 64 bits."""
    return energy // share * WHOLE_PPM - (-(energy % share) * WHOLE_PPM // share)


def _sum(values: I64) -> int:
    # Python's integers: a year of a large site exceeds 64 bits.
    return sum(values.tolist())
