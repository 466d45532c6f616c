"""How the booked energy of boards lies in time: divided among slots in the shape of the samples.

In: rows of the ledger and segments of a few boards, a grid. Out: amounts by board and slot. The
parts of a row add up to the row (a telescoping rule: each is the difference of two floors).

A row of the ledger is up to 30 s of one board. Inside it, energy lies as the segments' integrals
do; where samples give no shape (a gap, or one that the counter bridges), evenly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.standing.booked import SPLIT, Booked
from tokenergy_sql.standing.grid import Array, Grid

_APART_US = 2 * HOUR_US
"""Between the hours of two boards on one axis: one search does for all of them."""


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
    knots = _Knots(segments, len(pairs), grid.hour_us)
    rows, board = booked.of(pairs)
    begins = (grid.edges - grid.hour_us)[None, :] + _APART_US * np.arange(len(pairs))[:, None]
    drawn, sampled = (knots.until(begins, name) for name in ("energy_nj", "covered_us"))
    pieces = _pieces(booked, rows, board, grid, knots, drawn)
    split = {
        name: pieces.of(booked.values[name][rows], board, len(pairs), time=name.endswith("_us"))
        for name in SPLIT
    }
    shaped = np.where(booked.shaped[rows], booked.values["energy_nj"][rows], 0)
    return BoardLoads(
        split,
        pieces.of(shaped, board, len(pairs)),
        np.rint(np.diff(sampled, axis=1)).astype(np.int64),
    )


class _Knots:
    """Running sums of boards' segments over one axis of time."""

    def __init__(self, segments: Segments, boards: int, hour_us: int) -> None:
        board = segments.board
        # Of each board: the hour's start, start and end of each segment, the hour's end.
        at = 2 * np.arange(len(board)) + 2 * board + 1
        first, last = (np.searchsorted(board, np.arange(boards), s) for s in ("left", "right"))
        begin, end = 2 * first + 2 * np.arange(boards), 2 * last + 2 * np.arange(boards) + 1
        self._x = np.empty(2 * len(board) + 2 * boards, np.float64)
        shift = board * _APART_US - hour_us
        self._x[at], self._x[at + 1] = segments.start_us + shift, segments.end_us + shift
        self._x[begin] = np.arange(boards) * _APART_US
        self._x[end] = self._x[begin] + HOUR_US
        self._sums: dict[str, Array] = {}
        for name in ("energy_nj", "covered_us"):
            running = np.concatenate([[0], np.cumsum(getattr(segments, name))])
            base = running[first]
            y = np.empty(len(self._x), np.float64)
            y[at], y[at + 1] = running[:-1] - base[board], running[1:] - base[board]
            y[begin], y[end] = 0, running[last] - base
            self._sums[name] = y

    def until(self, x: Array, name: str) -> Array:
        """Return a running sum of a board up to places on the axis, any shape."""
        if not len(self._x):
            return np.zeros(x.shape)
        found: Array = np.interp(x, self._x, self._sums[name])
        return found


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Rows of the ledger, cut at the edges of slots.

    Attributes:
        row, slot: of each piece.
        drawn: part of the row's energy up to the end of the piece: 0 to 1.
        passed: part of its time.
        last: whether it is the last of its row.
        slots: how many slots there are.
    """

    row: Array
    slot: Array
    drawn: Array
    passed: Array
    last: Array
    slots: int

    def of(self, amounts: Array, board: Array, boards: int, *, time: bool = False) -> Array:
        """Return amounts of rows, energy or time, by board and slot: int64[boards, slots]."""
        until = np.floor(amounts[self.row] * (self.passed if time else self.drawn))
        until[self.last] = amounts
        parts = np.diff(until, prepend=0)
        first = np.roll(self.last, 1)
        parts[first] = until[first]
        where = board[self.row] * self.slots + self.slot
        # Doubles: a slot of a board has less than 2^53 nJ.
        summed = np.bincount(where, parts, boards * self.slots)
        return np.rint(summed).astype(np.int64).reshape(boards, self.slots)


def _pieces(
    booked: Booked, rows: Array, board: Array, grid: Grid, knots: _Knots, drawn: Array
) -> _Pieces:
    start_us, end_us = booked.values["start_us"][rows], booked.values["end_us"][rows]
    first = np.searchsorted(grid.edges, start_us, "right") - 1
    count = np.searchsorted(grid.edges, end_us, "left") - first
    row = np.repeat(np.arange(len(rows)), count)
    ends = np.cumsum(count)
    slot = np.arange(len(row)) - np.repeat(ends - count, count) + first[row]
    last = np.zeros(len(row), np.bool_)
    last[ends - 1] = True
    shift = board * _APART_US - grid.hour_us
    before, after = (knots.until(ts_us + shift, "energy_nj") for ts_us in (start_us, end_us))
    whole = np.where(booked.shaped[rows], after - before, 0.0)
    by_time = (grid.edges[slot + 1] - start_us[row]) / (end_us - start_us)[row]
    by_shape = drawn[board[row], slot + 1] - before[row]
    part = np.where(whole[row] > 0, by_shape / np.where(whole > 0, whole, 1.0)[row], by_time)
    drawn_part, passed = (np.clip(one, 0.0, 1.0) for one in (part, by_time))
    return _Pieces(row, slot, drawn_part, passed, last, len(grid))
