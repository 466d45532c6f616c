"""Instants at which it is known how many requests had been answered, and with how many tokens.

In: a run and its span. Out: points: what all requests that had ended by then add up to. A counter
of answered requests, as some servers have it: it moves when a request ends, never before.

Where the file has no times of requests, only both ends of the run are known. An hour needs a point
at its edges though, so there is one, with a `quantum` that says how little it knows: from nothing
to all.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from tokenergy_collectors.importers.benchmark.clock import Span
from tokenergy_collectors.importers.benchmark.run import US_PER_S, Answer, Run
from tokenergy_collectors.lake.contract import HOUR_US

MOST_SLACK_US = US_PER_S
"""Requests whose clock is known only to more than this are not placed inside of the run."""


def placed(run: Run, span: Span) -> Sequence[Answer]:
    """Return the answered requests in UTC, sorted by their ends; none if that is not known.

    A clock of the file's own is fixed at the end: the run is over when the last answer is there.
    Requests that failed last would shift it, so the first request must be near the start as well.
    """
    if not run.answers:
        return []
    answers = sorted(run.answers, key=lambda one: one.end_us)
    if run.answers_are_utc:
        return answers
    shift_us = span.end_us - answers[-1].end_us
    first_us = min(one.start_us for one in answers) + shift_us
    if abs(first_us - span.start_us) > MOST_SLACK_US:
        return []
    return [
        Answer(one.start_us + shift_us, one.end_us + shift_us, one.generated, one.prompt,
               one.ttft_us)
        for one in answers
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Point:
    """A count at an instant, in steps of `quantum`: it is off by half of that at most."""

    ts_us: int
    value: int
    quantum: int = 1


def points(
    total: int, span: Span, answers: Sequence[Answer], tokens: Callable[[Answer], int]
) -> list[Point]:
    """Return a counter from the start of a run to its end.

    Args:
        total: what it counts up to.
        span: the run.
        answers: its requests, sorted by their ends; none if they are not known.
        tokens: what a request adds when it ends.
    """
    if not answers:
        return list(_ends_alone(total, span))
    ends_us = [one.end_us for one in answers]
    sums = [0, *accumulate(tokens(one) for one in answers)]
    inner = [Point(at_us, sums[bisect_right(ends_us, at_us)]) for at_us in _seconds(span)]
    found = [Point(span.start_us, 0), *inner, Point(span.end_us, total)]
    hours = {*_hours(span)}
    return [
        one
        for place, one in enumerate(found)
        # Between two equal neighbours a point says nothing, but that an hour's edge was seen.
        if place in (0, len(found) - 1)
        or one.ts_us in hours
        or not found[place - 1].value == one.value == found[place + 1].value
    ]


def edges(span: Span) -> list[int]:
    """Return the start of a run, its end, and the hours that begin in it."""
    return [span.start_us, *_hours(span), span.end_us]


def _ends_alone(total: int, span: Span) -> Iterator[Point]:
    yield Point(span.start_us, 0)
    for at_us in _hours(span):
        value = total * (at_us - span.start_us) // (span.end_us - span.start_us)
        yield Point(at_us, value, 2 * max(value, total - value) + 1)
    yield Point(span.end_us, total)


def _seconds(span: Span) -> Iterator[int]:
    """Yield instants a second apart, and the hours; none in the last half second."""
    hours = {*_hours(span)}
    grid = range(span.start_us + US_PER_S, span.end_us - US_PER_S // 2, US_PER_S)
    yield from sorted(hours.union(grid))


def _hours(span: Span) -> Iterator[int]:
    yield from range(span.start_us // HOUR_US * HOUR_US + HOUR_US, span.end_us, HOUR_US)
