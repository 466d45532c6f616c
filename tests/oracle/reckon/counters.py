"""What one token counter says: how many tokens until an instant, at least and at most.

Rules: docs/index-definition.md, "Tokens".
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations, groupby, pairwise
from math import ceil
from typing import Any

SECOND_US = 1_000_000
LARGEST = 1 << 53
SHORT_US = 100_000
STEEPEST = 100_000_000
"""A growth of more tokens a second is no growth."""


@dataclass
class Counter:
    """One process of a series: tokens since its first reading, at the instants that are known.

    Of processes whose start is not known all are one, which goes on where one begins again.

    Attributes:
        points: (stamp, tokens), ascending in both.
        quanta: by stamp, the step in which its value is printed.
        peak: its steepest growth, tokens a second.
        begun: (start, end) of times in which a process died and another one began.
        since_us: when it began, if that is known.
        dead_us: when another one took its place; None if none did.
        odd: when a reading was left out, or added nothing where it should have.
        turns: (from, to) of times in which two processes lived at once.
    """

    points: list[tuple[int, int]]
    quanta: dict[int, int]
    peak: Fraction
    begun: list[tuple[int, int]] = field(default_factory=list)
    since_us: int | None = None
    dead_us: int | None = None
    odd: list[int] = field(default_factory=list)
    turns: list[tuple[int, int]] = field(default_factory=list)

    def odd_between(self, start: int, end: int) -> bool:
        """Say if a reading was odd between the readings around a time, or two processes lived."""
        if any(since < end and start < until for since, until in self.turns):
            return True
        left, right = self._around(start)[0], self._around(end)[1]
        return any(
            (left is None or left[0] < t) and (right is None or t <= right[0]) for t in self.odd
        )

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
        """Return the tokens that had been read by an instant, less half a step of the print."""
        left, right = self._around(t)
        left = left or right
        assert left is not None
        return left[1] - self.quanta[left[0]] // 2

    def most(self, t: int) -> int:
        """Return the tokens that were read at an instant or by the next reading."""
        left, right = self._around(t)
        right = right or left
        assert right is not None
        return right[1] + self.quanta[right[0]] // 2

    def unseen(self, start: int, end: int) -> int:
        """Return the most that can have been made in a part of a time in which nothing was read."""
        # Readings say between which of them a process died, and no more.
        begun = [until - since for since, until in self.begun if since < end and start < until]
        whole = sum(self._made(us) for us in begun)
        return whole + self._unseen_until(end) - self._unseen_until(start)

    def _unseen_until(self, t: int) -> int:
        """Return what was made unseen until an instant; below zero before the first reading."""
        # A process that had not begun, or that was dead, made nothing.
        before_us = self.first_us - max(t, self.since_us or t)
        after_us = min(t, self.dead_us or t) - self.last_us
        return self._made(after_us) - self._made(before_us)

    def _made(self, time_us: int) -> int:
        return ceil(self.peak * max(0, time_us) / SECOND_US)


def counters(rows: list[dict[str, Any]], job_start_us: int | None) -> list[Counter]:
    """Return what the readings of one series say, process by process.

    Readings of a later run of the collector come after those of an earlier one.
    """
    keys = ("run", "ts_us", "epoch", "value", "since_us", "quantum")
    # What was read twice counts once.
    by_key = {tuple(-1 if r.get(k) is None else r[k] for k in keys): r for r in rows}
    readings = [r for _, r in sorted(by_key.items()) if 0 <= r["value"] <= LARGEST]
    processes = processes_of(readings)
    odd = _odd_stamps(processes)
    found = []
    for process in processes:
        zero = known_zero(process, readings[0]["ts_us"], job_start_us)
        one = _unwrapped([*zero, *_without_odd(process)])
        starts = [p[0]["since_us"] for p in processes if (p[0]["since_us"] or 0) > one.last_us]
        one.dead_us, one.odd = min(starts, default=None), odd
        found.append(one)
    turns = _turns(found)
    for one in found:
        one.peak = max(other.peak for other in found)  # of the counter, whoever answers
        one.turns = turns
    return found


def _turns(processes: list[Counter]) -> list[tuple[int, int]]:
    """Return when two processes lived at once: from the later start, until one is known dead."""
    found = []
    for one, other in combinations(sorted(processes, key=_begun_us), 2):
        if one.last_us > _begun_us(other) + SECOND_US:
            dead = [p.dead_us for p in (one, other) if p.dead_us is not None]
            found.append((max(one.since_us or 0, other.since_us or 0), min(dead, default=LARGEST)))
    return found


def _begun_us(process: Counter) -> int:
    """Return when a process began, or was first read if its start is not known."""
    return process.first_us if process.since_us is None else process.since_us


def known_zero(
    process: list[dict[str, Any]], read_us: int, job_start_us: int | None
) -> list[dict[str, Any]]:
    """Return a process at its start, if that is in the job, or after the counter was first read."""
    since, first_us = process[0]["since_us"], process[0]["ts_us"]
    if since is None or since >= first_us:
        return []
    in_job = job_start_us is not None and since >= job_start_us - SECOND_US
    in_sight = read_us < first_us and since >= read_us - SECOND_US
    return [{"ts_us": since, "value": 0, "since_us": since}] if in_job or in_sight else []


def processes_of(readings: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
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
    """Leave out single readings that are too low or too high, and a last one that fell."""
    values = [r["value"] for r in readings]
    kept = [
        r
        for i, r in enumerate(readings)
        if not (_is_low(values, i) or _is_high(readings, values, i))
    ]
    known = kept[-1]["since_us"] is not None if kept else True
    if not known and len(kept) > 1 and kept[-1]["value"] < kept[-2]["value"]:
        kept.pop()  # nothing says whether it began again
    return kept


def _odd_stamps(processes: list[list[dict[str, Any]]]) -> list[int]:
    """Return when readings were left out, or were below the highest of a known process."""
    found = []
    for process in processes:
        kept, highest = _without_odd(process), 0
        found += [r["ts_us"] for r in process if r not in kept]
        for r in kept:
            if r["since_us"] is not None and r["value"] < highest:
                found.append(r["ts_us"])
            highest = max(highest, r["value"])
    return sorted(found)


def _is_low(values: list[int], i: int) -> bool:
    """Say whether the counter goes on from before a reading."""
    return 0 < i < len(values) - 1 and values[i] < values[i - 1] <= values[i + 1]


def _is_high(readings: list[dict[str, Any]], values: list[int], i: int) -> bool:
    """Say whether a reading is beyond what comes next, and its process did not begin again."""
    if not 0 < i < len(values) - 1 or max(values[i + 1 : i + 3]) >= values[i]:
        return False
    before, here, after = values[i - 1 : i + 2]
    time_us = max(SECOND_US, readings[i]["ts_us"] - readings[i - 1]["ts_us"])
    if (here - before) * SECOND_US > STEEPEST * time_us:
        return True
    return after >= before and (
        readings[i]["since_us"] is not None
        or (before > 0 and before >= 10 * (after - before))
        or here - before >= 100 * max(after, 1)
    )


def _unwrapped(readings: list[dict[str, Any]]) -> Counter:
    """Return a process; where one without a known start fell, another one went on from zero."""
    points: list[tuple[int, int]] = []
    begun: list[tuple[int, int]] = []
    total, highest = 0, readings[0]["value"]
    for i, r in enumerate(readings):
        if r["value"] < highest and r["since_us"] is None:
            begun.append((readings[i - 1]["ts_us"], r["ts_us"]))
            total, highest = total + r["value"], r["value"]
        # A known process that reads below its highest counted nothing.
        total += max(0, r["value"] - highest)
        highest = max(highest, r["value"])
        points.append((r["ts_us"], total))
    points = [(t, max(v for _, v in same)) for t, same in groupby(points, key=lambda p: p[0])]
    quanta: dict[int, int] = {}
    for r in readings:
        quanta[r["ts_us"]] = max(quanta.get(r["ts_us"], 1), r.get("quantum") or 1)
    return Counter(points, quanta, _peak(points), begun, readings[0]["since_us"])


def _peak(points: list[tuple[int, int]]) -> Fraction:
    """Return the steepest growth between neighbouring points that are not too near."""
    rates = [
        Fraction((v1 - v0) * SECOND_US, t1 - t0)
        for (t0, v0), (t1, v1) in pairwise(points)
        if t1 - t0 >= SHORT_US
    ]
    return max(rates, default=Fraction(0))
