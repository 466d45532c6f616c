"""How the booked energy of boards lies in time: divided among slots in the shape of the samples.

In: rows of the ledger and segments of a few boards, a grid. Out: amounts by board and slot. The
parts of a row add up to the row (a telescoping rule: each is the difference of two floors).

A row of the ledger is up to 30 s of one board. Inside it, energy lies as the segments' integrals
do; where samples give no shape (a gap, or one that the counter bridges), evenly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tokenergy_sql.standing.booked import SPLIT, Booked
from tokenergy_sql.standing.grid import Array, Grid


@dataclass(frozen=True, slots=True)
class Segments:
    """s segments of P boards, sorted by board and start: int64[s] each.

    Attributes:
        board: 0 to P - 1.
        start_us, end_us, covered_us, energy_nj: as in the contract.
    """

    board: Array
    start_us: Array
    end_us: Array
    covered_us: Array
    energy_nj: Array


@dataclass(frozen=True, slots=True)
class BoardLoads:
    """Amounts of P boards in K slots: int64[P, K] each.

    Attributes:
        split: by name of `SPLIT`: what the ledger has.
        shaped_nj: the part of the energy whose shape is known.
        sampled_us: time for which samples are known.
    """

    split: dict[str, Array]
    shaped_nj: Array
    sampled_us: Array


def board_loads(booked: Booked, pairs: list[int], segments: Segments, grid: Grid) -> BoardLoads:
    """Return the amounts of some boards.

    Args:
        booked: the ledger.
        pairs: their places there; a board may be in none of the segments.
        segments: `board` counts along `pairs`.
        grid: the slots.
    """
    from tokenergy_sql.standing.kernel import divide

    boards = len(pairs)
    out = np.zeros((len(SPLIT) + 1, boards, len(grid)), np.int64)
    sampled = np.zeros((boards, len(grid)), np.int64)
    columns = (segments.start_us, segments.end_us, segments.covered_us, segments.energy_nj)
    divide(
        grid.edges,
        np.searchsorted(segments.board, np.arange(boards + 1)),
        tuple(np.ascontiguousarray(column, np.int64) for column in columns),
        booked.offsets[pairs],
        booked.offsets[1:][pairs],
        (booked.values["start_us"], booked.values["end_us"], booked.shaped),
        tuple(booked.values[name] for name in SPLIT),
        out,
        sampled,
    )
    return BoardLoads(dict(zip(SPLIT, out[:-1], strict=True)), out[-1], sampled)
