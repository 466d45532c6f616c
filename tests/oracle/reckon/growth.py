"""Tokens of a part of a job's time: the growth between readings, divided by time.

Rules: docs/index-definition.md, "The same time above and below the line".
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any

from tests.oracle.reckon.counters import Counter
from tests.oracle.reckon.known import Times
from tests.oracle.reckon.usage import Series, turns


def dealt(series: Series, times: Times) -> dict[str, tuple[int, int, int]]:
    """Return the tokens of some times by kind, at least and at most.

    Args:
        series: of one job; of copies that count the same the largest counts, turn by turn.
        times: that do not overlap.
    """
    if not times:
        return {}
    found: dict[str, tuple[int, int, int]] = {}
    slack: dict[str, int] = defaultdict(int)
    of_engines: dict[tuple[Any, ...], list[tuple[Any, Any, list[Counter]]]] = defaultdict(list)
    for (*engine, alone), copies in series.items():
        for (metric, *_), processes in copies.items():
            quantum = max((q for one in processes for q in one.quanta.values()), default=1)
            slack[engine[-1]] += quantum if quantum > 1 else 0
            of_engines[tuple(engine)].append((metric, alone, processes))
    for (*_, kind), each in of_engines.items():
        spans = [(min(c.first_us for c in of), max(c.last_us for c in of)) for *_, of in each]
        in_turn = turns(spans)
        for turn in set(in_turn):
            now = [one for one, number in zip(each, in_turn, strict=True) if number == turn]
            for processes in _counting(now):
                parts = [_of(one, times) for one in processes]
                first, second, third = zip(found.get(kind, (0, 0, 0)), *parts, strict=True)
                found[kind] = sum(first), sum(second), sum(third)
    return {
        kind: (n, max(0, low - slack[kind]), high + slack[kind])
        for kind, (n, low, high) in found.items()
    }


def _counting(each: list[tuple[Any, Any, list[Counter]]]) -> list[list[Counter]]:
    """Return the series that count, of those that count at one time: those of the largest name."""
    names = []
    for name in sorted({metric for metric, *_ in each}, key=str):
        largest = []
        for series in {alone for metric, alone, _ in each if metric == name}:
            copies = [of for metric, alone, of in each if (metric, alone) == (name, series)]
            largest.append(max(copies, key=_tokens))
        names.append(largest)
    return max(names, key=lambda of: sum(map(_tokens, of)))


def _tokens(processes: list[Counter]) -> int:
    return sum(one.points[-1][1] for one in processes)


def _of(one: Counter, times: Times) -> tuple[int, int, int]:
    """Return what a counter counted in some times, wholly inside of them, and touching them."""
    n = low = high = 0
    for (t0, v0), (t1, v1) in pairwise(one.points):
        grew, length = v1 - v0, t1 - t0
        touching = [(a, b) for a, b in times if a < t1 and b > t0]
        for a, b in touching:
            n += grew * (min(t1, b) - t0) // length - grew * (max(t0, a) - t0) // length
        low += grew if any(a <= t0 and t1 <= b for a, b in touching) else 0
        high += grew if touching else 0
    return n, low, high
