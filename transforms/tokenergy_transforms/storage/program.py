"""A linear program over time whose rows touch only neighbouring steps, and one number besides.

Minimise z, subject to rows  a . x(nearby) + e z <= b.  x is a vector along time, in which the first
and the last entry are one number (a store ends as full as it began). `Rows` holds rows of one kind:
every row touches the same places relative to its own. Products with such a matrix are sums of
shifted vectors, and A' D A is a narrow band: that makes an hour at 10 Hz quick.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one kind.

    Attributes:
        first: place in x that row 0 counts from; row i counts from i places further.
        offsets: which places each row touches, relative to where it begins; ascending.
        weights: float64[offsets, rows].
        extra: float64[rows], the weight of z.
        bound: float64[rows], the right side.
    """

    first: int
    offsets: tuple[int, ...]
    weights: F64
    extra: F64
    bound: F64

    @property
    def count(self) -> int:
        """The number of rows."""
        return len(self.bound)

    def place(self, offset: int) -> slice:
        """Return the entries of x that the rows touch at an offset."""
        begin = self.first + offset
        return slice(begin, begin + self.count)


@dataclass(frozen=True, slots=True)
class Program:
    """Minimise z over x and z; `size` is the length of x, `blocks` hold its rows."""

    size: int
    blocks: tuple[Rows, ...]

    @property
    def count(self) -> int:
        """The number of rows."""
        return sum(rows.count for rows in self.blocks)

    def split(self, vector: F64) -> list[F64]:
        """Return the parts of a vector of all rows, one a block; they share its memory."""
        edges = np.cumsum([rows.count for rows in self.blocks])[:-1]
        return np.split(vector, edges)

    def times(self, x: F64, z: float) -> F64:
        """Return A (x, z)."""
        out = np.empty(self.count)
        for rows, part in zip(self.blocks, self.split(out), strict=True):
            np.multiply(rows.extra, z, out=part)
            for weight, offset in zip(rows.weights, rows.offsets, strict=True):
                part += weight * x[rows.place(offset)]
        return out

    def transposed(self, y: F64) -> tuple[F64, float]:
        """Return A' y: the part of x (its ends not yet joined), and that of z."""
        out, extra = np.zeros(self.size), 0.0
        for rows, part in zip(self.blocks, self.split(y), strict=True):
            extra += float(rows.extra @ part)
            for weight, offset in zip(rows.weights, rows.offsets, strict=True):
                out[rows.place(offset)] += weight * part
        return out, extra

    def normal(self, scale: F64, width: int) -> tuple[F64, F64, float]:
        """Return A' D A: the band of x, the column of z along x, and the corner of z.

        Args:
            scale: the diagonal of D, one entry a row.
            width: diagonals of the band, from the main one down.
        """
        band, column, corner = np.zeros((self.size, width)), np.zeros(self.size), 0.0
        for rows, part in zip(self.blocks, self.split(scale), strict=True):
            extra = part * rows.extra
            corner += float(extra @ rows.extra)
            for i, (weight, offset) in enumerate(zip(rows.weights, rows.offsets, strict=True)):
                scaled, place = part * weight, rows.place(offset)
                column[place] += extra * weight
                for other, further in zip(rows.weights[i:], rows.offsets[i:], strict=True):
                    band[place, further - offset] += scaled * other
        return band, column, corner

    def width(self) -> int:
        """Return how many diagonals the band of A' D A has, from the main one down."""
        return max(rows.offsets[-1] - rows.offsets[0] for rows in self.blocks) + 1


def rows(
    first: int,
    weights: Sequence[tuple[int, F64 | float]],
    extra: F64 | float,
    bound: F64,
) -> Rows:
    """Return rows from pairs (offset, weight of each row, or one for all)."""
    count = len(bound)
    return Rows(
        first,
        tuple(offset for offset, _ in weights),
        np.stack([np.broadcast_to(np.asarray(w, np.float64), (count,)) for _, w in weights]),
        np.broadcast_to(np.asarray(extra, np.float64), (count,)),
        np.ascontiguousarray(bound, dtype=np.float64),
    )
