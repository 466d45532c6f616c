"""Sets of time: half-open intervals (from, until), microseconds, ascending and disjoint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Interval = tuple[int, int]
Intervals = Sequence[Interval]


def joined(parts: Iterable[Interval]) -> list[Interval]:
    """Return intervals with those that touch or overlap joined; in any order."""
    found: list[Interval] = []
    for from_us, until_us in sorted(part for part in parts if part[0] < part[1]):
        if found and from_us <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], until_us)
        else:
            found.append((from_us, until_us))
    return found


def common(one: Intervals, other: Intervals) -> list[Interval]:
    """Return the time that two sets share."""
    found: list[Interval] = []
    at, beside = 0, 0
    while at < len(one) and beside < len(other):
        from_us = max(one[at][0], other[beside][0])
        until_us = min(one[at][1], other[beside][1])
        if from_us < until_us:
            found.append((from_us, until_us))
        if one[at][1] < other[beside][1]:
            at += 1
        else:
            beside += 1
    return found


def length(parts: Intervals) -> int:
    """Return how long a set is, microseconds."""
    return sum(until_us - from_us for from_us, until_us in parts)
