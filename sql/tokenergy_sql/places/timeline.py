"""What holds from when until when: spans of time, each with a value.

Spans are half-open, in microseconds UTC. A span without a beginning begins with the year 2000, one
without an end ends with 2099: no other instants are accepted anywhere.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from tokenergy_collectors.base.instants import END_US, FIRST_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Span(Generic[T]):
    """A value, and when it holds: from `from_us` on, before `until_us`."""

    from_us: int
    until_us: int
    value: T

    def holds(self, ts_us: int) -> bool:
        """Return whether the value holds at an instant."""
        return self.from_us <= ts_us < self.until_us

    def shared(self, from_us: int, until_us: int) -> tuple[int, int] | None:
        """Return the part of this span that lies in an interval; None if there is none."""
        first, last = max(self.from_us, from_us), min(self.until_us, until_us)
        return (first, last) if first < last else None


class Timeline(Generic[T]):
    """The values that one name has over time: at most one at an instant.

    Args:
        spans: in any order; none may overlap another, see `overlap`.
    """

    __slots__ = ("_starts", "spans")

    def __init__(self, spans: Iterable[Span[T]] = ()) -> None:
        self.spans = tuple(sorted(spans, key=lambda span: span.from_us))
        self._starts = [span.from_us for span in self.spans]

    def span_at(self, ts_us: int) -> Span[T] | None:
        """Return the span that holds at an instant, if any."""
        found = bisect_right(self._starts, ts_us) - 1
        span = self.spans[found] if found >= 0 else None
        return span if span is not None and span.holds(ts_us) else None

    def at(self, ts_us: int) -> T | None:
        """Return the value at an instant; None if there is none."""
        span = self.span_at(ts_us)
        return None if span is None else span.value

    def within(self, from_us: int, until_us: int) -> Iterator[Span[T]]:
        """Yield the parts of the spans that lie in an interval, in order."""
        for span in self.spans[max(bisect_right(self._starts, from_us) - 1, 0) :]:
            if span.from_us >= until_us:
                return
            if part := span.shared(from_us, until_us):
                yield Span(*part, span.value)

    def gap(self, from_us: int, until_us: int) -> tuple[int, int] | None:
        """Return the first part of an interval that no span covers; None if all is covered."""
        at_us = from_us
        for span in self.within(from_us, until_us):
            if span.from_us > at_us:
                return at_us, span.from_us
            at_us = span.until_us
        return (at_us, until_us) if at_us < until_us else None

    def overlap(self) -> tuple[Span[T], Span[T]] | None:
        """Return the first two spans that overlap; None if the spans are disjoint."""
        longest: Span[T] | None = None
        for span in self.spans:
            if longest is not None and span.from_us < longest.until_us:
                return longest, span
            longest = span
        return None


def instant_us(moment: datetime) -> int:
    """Return an instant in microseconds UTC; one without an offset is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def show_instant(ts_us: int) -> str:
    """Return an instant as the site file has it: `2026-02-01T00:00:00Z`."""
    moment = _EPOCH + timedelta(microseconds=ts_us)
    return moment.replace(tzinfo=None).isoformat() + "Z"


def show_span(from_us: int, until_us: int) -> str:
    """Return when something holds, in words; empty if always."""
    parts = []
    if from_us > FIRST_US:
        parts.append(f"from {show_instant(from_us)}")
    if until_us < END_US:
        parts.append(f"until {show_instant(until_us)}")
    return " ".join(parts)
