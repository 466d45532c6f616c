"""A second way to reckon shifts: plain Python and fractions, written from docs/flexibility.md.

It looks at a start every few microseconds, and integrates power times signal second by second of
the smallest step that all edges are multiples of.
"""

from __future__ import annotations

from fractions import Fraction

Cells = list[tuple[int, int, int]]
"""Spans of a job: from, until, energy."""

Intervals = list[tuple[int, int, int | None]]
"""Spans of a signal: from, until, value."""


def cost(job: Cells, signal: Intervals, shift: int) -> Fraction | None:
    """Energy times value at a shift; None if the value is not known from start to end."""
    total = Fraction(0)
    start, end = min(one[0] for one in job) + shift, max(one[1] for one in job) + shift
    for moment in range(start, end):
        value = value_at(signal, moment)
        if value is None:
            return None
        for begin, until, energy in job:
            if begin + shift <= moment < until + shift:
                total += Fraction(energy, until - begin) * value
    return total


def value_at(signal: Intervals, moment: int) -> int | None:
    """The value in a microsecond."""
    for begin, until, value in signal:
        if begin <= moment < until:
            return value
    return None


def best(job: Cells, signal: Intervals, most: int) -> int | None:
    """The whole shift with the least cost, the shortest of equal ones; None if no cost is known."""
    costs = [(cost(job, signal, shift), shift) for shift in range(most + 1)]
    known = [(value, shift) for value, shift in costs if value is not None]
    return min(known)[1] if known else None


def level_at(job: list[tuple[int, int, int]], moment: int) -> int:
    """The level of spans (from, until, level) in a microsecond."""
    return sum(level for begin, until, level in job if begin <= moment < until)
