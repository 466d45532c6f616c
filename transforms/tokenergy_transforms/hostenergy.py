"""The energy of a host's meter between two instants, and its bounds, from its readings.

In: rows of `host` of one node. Out: exact integers (nJ), with what is known and for how long.

Readings of one run and epoch follow each other: one *stretch*. Inside it the counter C bridges
every gap, so all energy between its first and last reading is measured. Between two stretches, and
before the first and after the last one, nothing is known.

For an instant x between the neighbouring readings (t, c) and (u, d) of a stretch:

    I(x) = 1000 c + floor(1000 (d - c) (x - t) / (u - t))      what is reported, nJ
    L(x) = 1000 x the last counter read at or before x          the least that C(x) can be
    U(x) = 1000 x the first counter read at or after x + age    the most

where `age` says how old a value may be at its stamp. Of the part [x, y] of the interval that a
stretch covers, the energy is I(y) - I(x), at least L(y) - U(x) and 0, and at most U(y) - L(x). So
the bounds hold all energy between the two readings around an edge, on either side of it. I is one
function of the instant: adjoining intervals add up to the whole, to the nanojoule.

Of the time that no stretch covers, energy is unknown: between 0 and the limit x time. Where U(y)
has no reading, it is the last counter plus the limit x the time from that reading to y + age.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from tokenergy_collectors.lake.hostdomains import added_up

RAPL_AGE_US = 1_000
"""How old a value of a RAPL meter may be: processors renew it about once a millisecond."""

_REGISTER = 2**32 - 1
"""The steps of a RAPL register; the kernel's range is that many."""

Row = Mapping[str, Any]


class Part(NamedTuple):
    """A part of the interval: from, to (us), and its energy (nJ); None where it is not known."""

    start_us: int
    end_us: int
    energy_nj: int | None


class HostEnergy(NamedTuple):
    """The energy of one meter, or of several together, between two instants.

    Attributes:
        energy_nj: the energy of the time that is covered; None if none is.
        low_nj: the least that the whole interval can have.
        high_nj: the most; None if nobody knows.
        covered_us: the time in which energy is known; of several meters, that of the least covered.
        max_gap_us: the longest time in the interval without a reading.
    """

    energy_nj: int | None
    low_nj: int
    high_nj: int | None
    covered_us: int
    max_gap_us: int


class _Stretch(NamedTuple):
    """Readings that follow each other: stamps (us), counters, and how short they may be (nJ)."""

    stamps: list[int]
    counters: list[int]
    short: list[int]

    def at(self, x: int) -> int:
        """Return I(x), x not before the first and not after the last reading."""
        k = bisect_right(self.stamps, x) - 1
        t, c = self.stamps[k], self.counters[k]
        if t == x:
            return c
        return c + (self.counters[k + 1] - c) * (x - t) // (self.stamps[k + 1] - t)

    def last(self, x: int) -> int:
        """Return the number of the last reading at or before x."""
        return bisect_right(self.stamps, x) - 1

    def first(self, x: int) -> int | None:
        """Return the number of the first reading at or after x, if there is one."""
        k = bisect_left(self.stamps, x)
        return k if k < len(self.stamps) else None


def energy_between(
    rows: Iterable[Row],
    start_us: int,
    end_us: int,
    *,
    limit_mw: int | None = None,
    age_us: int = 0,
) -> HostEnergy:
    """Return the energy of one meter between two instants; see the head of this module.

    Args:
        rows: rows of `host` of one node and domain, in any order, from before the interval until
            after it: those outside narrow the bounds at its edges. Rows without a counter are
            ignored, and equal rows count once. Without an epoch, a counter that falls ends a
            stretch.
        start_us, end_us: the interval (us UTC).
        limit_mw: the most power that the meter can show; without it, nothing bounds what is
            unknown (`high_nj` is None).
        age_us: how old a value may be at its stamp.

    Raises:
        ValueError: the interval is empty, or a limit or an age is negative.
    """
    if end_us <= start_us or age_us < 0 or (limit_mw is not None and limit_mw < 0):
        raise ValueError("expected start < end, and no negative limit or age")
    known = [row for row in rows if row["energy_uj"] is not None]
    energy_nj = low_nj = covered_us = 0
    high_nj: int | None = 0
    for stretch, x, y in _covered(known, start_us, end_us):
        low, high = _bounds(stretch, x, y, limit_mw, age_us)
        energy_nj += stretch.at(y) - stretch.at(x)
        low_nj += low
        high_nj = None if high is None or high_nj is None else high_nj + high
        covered_us += y - x
    unknown_us = end_us - start_us - covered_us
    if unknown_us and high_nj is not None:
        high_nj = None if limit_mw is None else high_nj + limit_mw * unknown_us
    gap_us = _longest_gap((row["ts_us"] for row in known), start_us, end_us)
    return HostEnergy(energy_nj if covered_us else None, low_nj, high_nj, covered_us, gap_us)


def parts_between(rows: Iterable[Row], start_us: int, end_us: int) -> list[Part]:
    """Return the interval in parts, in order of time: of each its energy, or that it is unknown."""
    known = [row for row in rows if row["energy_uj"] is not None]
    parts: list[Part] = []
    at_us = start_us
    for stretch, x, y in _covered(known, start_us, end_us):
        if at_us < x:
            parts.append(Part(at_us, x, None))
        parts.append(Part(x, y, stretch.at(y) - stretch.at(x)))
        at_us = y
    if at_us < end_us:
        parts.append(Part(at_us, end_us, None))
    return parts


def cpu_energy_between(
    rows: Iterable[Row], start_us: int, end_us: int, *, limits_mw: Mapping[str, int] | None = None
) -> HostEnergy | None:
    """Return the energy of a node's CPUs and their memory; None if no such meter was read.

    Args:
        rows: rows of `host` of one node. Of its domains, those count that may be added up.
        start_us, end_us: the interval (us UTC).
        limits_mw: the most power of each domain, where it is known.
    """
    by_domain: dict[str, list[Row]] = {}
    for row in rows:
        by_domain.setdefault(row["domain"], []).append(row)
    limits = limits_mw or {}
    found = [
        energy_between(
            by_domain[domain],
            start_us,
            end_us,
            limit_mw=limits.get(domain),
            age_us=RAPL_AGE_US,
        )
        for domain in added_up(by_domain)
    ]
    if not found:
        return None
    highs = [one.high_nj for one in found]
    energies = [one.energy_nj for one in found]
    return HostEnergy(
        # A sum that leaves out a meter is not the energy of all of them.
        energy_nj=None if None in energies else sum(e for e in energies if e is not None),
        low_nj=sum(one.low_nj for one in found),
        high_nj=None if None in highs else sum(h for h in highs if h is not None),
        covered_us=min(one.covered_us for one in found),
        max_gap_us=max(one.max_gap_us for one in found),
    )


def _bounds(
    stretch: _Stretch, x: int, y: int, limit_mw: int | None, age_us: int
) -> tuple[int, int | None]:
    """Return the least and the most energy of a covered part; the most is None if unbounded."""
    counters, short = stretch.counters, stretch.short
    from_low, to_low = stretch.last(x), stretch.last(y)
    from_high, to_high = stretch.first(x + age_us), stretch.first(y + age_us)
    low = 0 if from_high is None else max(0, counters[to_low] - counters[from_high])
    last = len(counters) - 1 if to_high is None else to_high
    high = counters[last] + short[last] - counters[from_low] - short[from_low]
    if to_high is not None:
        return low, high
    if limit_mw is None:
        return low, None
    return low, high + limit_mw * (y + age_us - stretch.stamps[last])


def _covered(
    rows: Iterable[Row], start_us: int, end_us: int
) -> Iterator[tuple[_Stretch, int, int]]:
    """Yield each stretch with the part of the interval that it covers, in order of time.

    Time that two stretches cover counts once, by the one that began first, and of two that began
    together by that of the earlier run: two runs stamp the same time if the clock was set back
    between them.
    """
    done_us = start_us
    for stretch in sorted(_stretches(rows), key=lambda one: one.stamps[0]):
        x, y = max(stretch.stamps[0], done_us), min(stretch.stamps[-1], end_us)
        if x < y:
            yield stretch, x, y
            done_us = y


def _stretches(rows: Iterable[Row]) -> Iterator[_Stretch]:
    """Yield the stretches of one meter's readings, those of the earlier run and epoch first."""
    epochs: dict[tuple[int | None, int | None], set[tuple[int, int, int]]] = {}
    for row in rows:
        reading = row["ts_us"], 1_000 * row["energy_uj"], _short_nj(row)
        epochs.setdefault((row.get("run"), row.get("epoch")), set()).add(reading)
    for key in sorted(epochs, key=lambda key: [-1 if number is None else number for number in key]):
        ordered = sorted(epochs[key])
        falls = [k for k, (a, b) in enumerate(pairwise(ordered), 1) if b[1] < a[1]]
        for begin, end in pairwise([0, *falls, len(ordered)]):
            stamps, counters, short = zip(*ordered[begin:end], strict=True)
            yield _Stretch(list(stamps), list(counters), list(short))


def _short_nj(row: Row) -> int:
    """Return by how much a counter may be short since its epoch began (nJ).

    The kernel's range is one step of the register less than where the register begins again, so
    each time that it does, a step is missing.
    """
    shown_uj, range_uj = row.get("counter_uj"), row.get("range_uj")
    if shown_uj is None or not range_uj:
        return 0
    wraps = (row["energy_uj"] - shown_uj) // range_uj
    return 1_000 * int(wraps) * (int(range_uj) // _REGISTER + 1)


def _longest_gap(stamps: Iterable[int], start_us: int, end_us: int) -> int:
    inside = sorted({t for t in stamps if start_us < t < end_us})
    return max(b - a for a, b in pairwise([start_us, *inside, end_us]))
