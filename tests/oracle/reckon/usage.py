"""Tokens of each job in each hour, by kind: differences of its counters at the hours' edges.

Rules: docs/index-definition.md, "Tokens".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import Any

from tests.oracle.reckon.counters import Counter, counter
from tests.oracle.reckon.holders import Allocation, job_key
from tests.oracle.reckon.segments import HOUR_US

Key = tuple[str, int, str | None, str]
"""Job, hour, model, kind."""


@dataclass
class Usage:
    """Tokens of a job in an hour.

    Attributes:
        tokens, low, high: the tokens and their bounds.
        lost: what a dead process may have made more; it is in the upper bound at most.
        odd: whether a counter had a reading that no process explains.
    """

    tokens: int = 0
    low: int = 0
    high: int = 0
    lost: int = 0
    odd: bool = False


def usage(rows: Iterable[dict[str, Any]], held: list[Allocation]) -> dict[Key, Usage]:
    """Return the tokens by job, hour, model and kind."""
    spans = job_spans(held)
    series: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        series[identity(row)].append(row)
    found: dict[Key, Usage] = defaultdict(Usage)
    for members in series.values():
        job, kind = job_key(members[0]), members[0]["kind"]
        start, end = spans.get(job, (None, None))
        one = counter(members, start)
        if one is None:
            continue
        models = [r["model"] for r in members if r["model"] is not None]
        for hour, used in _by_hour(one, start, end):
            _add(found[job, hour, max(models, default=None), kind], used)
    return dict(found)


def identity(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what makes a row a reading of one series."""
    names = ("node", "source_id", "model", "engine", "kind", "metric", "series")
    return (job_key(row), *(row.get(name) for name in names))


def job_spans(held: list[Allocation]) -> dict[str, tuple[int, int | None]]:
    """Return each job's earliest start and latest end; the end of one that runs is None."""
    spans: dict[str, tuple[int, int | None]] = {}
    for a in held:
        start, end = spans.get(a.job, (a.start_us, a.end_us))
        ends = None if a.end_us is None or end is None else max(end, a.end_us)
        spans[a.job] = (min(start, a.start_us), ends)
    return spans


def _by_hour(one: Counter, start: int | None, end: int | None) -> list[tuple[int, Usage]]:
    """Return what a counter counted in each hour of its job's time."""
    start = one.first_us if start is None else start
    end = max(one.last_us, start) if end is None else end
    found = []
    for hour in range(start // HOUR_US * HOUR_US, max(end, start + 1), HOUR_US):
        a, b = max(hour, start), min(hour + HOUR_US, end)
        if a > b:
            continue
        lost_us = sum(max(0, min(b, until) - max(a, since)) for since, until in one.lost)
        found.append(
            (
                hour,
                Usage(
                    one.value(b) - one.value(a),
                    max(0, one.least(b) - one.most(a)),
                    one.most(b) - one.least(a),
                    ceil(one.peak * lost_us / 1_000_000),
                    one.odd,
                ),
            )
        )
    return found


def _add(into: Usage, more: Usage) -> None:
    into.tokens += more.tokens
    into.low += more.low
    into.high += more.high
    into.lost += more.lost
    into.odd = into.odd or more.odd
