"""Differences along a curve that is known at some instants, interpolated linearly between them.

In: points in time order. Out: how much the curve rose between two instants, or None if that is
unknown: before the first point, after the last, or inside a gap that is too wide.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

Point = tuple[int, int]
"""An instant (us) and the curve's value there."""


def difference(
    points: Sequence[Point], start_us: int, end_us: int, widest_us: int | None = None
) -> float | None:
    """Return how much a curve rose between two instants.

    Args:
        points: the curve, in time order.
        start_us: the earlier instant.
        end_us: the later one.
        widest_us: between two points that are further apart the curve is unknown (us).
    """
    before, after = (_at(points, at_us, widest_us) for at_us in (start_us, end_us))
    return None if before is None or after is None else after - before


def _at(points: Sequence[Point], at_us: int, widest_us: int | None) -> float | None:
    index = bisect_left(points, at_us, key=lambda point: point[0])
    if index == len(points):
        return None
    right_us, right = points[index]
    # Exactly at a point the value is known, however wide the gaps beside it are.
    if right_us == at_us:
        return right
    if index == 0:
        return None
    left_us, left = points[index - 1]
    if widest_us is not None and right_us - left_us > widest_us:
        return None
    return left + (right - left) * (at_us - left_us) / (right_us - left_us)
