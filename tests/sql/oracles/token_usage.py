"""Token usage in plain Python, from its definition: one counter at a time, reading by reading.

In: raw rows of `tokens` and `jobs`. Out: rows of `token_usage`. It shares no code with the product,
and is slow and obvious on purpose. The definition (docs/index-definition.md, "Tokens"):

- Tokens are differences of a counter. A counter that falls, whose reader reports a later epoch, or
  whose process started at another time (by more than 1 s) goes on from zero. Where it is known when
  its process started, it was zero then: after a restart, or if that was inside the job.
- At an edge (of an hour, of the job) a counter is linear between the readings around it, rounded
  down. Its bounds are those readings.
- Before the first and after the last reading nothing is counted; the bounds allow for the unseen
  time at the counter's own peak rate, from readings at least 100 ms apart.
- A value outside 0 to 2^53 is not a count. A stamp of a job outside the years 2000 to 2100 is not
  an instant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

Row = dict[str, Any]

SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
LARGEST_COUNT = 2**53
YEAR_2000_US = 946_684_800 * SECOND_US
YEAR_2100_US = 4_102_444_800 * SECOND_US


@dataclass(frozen=True)
class Job:
    """From when to when a job held devices; None: no such instant is known."""

    start_us: int | None = None
    end_us: int | None = None


@dataclass(frozen=True)
class Value:
    """Tokens of a counter up to an edge, with bounds."""

    tokens: int
    low: int
    high: int


class Counter:
    """One counter, unwrapped: how many tokens it counted up to each stamp.

    Args:
        readings: rows of `tokens` of one counter.
        job: the job it counts for.
    """

    def __init__(self, readings: Iterable[Row], job: Job) -> None:
        self.points = list(_unwrapped(_in_order(readings), job))
        steps = [
            Fraction(after - before, b_us - a_us)
            for (a_us, before), (b_us, after) in pairwise(self.points)
            if b_us - a_us >= SECOND_US // 10
        ]
        self.peak = max([Fraction(0), *steps])
        """Tokens a microsecond."""
        self.from_us = self.points[0][0] if job.start_us is None else job.start_us
        self.to_us = max(self.points[-1][0], self.from_us) if job.end_us is None else job.end_us

    def at(self, edge_us: int) -> Value:
        """Return the tokens up to an edge."""
        before = [point for point in self.points if point[0] <= edge_us]
        after = [point for point in self.points if point[0] >= edge_us]
        if not before:
            first_us, tokens = after[0][0], self._tokens_at(after[0][0])
            unseen = math.ceil(self.peak * (first_us - edge_us))
            return Value(tokens, tokens - unseen, tokens)
        last_us, tokens = before[-1][0], self._tokens_at(before[-1][0])
        if not after:
            unseen = math.ceil(self.peak * (edge_us - last_us))
            return Value(tokens, tokens, tokens + unseen)
        next_us, then = after[0][0], self._tokens_at(after[0][0])
        if next_us == last_us:
            return Value(tokens, tokens, tokens)
        part = Fraction((then - tokens) * (edge_us - last_us), next_us - last_us)
        return Value(tokens + math.floor(part), tokens, then)

    def _tokens_at(self, ts_us: int) -> int:
        """Return the count at a stamp: that of its last reading."""
        return max(tokens for at_us, tokens in self.points if at_us == ts_us)

    def by_hour(self) -> Iterator[tuple[int, Value]]:
        """Yield each hour of the job with the tokens counted in it."""
        hour_us = self.from_us - self.from_us % HOUR_US
        while hour_us < max(self.to_us, self.from_us + 1):
            a_us, b_us = max(hour_us, self.from_us), min(hour_us + HOUR_US, self.to_us)
            if a_us <= b_us:
                a, b = self.at(a_us), self.at(b_us)
                low, high = max(b.low - a.high, 0), b.high - a.low
                yield hour_us, Value(b.tokens - a.tokens, low, high)
            hour_us += HOUR_US


def token_usage(tokens: Iterable[Row], jobs: Iterable[Row]) -> list[Row]:
    """Return the rows of `token_usage`, in no order."""
    of_job = _jobs(jobs)
    readings: dict[tuple[str, ...], list[Row]] = {}
    for row in tokens:
        if 0 <= row["value"] <= LARGEST_COUNT:
            key = (row["job_id"], row["source_id"], row["engine"], row["kind"])
            readings.setdefault(key, []).append(row)
    found: dict[tuple[Any, ...], Row] = {}
    for (job_id, _, _, kind), rows in readings.items():
        model = max((row["model"] for row in rows if row["model"] is not None), default=None)
        for hour_us, value in Counter(rows, of_job.get(job_id, Job())).by_hour():
            key = (job_id, hour_us, model, kind)
            names = dict(zip(("job_id", "hour_us", "model", "kind"), key, strict=True))
            row = found.setdefault(key, {**names, "tokens": 0, "low": 0, "high": 0})
            row["tokens"] += value.tokens
            row["low"] += value.low
            row["high"] += value.high
    return list(found.values())


def _jobs(rows: Iterable[Row]) -> dict[str, Job]:
    """Return each job's first start and last end; the latest record of an allocation counts."""
    latest: dict[tuple[Any, ...], Row] = {}
    for row in sorted(rows, key=lambda row: (row["recorded_us"], row["end_us"] is not None)):
        latest[row["job_id"], row["node"], row["device_id"], row["start_us"]] = row
    found: dict[str, Job] = {}
    for job_id in {row["job_id"] for row in latest.values()}:
        held = [row for row in latest.values() if row["job_id"] == job_id]
        start_us = min(row["start_us"] for row in held)
        ends_us = [row["end_us"] for row in held]
        running = None in ends_us or max(ends_us) >= YEAR_2100_US
        found[job_id] = Job(
            start_us if start_us >= YEAR_2000_US else None, None if running else max(ends_us)
        )
    return found


def _in_order(readings: Iterable[Row]) -> list[Row]:
    """Return the readings of a counter by time; at one stamp as the counter went on."""

    def place(row: Row) -> tuple[Any, ...]:
        since_us = math.inf if row["since_us"] is None else row["since_us"]
        return row["ts_us"], row["epoch"], row["value"], since_us

    return sorted(readings, key=place)


def _unwrapped(readings: list[Row], job: Job) -> Iterator[tuple[int, int]]:
    """Yield stamps of one counter, ascending, and how many tokens it had counted by then."""
    counted = 0
    before: Row | None = None
    for row in readings:
        since_us = row["since_us"]
        if before is None:
            born = job.start_us is not None and since_us is not None
            if born and job.start_us - SECOND_US <= since_us < row["ts_us"]:
                yield since_us, 0
                counted = row["value"]
        elif _restarted(before, row):
            if since_us is not None and before["ts_us"] < since_us < row["ts_us"]:
                yield since_us, counted
            counted += row["value"]
        else:
            counted += row["value"] - before["value"]
        yield row["ts_us"], counted
        before = row


def _restarted(before: Row, row: Row) -> bool:
    """Return whether a counter restarted between two readings."""
    sinces = (before["since_us"], row["since_us"])
    moved = None not in sinces and abs(sinces[1] - sinces[0]) > SECOND_US
    return row["value"] < before["value"] or row["epoch"] > before["epoch"] or moved
