"""The energy course of a job: how much it used in each cell of its time.

In: rows of several boards, each a span with energy and bounds. Out: one course of cells that follow
one another, in whole nanojoules, which add up to the rows. Energy is even within a row.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple


class Piece(NamedTuple):
    """What one board used in one span: us UTC, nanojoules with bounds."""

    start_us: int
    end_us: int
    nj: int
    low_nj: int
    high_nj: int


@dataclass(frozen=True, slots=True)
class Course:
    """Cells of a job.

    Attributes:
        edges_us: edges of the cells, ascending, us UTC: one more than cells.
        nj: energy of each cell.
        low_nj: its lower bound.
        high_nj: its upper bound.
    """

    edges_us: tuple[int, ...]
    nj: tuple[int, ...]
    low_nj: tuple[int, ...]
    high_nj: tuple[int, ...]

    @property
    def start_us(self) -> int:
        """When the first cell begins."""
        return self.edges_us[0]

    @property
    def end_us(self) -> int:
        """When the last cell ends."""
        return self.edges_us[-1]

    @property
    def total_nj(self) -> int:
        """Energy of all cells."""
        return sum(self.nj)

    def power_mw(self) -> tuple[int, ...]:
        """Return the power of each cell, rounded up to a milliwatt: a limit is never missed."""
        return tuple(
            -(-energy // (end - start))
            for energy, (start, end) in zip(self.nj, pairwise(self.edges_us), strict=True)
        )

    def scaled(self, factor: Fraction) -> Course:
        """Return the course times a factor, in whole nanojoules that add up to the whole."""
        return Course(
            self.edges_us,
            _telescoped(self.nj, factor),
            _telescoped(self.low_nj, factor),
            _telescoped(self.high_nj, factor),
        )


def course_of(pieces: Iterable[Piece]) -> Course | None:
    """Return the course of a job from what its boards used; None without a piece.

    The part of a piece in a cell is floor(E b / t) - floor(E a / t), so cells add up to pieces.
    """
    listed = [one for one in pieces if one.start_us < one.end_us]
    if not listed:
        return None
    edges = sorted({edge for one in listed for edge in one[:2]})
    sums = [[0] * (len(edges) - 1) for _ in range(3)]
    for one in listed:
        first, last = bisect_left(edges, one.start_us), bisect_left(edges, one.end_us)
        length = one.end_us - one.start_us
        for which, whole in enumerate((one.nj, one.low_nj, one.high_nj)):
            before = 0
            for place in range(first, last):
                upto = whole * (edges[place + 1] - one.start_us) // length
                sums[which][place] += upto - before
                before = upto
    return Course(tuple(edges), *(tuple(one) for one in sums))


def joined(courses: Iterable[Course]) -> Course:
    """Return courses that follow one another as one; the time between two is a cell without energy.

    Raises:
        ValueError: there is none, or two overlap.
    """
    edges: list[int] = []
    sums: tuple[list[int], list[int], list[int]] = ([], [], [])
    for one in courses:
        if edges and one.start_us < edges[-1]:
            raise ValueError("two courses overlap")
        if edges and one.start_us > edges[-1]:
            for values in sums:
                values.append(0)
        edges += one.edges_us[1:] if edges and one.start_us == edges[-1] else one.edges_us
        for values, more in zip(sums, (one.nj, one.low_nj, one.high_nj), strict=True):
            values += more
    if not edges:
        raise ValueError("no course")
    return Course(tuple(edges), *(tuple(values) for values in sums))


def _telescoped(amounts: tuple[int, ...], factor: Fraction) -> tuple[int, ...]:
    """Return amounts times a factor, rounded down as running sums."""
    found, whole, before = [], 0, 0
    for amount in amounts:
        whole += amount
        upto = whole * factor.numerator // factor.denominator
        found.append(upto - before)
        before = upto
    return tuple(found)
