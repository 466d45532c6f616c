"""What one token counter says: how many tokens until an instant, at least and at most.

Rules: docs/index-definition.md, "Tokens".
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby, pairwise
from math import ceil
from typing import Any

SECOND_US = 1_000_000
LARGEST = 1 << 53
SHORT_US = 100_000


@dataclass
class Counter:
    """One series, unwrapped: tokens since its first reading, at the instants that are known.

    Attributes:
        points: (stamp, tokens), ascending in both.
        peak: its steepest growth, tokens a second.
        lost: (start, end) of times of which a dead process may have counted more than was read.
        odd: whether a reading was left out.
    """

    points: list[tuple[int, int]]
    peak: Fraction
    lost: list[tuple[int, int]] = field(default_factory=list)
    odd: bool = False

    @property
    def first_us(self) -> int:
        return self.points[0][0]

    @property
    def last_us(self) -> int:
        return self.points[-1][0]

    def _around(self, t: int) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
        """Return the points around an instant: at or before it, and at or after it."""
        i = bisect_right(self.points, (t, LARGEST)) - 1
        j = bisect_left(self.points, (t, -LARGEST))
        right = self.points[j] if j < len(self.points) else None
        if right is not None:  # of several at one stamp the last one counts
            right = self.points[bisect_right(self.points, (right[0], LARGEST)) - 1]
        return (self.points[i] if i >= 0 else None), right

    def value(self, t: int) -> int:
        """Return the tokens until an instant: linear between points, rounded down."""
        left, right = self._around(t)
        if left is None:
            assert right is not None
            return right[1]
        if right is None or left[0] == right[0]:
            return left[1]
        return left[1] + (right[1] - left[1]) * (t - left[0]) // (right[0] - left[0])

    def least(self, t: int) -> int:
        """Return the lower bound of the tokens until an instant."""
        left, right = self._around(t)
        if left is not None:
            return left[1]
        assert right is not None
        return right[1] - ceil(self.peak * (self.first_us - t) / SECOND_US)

    def most(self, t: int) -> int:
        """Return the upper bound of the tokens until an instant."""
        left, right = self._around(t)
        if right is not None:
            return right[1]
        assert left is not None
        return left[1] + ceil(self.peak * (t - self.last_us) / SECOND_US)


def counter(rows: list[dict[str, Any]], job_start_us: int | None) -> Counter | None:
    """Return the counter that the rows of one series are readings of; None if none is usable."""
    readings = [r for r in rows if 0 <= r["value"] <= LARGEST]
    if not readings:
        return None
    keys = ("run", "ts_us", "epoch", "value", "since_us")
    readings.sort(key=lambda r: tuple(-1 if r.get(k) is None else r[k] for k in keys))
    points: list[tuple[int, int]] = []
    lost: list[tuple[int, int]] = []
    total, before = 0, None
    for r in readings:
        since, t = r["since_us"], r["ts_us"]
        if before is None:
            starts_in_view = since is not None and job_start_us is not None and since < t
            if starts_in_view and since >= job_start_us - SECOND_US:
                points.append((since, 0))
                total = r["value"]
        elif _restarted(before, r):
            if since is not None and before["ts_us"] < since < t:
                points.append((since, total))
                lost.append((before["ts_us"], since))
            else:
                lost.append((before["ts_us"], t))
            total += r["value"]
        else:
            total += r["value"] - before["value"]
        points.append((t, total))
        before = r
    points = [(t, max(v for _, v in same)) for t, same in groupby(points, key=lambda p: p[0])]
    return Counter(points, _peak(points), lost)


def _restarted(before: dict[str, Any], here: dict[str, Any]) -> bool:
    """Say whether the counter began again between two neighbouring readings."""
    old, new = before["since_us"], here["since_us"]
    if old is not None and new is not None:
        return bool(new - old > SECOND_US)
    return bool(here["value"] < before["value"])


def _peak(points: list[tuple[int, int]]) -> Fraction:
    """Return the steepest growth between neighbouring points that are not too near."""
    rates = [
        Fraction((v1 - v0) * SECOND_US, t1 - t0)
        for (t0, v0), (t1, v1) in pairwise(points)
        if t1 - t0 >= SHORT_US
    ]
    return max(rates, default=Fraction(0))
