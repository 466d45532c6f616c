"""Power between readings and energy between readings of a counter, to the nanojoule.

Rules: docs/ledger.md, "From readings to segments".
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import floor

COUNTER_REACH_US = 50 * 60 * 1_000_000
NJ_PER_MJ = 1_000_000
GLITCH_US = 10_000_000
SPARSE_US = 1_500_000

Count = tuple[int, int, int]
"""A reading of an energy counter: stamp, millijoules, epoch."""


def plausible(
    readings: Iterable[tuple[int, int]], most_mw: int
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return readings of power, and how far each may be off, as (stamp, mW) both.

    Those that no board draws are left out; several of one stamp are averaged.
    """
    stamps: dict[int, list[int]] = defaultdict(list)
    for t, mw in readings:
        if mw <= most_mw:
            stamps[t].append(mw)
    means = {t: sum(values) // len(values) for t, values in stamps.items()}
    off = [(t, max(abs(mw - means[t]) for mw in values)) for t, values in stamps.items()]
    return list(means.items()), off


def steady(readings: Iterable[Count], most_mw: int) -> list[Count]:
    """Return readings of a counter without glitches, with an epoch of its own after each break.

    A step is plausible if the counter does not fall and the board can draw it in its time and a
    second more. What is between two implausible steps is a glitch if the counter goes on within
    10 s from before it; otherwise the counter began again.
    """
    lowest: dict[int, Count] = {}
    for reading in sorted(readings, reverse=True):
        lowest[reading[0]] = reading
    rest, epoch = sorted(lowest.values()), 0
    kept: list[Count] = []
    file_epoch = rest[0][2] if rest else 0
    while rest:
        here = rest.pop(0)
        noted = here[2] != file_epoch and kept and here[1] >= kept[-1][1]
        file_epoch = here[2]
        if noted or (kept and not _possible(kept[-1], here, most_mw)):
            back = None if noted else _goes_on(kept[-1], here, rest, most_mw)
            if back is not None:
                rest = rest[back:]
                continue
            if not noted and _was_high(kept, here, epoch, most_mw):
                kept.pop()
            else:
                epoch += 1
        kept.append((here[0], here[1], epoch))
    return kept


def _goes_on(last: Count, here: Count, rest: list[Count], most_mw: int) -> int | None:
    """Return at which of the next readings the counter goes on from before a glitch."""
    before = here
    for place, reading in enumerate(rest):
        if reading[0] - last[0] > GLITCH_US:
            return None
        if not _possible(before, reading, most_mw) and _possible(last, reading, most_mw):
            return place
        before = reading
    return None


def _was_high(kept: list[Count], here: Count, epoch: int, most_mw: int) -> bool:
    """Say whether the last reading was a single high one, at the beginning of what is known."""
    if len(kept) < 2 or kept[-2][2] != epoch or kept[-1][2] != epoch or here[1] >= kept[-1][1]:
        return False
    from_zero = _possible((kept[-1][0], 0, epoch), here, most_mw)
    soon = here[0] - kept[-2][0] <= GLITCH_US
    return not from_zero and soon and _possible(kept[-2], here, most_mw)


def _possible(before: Count, after: Count, most_mw: int) -> bool:
    """Say whether a board can draw what was counted between two readings, and a second more."""
    time_ms = (after[0] - before[0]) // 1_000 + 1_000
    return 0 <= after[1] - before[1] <= most_mw * time_ms // 1_000


class Sensor:
    """Readings of the power of one device: linear between them, undefined over the gap limit."""

    def __init__(self, readings: Iterable[tuple[int, int]], gap_limit_us: int) -> None:
        pairs = sorted(set(readings))
        self.stamps = [t for t, _ in pairs]
        self.values = [mw for _, mw in pairs]
        self.gap_limit_us = gap_limit_us

    def _pairs(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield (place of the left reading, from, to) of the known time in [start, end)."""
        i = max(0, bisect_right(self.stamps, start) - 1)
        while i + 1 < len(self.stamps) and self.stamps[i] < end:
            t0, t1 = self.stamps[i], self.stamps[i + 1]
            a, b = max(t0, start), min(t1, end)
            if a < b and t1 - t0 <= self.gap_limit_us:
                yield i, a, b
            i += 1

    def _until(self, i: int, t: int) -> int:
        """Return the energy from reading i to t, which is not after the next one, rounded down."""
        x, dt = t - self.stamps[i], self.stamps[i + 1] - self.stamps[i]
        rise = self.values[i + 1] - self.values[i]
        return floor(Fraction(self.values[i] * x) + Fraction(rise * x * x, 2 * dt))

    def energy_nj(self, start: int, end: int) -> int:
        """Return the energy of the known time in [start, end)."""
        pairs = self._pairs(start, end)
        return sum(self._until(i, b) - self._until(i, a) for i, a, b in pairs)

    def covered_us(self, start: int, end: int) -> int:
        """Return for how long power is known in [start, end)."""
        return sum(b - a for _, a, b in self._pairs(start, end))

    def sparse_us(self, start: int, end: int) -> int:
        """Return for how long of the known time readings are far apart."""
        return sum(
            b - a
            for i, a, b in self._pairs(start, end)
            if self.stamps[i + 1] - self.stamps[i] > SPARSE_US
        )

    def inside(self, start: int, end: int) -> list[int]:
        """Return the readings in [start, end)."""
        return self.values[bisect_left(self.stamps, start) : bisect_left(self.stamps, end)]

    def at(self, t: int) -> Fraction | None:
        """Return the power at an instant; None where it is not defined."""
        i = bisect_right(self.stamps, t) - 1
        if i >= 0 and self.stamps[i] == t:
            return Fraction(self.values[i])
        if i < 0 or i + 1 == len(self.stamps):
            return None
        t0, t1 = self.stamps[i], self.stamps[i + 1]
        if t1 - t0 > self.gap_limit_us:
            return None
        rise = self.values[i + 1] - self.values[i]
        return self.values[i] + Fraction(rise * (t - t0), t1 - t0)


class EnergyCounter:
    """Readings of the energy counter of one device: (stamp, millijoules, epoch)."""

    def __init__(self, readings: Iterable[Count]) -> None:
        self.readings = sorted(set(readings))
        self.stamps = [t for t, _, _ in self.readings]

    def _at(self, t: int) -> tuple[int, int] | None:
        """Return (epoch, nanojoules rounded down) at an instant; None where it is not known."""
        i = bisect_right(self.stamps, t) - 1
        if i < 0:
            return None
        t0, mj0, epoch0 = self.readings[i]
        if t0 == t:
            return epoch0, mj0 * NJ_PER_MJ
        if i + 1 == len(self.readings):
            return None
        t1, mj1, epoch1 = self.readings[i + 1]
        if epoch0 != epoch1 or t1 - t0 > COUNTER_REACH_US:
            return None
        return epoch0, mj0 * NJ_PER_MJ + (mj1 - mj0) * NJ_PER_MJ * (t - t0) // (t1 - t0)

    def energy_nj(self, start: int, end: int) -> int | None:
        """Return what it counted in [start, end); None where that is not known."""
        first, last = self._at(start), self._at(end)
        if first is None or last is None or first[0] != last[0]:
            return None
        return last[1] - first[1]

    def off_us(self, t: int) -> int | None:
        """Return the time from an instant to the nearest reading; None where it is not known."""
        if self._at(t) is None:
            return None
        i = bisect_left(self.stamps, t)
        near = self.stamps[max(0, i - 1) : i + 1]
        return min(abs(t - stamp) for stamp in near)
