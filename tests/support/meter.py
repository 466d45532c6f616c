"""The meter, read again from raw rows in plain integers; it shares no code with the ledger.

In: the raw readings of one device on one node, its update periods, and where the ledger cuts time.
Out: the energy that the meter shows for each of those pieces. Serves the tests of the law.

What the meter is: the counter's difference, linear between two readings of one epoch that are at
most 50 minutes apart, rounded down; where the counter is unknown for a piece, the integral of the
samples there, pair by pair rounded down. A counter that does not move in a slot of 30 s in which
power was drawn is unknown in it. Powers of one stamp are averaged; of counters the lowest
counts. What the board cannot have drawn is no reading.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

HOUR_US = 3_600_000_000
SLOT_US = 30_000_000
BRIDGE_US = 3_000_000_000
LEAST_GAP_US, MOST_GAP_US = 1_500_000, 600_000_000
SLOW_US, SLOW_GAP_US = 500_000, 10_000_000
GLITCH_US = 10_000_000
UNKNOWN_MOST_MW = 4_000_000

Count = tuple[int, int, int]
"""A reading of the counter: stamp, mJ, epoch of the file."""

Piece = tuple[str, int, int]
"""A node and the time between two neighbouring cuts there: [start, end), microseconds."""


@dataclass
class Stream:
    """The readings of one device by one node, its update periods (stamp, us), its limits (mW)."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    periods: list[tuple[int, int]] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)


class Meter:
    """One device as one node saw it."""

    def __init__(self, stream: Stream) -> None:
        self._most_mw = max(stream.limits) * 3 // 2 if stream.limits else UNKNOWN_MOST_MW
        powers: dict[int, list[int]] = {}
        counters: dict[int, tuple[int, int]] = {}
        for row in stream.rows:
            ts, mw, mj = row["ts_us"], row["power_mw"], row["energy_mj"]
            if mw is not None and mw <= self._most_mw:
                powers.setdefault(ts, []).append(mw)
            if mj is not None:
                read = (mj, row["epoch"])
                counters[ts] = min(read, counters.get(ts, read))
        self.samples = sorted((ts, sum(mws) // len(mws)) for ts, mws in powers.items())
        self._all_counts = [(ts, *read) for ts, read in sorted(counters.items())]
        self._periods = sorted(stream.periods)
        self._sample_ts = [ts for ts, _ in self.samples]
        self._judge(0, len(self._all_counts))

    def read_around(self, hour_us: int, margin_us: int) -> Meter:
        """Return the meter as the books of an hour read it.

        Of a counter that goes to and fro between two values either may be right: it is the first
        one that was read. So where the reading begins decides: a margin before the hour, or at the
        nearest reading before that.
        """
        found = copy(self)
        stamps = [ts for ts, _, _ in self._all_counts]
        first, last = bisect_left(stamps, hour_us), bisect_left(stamps, hour_us + HOUR_US)
        near = bisect_left(stamps, hour_us - margin_us)
        past = bisect_right(stamps, hour_us + HOUR_US + margin_us)
        found._judge(min(near, max(first - 1, 0)), max(past, min(last + 1, len(stamps))))
        return found

    def _judge(self, first: int, last: int) -> None:
        self.counts, self._reign = self._judged(self._all_counts[first:last])
        self._count_ts = [ts for ts, _, _ in self.counts]

    def _can_follow(self, before: Count, after: Count) -> bool:
        """Say whether a counter can have risen from one reading to another."""
        rise_mj = after[1] - before[1]
        most_mj = self._most_mw * ((after[0] - before[0]) // 1_000 + 1_000) // 1_000
        return 0 <= rise_mj <= most_mj

    def _judged(self, counts: list[Count]) -> tuple[list[Count], list[int]]:
        """Return the counter without glitches, and a number for each stretch in which it went on.

        An epoch that begins without a fall begins a stretch; one that begins with a fall says no
        more than the fall.
        """
        told = [0]
        for (_, mj0, epoch0), (_, mj1, epoch1) in pairwise(counts):
            told.append(told[-1] + (epoch1 != epoch0 and mj1 >= mj0))
        kept: list[int] = []  # of the stretch so far
        stretches = [kept]
        at = 0
        while at < len(counts):
            after = counts[at]
            if not kept or self._joins(counts, told, kept[-1], at):
                kept.append(at)
                at += 1
                continue
            back = self._return(counts, told, kept[-1], at)
            if back is not None:
                at = back
            elif (
                len(kept) > 1
                and after[1] < counts[kept[-1]][1]
                and after[0] - counts[kept[-2]][0] <= GLITCH_US
                and not self._can_follow((counts[kept[-1]][0], 0, 0), after)  # begun again
                and self._joins(counts, told, kept[-2], at)
            ):
                kept.pop()
            else:
                kept = []
                stretches.append(kept)
        reigns = [number for number, stretch in enumerate(stretches) for _ in stretch]
        return [counts[k] for stretch in stretches for k in stretch], reigns

    def _joins(self, counts: list[Count], told: list[int], i: int, j: int) -> bool:
        return told[i] == told[j] and self._can_follow(counts[i], counts[j])

    def _return(self, counts: list[Count], told: list[int], last: int, wrong: int) -> int | None:
        """Return the reading that leaps back to where the counter was, at most 10 s after it."""
        for j in range(wrong + 1, len(counts)):
            if counts[j][0] - counts[last][0] > GLITCH_US or told[j] != told[last]:
                return None
            if self._joins(counts, told, last, j) and not self._can_follow(
                counts[j - 1], counts[j]
            ):
                return j
        return None

    def gap_limit_us(self, hour_us: int) -> int:
        """Return how far apart readings may be: by the period known then, or else the first."""
        by_then = [us for ts, us in self._periods if ts < hour_us + HOUR_US]
        period_us = by_then[-1] if by_then else self._periods[0][1] if self._periods else 0
        least_us = SLOW_GAP_US if period_us >= SLOW_US else LEAST_GAP_US
        return min(max(3 * period_us, least_us), MOST_GAP_US)

    def integral_nj(self, start_us: int, end_us: int) -> tuple[int, int]:
        """Return the integral of the samples over a piece (nJ), and the time in which it exists."""
        limit_us = self.gap_limit_us(start_us - start_us % HOUR_US)
        first = max(bisect_right(self._sample_ts, start_us) - 1, 0)
        last = bisect_left(self._sample_ts, end_us)
        energy_nj = covered_us = 0
        for (t0, p0), (t1, p1) in pairwise(self.samples[first : last + 1]):
            left, right = max(t0, start_us), min(t1, end_us)
            if t1 - t0 <= limit_us and left < right:
                covered_us += right - left
                energy_nj += _line(p0, p1, t1 - t0, right - t0) - _line(p0, p1, t1 - t0, left - t0)
        return energy_nj, covered_us

    def _counter_at(self, ts: int) -> tuple[int, int] | None:
        """Return the counter at an instant (nJ) and its stretch, if it is known there."""
        k = bisect_right(self._count_ts, ts) - 1
        if k < 0:
            return None
        t0, mj0, _ = self.counts[k]
        if t0 == ts:
            return mj0 * 1_000_000, self._reign[k]
        if k + 1 == len(self.counts) or self._reign[k + 1] != self._reign[k]:
            return None
        t1, mj1, _ = self.counts[k + 1]
        if t1 - t0 > BRIDGE_US:
            return None
        risen = (mj1 - mj0) * 1_000_000 * (ts - t0) // (t1 - t0)
        return mj0 * 1_000_000 + risen, self._reign[k]

    def counter_nj(self, start_us: int, end_us: int) -> int | None:
        """Return the counter's difference over a piece, if it is known."""
        left, right = self._counter_at(start_us), self._counter_at(end_us)
        if left is None or right is None or left[1] != right[1]:
            return None
        return right[0] - left[0]

    def sampled_spans(self) -> list[tuple[int, int]]:
        """Return the spans between samples in which power is known, those of one hour alone."""
        hours = [(t0 - t0 % HOUR_US, t0, t1) for t0, t1 in pairwise(self._sample_ts)]
        return [
            (t0, t1)
            for hour, t0, t1 in hours
            if t1 <= hour + HOUR_US and t1 - t0 <= self.gap_limit_us(hour)
        ]


def energies_nj(meters: Mapping[str, Meter], pieces: Iterable[Piece]) -> dict[Piece, int | None]:
    """Return the energy that the meter of one device shows for each piece; None if unknown.

    Args:
        meters: the device as each node saw it, by node.
        pieces: of these nodes, each inside an hour.
    """
    found: dict[Piece, int | None] = {}
    slots: dict[int, list[tuple[Piece, int | None, int, int]]] = {}
    for piece in pieces:
        node, start_us, end_us = piece
        meter = meters.get(node, _UNREAD)
        read = (meter.counter_nj(start_us, end_us), *meter.integral_nj(start_us, end_us))
        slots.setdefault(start_us // SLOT_US, []).append((piece, *read))
    for slot in slots.values():
        counted = [counter for _, counter, _, _ in slot if counter is not None]
        stuck = not any(counted) and any(integral for _, _, integral, _ in slot)
        for piece, counter, integral, covered_us in slot:
            sampled = integral if covered_us else None
            found[piece] = sampled if counter is None or stuck else counter
    return found


def _line(p0: int, p1: int, dt: int, x: int) -> int:
    """Return the integral of the line from p0 to p1 (mW) over dt us, up to x, rounded down (nJ)."""
    return (2 * p0 * dt + (p1 - p0) * x) * x // (2 * dt)


_UNREAD = Meter(Stream())
