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
        since_us: when its process began, if that is known.
        odd: whether a reading was left out, or processes took turns.
        coarse: whether its values are printed with fewer digits than they have.
    """

    points: list[tuple[int, int]]
    peak: Fraction
    lost: list[tuple[int, int]] = field(default_factory=list)
    since_us: int | None = None
    odd: bool = False
    coarse: bool = False

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
        """Return the tokens that had been read by an instant."""
        left, right = self._around(t)
        left = left or right
        assert left is not None
        return left[1]

    def most(self, t: int) -> int:
        """Return the tokens that were read at an instant or by the next reading."""
        left, right = self._around(t)
        right = right or left
        assert right is not None
        return right[1]

    def unseen(self, start: int, end: int) -> int:
        """Return the most that can have been made in a part of a time in which nothing was read."""
        # A process that had not begun made nothing.
        before_us = min(end, self.first_us) - max(start, self.since_us or start)
        after_us = end - max(start, self.last_us)
        return sum(ceil(self.peak * max(0, us) / SECOND_US) for us in (before_us, after_us))


def counters(rows: list[dict[str, Any]], job_start_us: int | None) -> list[Counter]:
    """Return what the readings of one series say: one counter, or several that take turns.

    Readings of a later run of the collector come after those of an earlier one.
    """
    readings = [r for r in rows if 0 <= r["value"] <= LARGEST]
    keys = ("run", "ts_us", "epoch", "value", "since_us")
    readings.sort(key=lambda r: tuple(-1 if r.get(k) is None else r[k] for k in keys))
    processes = _processes(readings)
    if [r["ts_us"] for p in processes for r in p] == [r["ts_us"] for r in readings]:
        kept = [r for p in processes for r in _without_odd(p)]
        found = [_unwrapped(kept, job_start_us)] if kept else []
    else:
        found = [_unwrapped(_without_odd(p), job_start_us) for p in processes]
    for one in found:
        one.odd = len(found) > 1 or sum(map(len, map(_without_odd, processes))) < len(readings)
    return found


def _processes(readings: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the readings by the process that they tell of: its start is known to a second."""
    found: list[list[dict[str, Any]]] = []
    for r in readings:
        for of in found:
            if _same_start(of[0]["since_us"], r["since_us"]):
                of.append(r)
                break
        else:
            found.append([r])
    return found


def _same_start(old: int | None, new: int | None) -> bool:
    if old is None or new is None:
        return old is new
    return abs(old - new) <= SECOND_US


def _without_odd(readings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out single readings that are too low or too high: the next one is not in line."""
    kept = list(readings)
    i = 1
    while i < len(kept):
        before, here = kept[i - 1]["value"], kept[i]["value"]
        if here < before:
            following = kept[i + 1]["value"] if i + 1 < len(kept) else None
            if following is not None and following >= before:
                del kept[i]
                continue
            if i >= 2 and here >= kept[i - 2]["value"] and _leaps(kept, i - 1):
                del kept[i - 1]
                continue
        i += 1
    return kept


def _leaps(readings: list[dict[str, Any]], i: int) -> bool:
    """Say whether a reading is high beyond any rate: its process did not begin again after it."""
    if readings[i]["since_us"] is not None:
        return True
    return bool(readings[i]["value"] > 1000 * (1 + readings[i - 1]["value"]))


def _unwrapped(readings: list[dict[str, Any]], job_start_us: int | None) -> Counter:
    """Return a counter that goes on from zero where a process began again."""
    points: list[tuple[int, int]] = []
    lost: list[tuple[int, int]] = []
    total, before = 0, None
    for r in readings:
        since, t = r["since_us"], r["ts_us"]
        if before is None:
            if since is not None and _begins_inside(since, job_start_us) and since < t:
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
    coarse = max((r.get("quantum") or 1) for r in readings) > 1
    return Counter(points, _peak(points), lost, readings[0]["since_us"], coarse=coarse)


def _begins_inside(since: int, job_start_us: int | None) -> bool:
    return job_start_us is not None and since >= job_start_us - SECOND_US


def _restarted(before: dict[str, Any], here: dict[str, Any]) -> bool:
    """Say whether the counter began again between two neighbouring readings."""
    old, new = before["since_us"], here["since_us"]
    if old is not None and new is not None:
        return bool(new > before["ts_us"] - SECOND_US)
    return bool(here["value"] < before["value"])


def _peak(points: list[tuple[int, int]]) -> Fraction:
    """Return the steepest growth between neighbouring points that are not too near."""
    rates = [
        Fraction((v1 - v0) * SECOND_US, t1 - t0)
        for (t0, v0), (t1, v1) in pairwise(points)
        if t1 - t0 >= SHORT_US
    ]
    return max(rates, default=Fraction(0))
