"""Tokens of each job in each hour, by kind: differences of its counters at the hours' edges.

Rules: docs/index-definition.md, "Tokens".
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.oracle.reckon.counters import Counter, counters
from tests.oracle.reckon.holders import Allocation, job_key
from tests.oracle.reckon.segments import HOUR_US

REPLICATED = {"tp_rank", "pp_rank", "moe_ep_rank"}
"""Labels of ranks that count the same tokens."""

ALL_TIME_US = 1 << 60

Span = tuple[int, int]
"""From when to when, microseconds UTC."""

Key = tuple[str, int, str | None, str]
"""Job, hour, model, kind."""


@dataclass
class Usage:
    """Tokens of a job in an hour.

    Attributes:
        tokens, low, high: the tokens and their bounds.
        odd: whether a reading was left out, so that its bounds hold two meanings of it.
        span: from when to when a series counted, if it counted in the hour.
    """

    tokens: int = 0
    low: int = 0
    high: int = 0
    odd: bool = False
    span: Span | None = None


Series = dict[tuple[Any, ...], dict[Any, list[Counter]]]
"""By what is summed, and by what is a copy: the processes of one series."""


def read_series(rows: Iterable[dict[str, Any]], held: list[Allocation]) -> Series:
    """Return what each series of token counters says."""
    spans = job_spans(held)
    pages: dict[tuple[Any, ...], dict[Any, list[dict[str, Any]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for row in rows:
        alone, copy = identity(row)
        pages[alone][copy].append(row)
    return {
        alone: {
            copy: counters(of, spans.get(alone[0], (None, None))[0]) for copy, of in copies.items()
        }
        for alone, copies in pages.items()
    }


def usage(series: Series, held: list[Allocation], hour_us: int = HOUR_US) -> dict[Key, Usage]:
    """Return the tokens by job, hour, model and kind: summed over what counts for itself.

    With an hour of `ALL_TIME_US` they are those of whole jobs.
    """
    spans = job_spans(held)
    of_engines: dict[tuple[Any, ...], list[tuple[Any, Any, Usage]]] = defaultdict(list)
    for (*engine, alone), copies in series.items():
        for (metric, *_), of in copies.items():
            for hour, used in _of_series(of, spans.get(engine[0], (None, None)), hour_us).items():
                of_engines[*engine, hour].append((metric, alone, used))
    found: dict[Key, Usage] = defaultdict(Usage)
    for (job, *_, model, kind, hour), each in of_engines.items():
        in_turn = turns([used.span for *_, used in each])
        for turn in set(in_turn):
            now = [one for one, number in zip(each, in_turn, strict=True) if number == turn]
            _add(found[job, hour, model, kind], _of_turn(now))
        # What was made between an old name and the new one that took its place, nobody read.
        found[job, hour, model, kind].odd |= _replaced(each, in_turn)
    return dict(found)


def _of_turn(each: list[tuple[Any, Any, Usage]]) -> Usage:
    """Return the tokens of series that count at one time: of names the largest, each the sum of its
    series, each of which is the largest of its copies.
    """
    names = []
    for name in {metric for metric, *_ in each}:
        of_name = Usage()
        for series in {alone for metric, alone, _ in each if metric == name}:
            copies = [used for metric, alone, used in each if (metric, alone) == (name, series)]
            _add(of_name, _largest(copies))
        names.append(of_name)
    return _largest(names)


def _replaced(each: list[tuple[Any, Any, Usage]], in_turn: list[int]) -> bool:
    """Say if a name or a copy took the place of another one."""
    order = [(u.span, turn, m, s) for turn, (m, s, u) in zip(in_turn, each, strict=True) if u.span]
    return any(
        before[1] != after[1] and (before[2] != after[2] or before[3] == after[3])
        for before, after in pairwise(sorted(order, key=lambda one: one[0]))
    )


def turns(spans: Sequence[Span | None]) -> list[int]:
    """Return the turn of each time: 0, and one more wherever a time begins after all before it.

    Copies that count the same tokens do so at the same time: one that follows another counts other
    tokens. What has no time is of the first turn.
    """
    found = [0] * len(spans)
    turn, until = 0, None
    for place, span in sorted(enumerate(spans), key=lambda one: one[1] or (0, 0)):
        if span is None:
            continue
        if until is not None and span[0] > until:
            turn += 1
        until = span[1] if until is None else max(until, span[1])
        found[place] = turn
    return found


def by_hour(used: dict[Key, Usage]) -> dict[tuple[str, int], dict[str, Usage]]:
    """Return the tokens of each job and hour, of all models, by kind."""
    found: dict[tuple[str, int], dict[str, Usage]] = defaultdict(dict)
    for (job, hour, _, kind), u in used.items():
        _add(found[job, hour].setdefault(kind, Usage()), u)
    return found


def workload(used: Iterable[dict[str, Usage]]) -> str:
    """Return what tokens of some hours, by kind, say that a job is for."""
    sums: dict[bool, list[int]] = {True: [], False: []}
    for kinds in used:
        for kind, u in kinds.items():
            sums[kind == "trained"].append(u.tokens)
    trained, served = sum(sums[True]), sum(sums[False])
    if trained and served:
        return "mixed"
    if trained or (sums[True] and not sums[False]):
        return "training"
    return "inference" if served or (sums[False] and not sums[True]) else "none"


def identity(row: dict[str, Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return what makes a row a reading of one series: what is summed, and what is a copy.

    Ranks that do one thing together count the same tokens, and so do two names of one metric.
    """
    labels = json.loads(row.get("series") or "{}")
    alone = tuple(sorted((k, v) for k, v in labels.items() if k not in REPLICATED))
    copy = tuple(sorted((k, v) for k, v in labels.items() if k in REPLICATED))
    names = ("node", "source_id", "engine", "model", "kind")
    return (job_key(row), *(row.get(n) for n in names), alone), (row.get("metric"), *copy)


def _largest(used: list[Usage]) -> Usage:
    return Usage(
        max(u.tokens for u in used),
        max(u.low for u in used),
        max(u.high for u in used),
        any(u.odd for u in used),
    )


def _of_series(
    of_series: list[Counter], span: tuple[int | None, int | None], hour_us: int
) -> dict[int, Usage]:
    """Return what one series counted, by hour."""
    found: dict[int, Usage] = defaultdict(Usage)
    if not of_series:
        return {}
    # Without edges a job lasts as long as its counter was read, whichever process answered.
    start = min(one.first_us for one in of_series) if span[0] is None else span[0]
    end = max(start, *(one.last_us for one in of_series)) if span[1] is None else span[1]
    for one in of_series:
        for hour, used in _by_hour(one, start, end, hour_us):
            _add(found[hour], used)
    return dict(found)


def job_spans(held: list[Allocation]) -> dict[str, tuple[int, int | None]]:
    """Return each job's earliest start and latest end; the end of one that runs is None."""
    spans: dict[str, tuple[int, int | None]] = {}
    for a in held:
        start, end = spans.get(a.job, (a.start_us, a.end_us))
        ends = None if a.end_us is None or end is None else max(end, a.end_us)
        spans[a.job] = (min(start, a.start_us), ends)
    return spans


def _by_hour(one: Counter, start: int, end: int, hour_us: int) -> list[tuple[int, Usage]]:
    """Return what a counter counted in each hour of its job's time."""
    found = []
    for hour in range(start // hour_us * hour_us, max(end, start + 1), hour_us):
        a, b = max(hour, start), min(hour + hour_us, end)
        if a > b:
            continue
        found.append(
            (
                hour,
                Usage(
                    one.value(b) - one.value(a),
                    max(0, one.least(b) - one.most(a)),
                    one.most(b) - one.least(a) + one.unseen(a, b),
                    one.odd_between(a, b),
                    (one.first_us, one.last_us) if one.first_us < b and one.last_us > a else None,
                ),
            )
        )
    return found


def _add(into: Usage, more: Usage) -> None:
    into.tokens += more.tokens
    into.low += more.low
    into.high += more.high
    into.odd = into.odd or more.odd
    spans = [span for span in (into.span, more.span) if span is not None]
    into.span = (min(a for a, _ in spans), max(b for _, b in spans)) if spans else None
