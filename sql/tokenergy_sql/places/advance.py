"""How far a cumulative register went between two readings: over rollovers and new meters.

In: the entries of one meter, two readings. Out: an `Advance`: the growth, its bounds, the evidence.
Nothing is inferred that was not declared: a fall without a declared rollover adds nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NamedTuple

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.places.register import Register
from tokenergy_sql.places.timeline import Span, Timeline
from tokenergy_sql.places.units import BILLION

Evidence = Literal[
    "grew", "rolled_over", "replaced", "fell", "too_fast", "ambiguous", "out_of_range", "unmetered"
]

EVIDENCE: dict[Evidence, str] = {
    "grew": "the register grew",
    "rolled_over": "the register rolled over once or more, as declared",
    "replaced": "the meter was replaced; the growth of both is added if register_last and "
    "register_first are declared, else it is unknown",
    "fell": "the register fell, and no rollover explains it: a restart, a reset or a wrong reading",
    "too_fast": "the register grew by more than max_per_h allows",
    "ambiguous": "several numbers of rollovers are possible",
    "out_of_range": "a reading is below 0, or not below the declared rollover",
    "unmetered": "no entry of the meter holds at a reading, or all the time between two meters",
}
"""What each kind of evidence means. Only `grew`, `rolled_over` and `replaced` may have a value."""


class Reading(NamedTuple):
    """A reading: microseconds UTC, billionths of the register's own unit."""

    ts_us: int
    value_n: int


@dataclass(frozen=True, slots=True)
class Advance:
    """The growth of a register between two readings.

    Attributes:
        value: in base units, exact; None: unknown, and nothing may be added.
        low: the least that it can be, whole base units; None: unknown.
        high: the most; None: unknown.
        evidence: how the growth was found, or why it was not: see `EVIDENCE`.
    """

    value: Fraction | None
    low: int | None
    high: int | None
    evidence: Evidence


def advance(entries: Timeline[Register], before: Reading, after: Reading) -> Advance:
    """Return the growth of a register from one reading to the next.

    Args:
        entries: the registers that the meter had, one after the other.
        before: the earlier reading.
        after: the later one.

    Raises:
        ValueError: the readings are not in order.
    """
    if before.ts_us >= after.ts_us:
        raise ValueError(f"readings at {before.ts_us} and {after.ts_us}: expected ascending stamps")
    if entries.span_at(before.ts_us) is None or entries.span_at(after.ts_us) is None:
        return Advance(None, None, None, "unmetered")
    spans = list(entries.within(before.ts_us, after.ts_us + 1))
    parts = list(_parts(spans, before, after))
    if len(spans) == 1:
        return parts[0]
    if all(part.value is None for part in parts):
        return Advance(None, None, None, "replaced")
    low = _sum([part.low for part in parts])
    if any(part.value is None for part in parts):
        # One meter's part is known, so at least that was used.
        known = [part.low for part in parts if part.value is not None]
        return Advance(None, _sum(known), None, "replaced")
    if entries.gap(before.ts_us, after.ts_us):
        return Advance(None, low, None, "unmetered")
    value = sum((part.value for part in parts if part.value is not None), Fraction(0))
    return Advance(value, low, _sum([part.high for part in parts]), "replaced")


def _sum(parts: list[int | None]) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _parts(spans: list[Span[Register]], before: Reading, after: Reading) -> Iterator[Advance]:
    """Yield the growth of each register between its first and its last known reading."""
    for number, span in enumerate(spans):
        register = span.value
        is_first, is_last = number == 0, number == len(spans) - 1
        begin = Fraction(before.value_n, BILLION) if is_first else register.first
        end = Fraction(after.value_n, BILLION) if is_last else register.last
        if begin is None or end is None:
            yield Advance(None, None, None, "replaced")
        else:
            hours = Fraction((after.ts_us if is_last else span.until_us) - span.from_us, HOUR_US)
            yield _growth(register, begin, end, hours)


def _growth(register: Register, begin: Fraction, end: Fraction, hours: Fraction) -> Advance:
    """Return the growth of one register, of which both values are in its own unit."""
    modulus = register.modulus
    if min(begin, end) < 0 or (modulus is not None and max(begin, end) >= modulus):
        return _unknown(register, hours, "out_of_range")
    limit = _limit(register, hours)
    counts = end - begin
    if modulus is None:
        if counts < 0:
            return _unknown(register, hours, "fell")
        if limit is not None and counts > limit:
            return _unknown(register, hours, "too_fast")
        return _known(register, counts, hours, "grew")
    fell, counts = counts < 0, counts % modulus
    if limit is None:
        # Not told how fast it can go: a fall of less than half of the range is no rollover.
        if fell and 2 * counts > modulus:
            return _unknown(register, hours, "fell")
        return _known(register, counts, hours, "rolled_over" if fell else "grew")
    if counts > limit:
        return _unknown(register, hours, "fell" if fell else "too_fast")
    if counts + modulus <= limit:
        most = counts + (limit - counts) // modulus * modulus
        low = register.bounds_of_growth(counts, hours)
        high = register.bounds_of_growth(most, hours)
        return Advance(None, low and low[0], high and high[1], "ambiguous")
    return _known(register, counts, hours, "rolled_over" if fell else "grew")


def _limit(register: Register, hours: Fraction) -> Fraction | None:
    """Return the most that a register can grow in some time, in its own unit."""
    if register.max_per_h is None:
        return None
    return register.max_per_h / register.scale * hours + register.resolution


def _known(register: Register, counts: Fraction, hours: Fraction, evidence: Evidence) -> Advance:
    low, high = register.bounds_of_growth(counts, hours) or (None, None)
    return Advance(counts * register.per_count, low, high, evidence)


def _unknown(register: Register, hours: Fraction, evidence: Evidence) -> Advance:
    """Return a growth that is not added: at least 0, at most what the circuit can carry."""
    limit = _limit(register, hours)
    high = None if limit is None else math.ceil(limit * register.per_count)
    return Advance(None, 0, high, evidence)
