"""One process of a counter in plain Python: what each reading adds, and tokens at any instant.

The rules are in `token_usage.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

SECOND_US = 1_000_000
LEAP_A_US = 100


@dataclass
class Value:
    """Tokens of an hour, with bounds and what is odd about them."""

    tokens: int = 0
    low: int = 0
    high: int = 0
    anomaly: bool = False
    coarse: bool = False
    span: tuple[int, int] | None = None
    """From when to when it counted, if it did in this hour."""


@dataclass(frozen=True)
class Reading:
    """One reading: the run that took it, its stamp, the value and the step it is printed in."""

    run: int
    ts_us: int
    value: int
    quantum: int = 1


@dataclass(frozen=True)
class Step:
    """What a reading adds: tokens, what the upper bound has on top, whether it is left out."""

    reading: Reading
    tokens: int
    extra: int
    anomaly: bool
    kept: bool = True
    under: int = 0


@dataclass(frozen=True)
class Point:
    """Tokens of a process up to a stamp, at least and at most, and sums of extra and anomalies."""

    ts_us: int
    tokens: int
    least: int
    quantum: int
    extra: int
    least_extra: int
    anomalies: int


class Process:
    """One process of one counter: its steps, and its points once the peak rate is known."""

    def __init__(self, start_us: int | None, readings: list[Reading]) -> None:
        self.start_us = start_us
        self.readings = readings
        self.left_out = _too_low_or_high(readings, start_us is not None)
        self.kept = [r for i, r in enumerate(readings) if i not in self.left_out]
        self.first_read, self.floor, self.limited = _limits(self.kept, start_us)
        self.dead_us: int | None = None
        self.points: list[Point] = []
        self.turns_us: list[tuple[float, float]] = []
        self.moved_us: tuple[int, int] | None = None
        self.doubt: tuple[int, int, float] = (0, 0, 0.0)

    def began_us(self) -> int:
        """Return its start, or its first point if that is not known."""
        return self.points[0].ts_us if self.start_us is None else self.start_us

    def rates(self) -> list[float]:
        """Return how steep it grew between readings, in tokens a second."""
        found = []
        for a, b in pairwise(self.kept):
            us, grown = b.ts_us - a.ts_us, b.value - a.value
            if us >= SECOND_US // 10 and grown >= 0 and not _leap(grown, us):
                found.append(grown * 1e6 / us)
        return found

    def draw(self, peak: float) -> None:
        """Work out the points: by stamp, whatever the order of the runs."""
        steps = self._steps(peak)
        sums: list[tuple[int, int, int, int, int, int]] = []
        tokens = extra = anomalies = 0
        for step in steps:
            tokens += step.tokens
            extra += step.extra
            anomalies += step.anomaly
            if step.kept:
                r = step.reading
                sums.append((r.ts_us, tokens, extra, anomalies, r.quantum, tokens - step.under))
        for ts_us in sorted({one[0] for one in sums}):
            before = [one for one in sums if one[0] <= ts_us]
            after = [one for one in sums if one[0] >= ts_us]
            self.points.append(Point(
                ts_us=ts_us,
                tokens=max(one[1] for one in before), least=min(one[5] for one in after),
                quantum=max(one[4] for one in sums if one[0] == ts_us),
                extra=max(one[2] for one in before), least_extra=min(one[2] for one in after),
                anomalies=max(one[3] for one in before),
            ))  # fmt: skip

    def _steps(self, peak: float) -> list[Step]:
        found: list[Step] = []
        last: Reading | None = None
        last_read = highest = place = 0
        final = self.kept[-1] if self.kept else None
        for i, r in enumerate(self.readings):
            if i in self.left_out:
                before = self.readings[i - 1].value if i else 0
                found.append(Step(r, 0, max(r.value, before), anomaly=True, kept=False))
                continue
            value, place = self.limited[place], place + 1
            now = Reading(r.run, r.ts_us, value, r.quantum)
            if last is None:
                step = Step(now, 0, 0, anomaly=False)
            else:
                step = self._step(last, now, highest, peak, is_final=r is final)
            over = under = 0
            if self.floor is not None and r.value > self.floor:
                over = max(0, r.value - max(last_read, self.floor))
            if last is not None and self.first_read is not None:
                under = max(0, highest - value) if value >= self.first_read else 0
            anomaly = step.anomaly or r.value > value
            found.append(Step(now, step.tokens, step.extra + over, anomaly, under=under))
            highest = max(highest, value)
            last, last_read = now, r.value
        return found

    def _step(
        self, last: Reading, now: Reading, highest: int, peak: float, *, is_final: bool
    ) -> Step:
        us, grown = now.ts_us - last.ts_us, now.value - last.value
        unseen = math.ceil(peak * us / 1e6)
        if _leap(grown, us):
            return Step(now, 0, grown, anomaly=True)
        if self.start_us is not None:
            tokens = max(0, now.value - highest)
            if grown < 0:
                return Step(now, 0, now.value + unseen, anomaly=True)
            return Step(now, tokens, grown - tokens, anomaly=now.value < highest)
        if grown >= 0:
            return Step(now, grown, 0, anomaly=False)
        if is_final:
            return Step(now, 0, now.value + unseen, anomaly=True)
        return Step(now, now.value, unseen, anomaly=False)

    def between(self, a_us: int, b_us: int, peak: float) -> Value:
        """Return the tokens between two edges."""
        a, b = self._at(a_us, peak), self._at(b_us, peak)
        moved = self.moved_us is not None and _touch([self.moved_us], a_us, b_us)
        turns = _touch(self.turns_us, a_us, b_us)
        less, more, rate = self.doubt if moved else (0, 0, self.doubt[2])
        more += math.ceil(rate * (b_us - a_us) / 1e6)
        first_us, last_us = self.points[0].ts_us, self.points[-1].ts_us
        return Value(
            b.tokens - a.tokens,
            max(0, b.low - a.high - less),
            b.high - a.low + b.extra - a.least_extra + b.unseen - a.unseen + more,
            b.anomalies_after > a.anomalies or turns or moved,
            a.coarse or b.coarse,
            (first_us, last_us) if first_us < b_us and last_us > a_us else None,
        )

    def _at(self, edge_us: int, peak: float) -> Edge:
        left = [p for p in self.points if p.ts_us <= edge_us][-1:]
        right = [p for p in self.points if p.ts_us >= edge_us][:1]
        known = [*left, *right]
        first, last = known[0], known[-1]
        coarse = max(p.quantum for p in known) > 1
        low, high = first.least - first.quantum // 2, last.tokens + last.quantum // 2
        tokens = first.tokens
        unseen = 0
        if not left:
            from_us = edge_us if self.start_us is None else max(edge_us, self.start_us)
            unseen = -max(0, math.ceil(peak * (first.ts_us - from_us) / 1e6))
        elif not right:
            to_us = edge_us if self.dead_us is None else min(edge_us, self.dead_us)
            unseen = math.ceil(peak * (to_us - last.ts_us) / 1e6)
        elif last.ts_us > first.ts_us:
            us = last.ts_us - first.ts_us
            tokens += math.floor(
                Fraction((last.tokens - first.tokens) * (edge_us - first.ts_us), us)
            )
        return Edge(
            tokens, low, high, last.extra, left[0].least_extra if left else 0,
            left[0].anomalies if left else 0, last.anomalies, coarse, unseen,
        )  # fmt: skip


def _touch(times: Iterable[tuple[float, float]], a_us: int, b_us: int) -> bool:
    return any(since < b_us and until > a_us for since, until in times)


@dataclass(frozen=True)
class Edge:
    """A process at an edge: tokens so far, with bounds; unseen ones (before the first: below 0)."""

    tokens: int
    low: int
    high: int
    extra: int
    least_extra: int
    anomalies: int
    anomalies_after: int
    coarse: bool
    unseen: int


def _leap(grown: int, us: int) -> bool:
    return grown > LEAP_A_US * max(us, SECOND_US)


def _too_low_or_high(readings: list[Reading], known: bool) -> set[int]:
    """Return the places of readings that are too low or too high."""
    found = set()
    for i, r in enumerate(readings):
        before = readings[i - 1] if i else None
        after = readings[i + 1].value if i + 1 < len(readings) else None
        beyond = readings[i + 2].value if i + 2 < len(readings) else None
        if after is None:
            continue
        if before is not None and r.value < before.value <= after:
            found.add(i)
        if r.value <= after or before is None or (beyond is not None and beyond >= r.value):
            continue
        leap = _leap(r.value - before.value, r.ts_us - before.ts_us)
        back = after >= before.value
        near = before.value > 0 and before.value >= 10 * (after - before.value)
        steep = r.value - before.value >= 100 * max(after, 1)
        if leap or (back and (known or near or steep)):
            found.add(i)
    return found


def _limits(kept: list[Reading], start_us: int | None) -> tuple[int | None, int | None, list[int]]:
    """Return the first value read of a known process, the lowest after its highest, and values.

    Above the lowest, values before were too high, if two or more follow the highest.
    """
    values = [r.value for r in kept]
    read = [r.value for r in kept if start_us is not None and r.ts_us > start_us]
    if not read:
        return None, None, values
    top = max(i for i, value in enumerate(values) if value == max(values))
    after = values[top + 1 :]
    if len(after) < 2 or min(after) < read[0]:
        return read[0], None, values
    lowest = min(after)
    return read[0], lowest, [min(v, lowest) if i <= top else v for i, v in enumerate(values)]
