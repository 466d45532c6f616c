"""One meter over time: stretches of its readings, and what is in doubt between them.

In: what the site file says of the meter, and its readings. Out: a `Course`, which says for which
time the meter is known and how much it counted in any part of that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from statistics import median_low

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.metering.amount import Amount, total
from tokenergy_sql.metering.intervals import Interval, common, joined
from tokenergy_sql.metering.stretch import Bridge, Counted, Held, Number, Stretch
from tokenergy_sql.places.advance import Reading, advance
from tokenergy_sql.places.meters import Meter
from tokenergy_sql.places.register import Register
from tokenergy_sql.places.timeline import Span, Timeline
from tokenergy_sql.places.units import BILLION, CUMULATIVE

_LEAST_US = 1_500_000
_PERIODS = 3
"""A momentary value holds for so many intervals, and at least for 1.5 s: as that of boards."""

_PER_US = {"power": Fraction(1), "flow": Fraction(1, 1_000_000)}
"""Base units of the amount in a microsecond: mW x us = nJ, uL/s x us = 1e-6 uL."""


@dataclass(frozen=True)
class Course:
    """A meter over time.

    Attributes:
        stretches: of its readings, ascending and disjoint.
        doubts: what is not known between two readings: when, and why (see `places.EVIDENCE`, and
            `gap` for a momentary value that was not read for too long).
    """

    stretches: Sequence[Stretch] = ()
    doubts: Sequence[tuple[Interval, str]] = ()
    known: Sequence[Interval] = field(init=False)

    def __post_init__(self) -> None:
        # The class is frozen; this is worked out from the rest.
        object.__setattr__(self, "known", joined(one.span for one in self.stretches))

    def amount(self, from_us: int, until_us: int) -> Amount:
        """Return what was counted in an interval.

        Raises:
            ValueError: the meter is not known in all of it.
        """
        if common([(from_us, until_us)], self.known) != [(from_us, until_us)]:
            raise ValueError(f"from {from_us} to {until_us}: not known in all of this time")
        return total(
            one.amount(max(from_us, one.span[0]), min(until_us, one.span[1]))
            for one in self.stretches
            if one.span[0] < until_us and from_us < one.span[1]
        )


def course_of(entries: Timeline[Meter], readings: Sequence[Reading]) -> Course:
    """Return the course of one meter.

    Args:
        entries: what the site file says of it.
        readings: ascending, one for each stamp.
    """
    known = [one for one in readings if entries.span_at(one.ts_us) is not None]
    if not known:
        return Course()
    first = entries.at(known[0].ts_us)
    counts = first is not None and first.quantity in CUMULATIVE
    builder = _Counting(entries) if counts else _Holding(entries, known)
    return builder.course(known)


class _Counting:
    """Builds the course of a register that counts."""

    def __init__(self, entries: Timeline[Meter]) -> None:
        self._entries = entries
        self._registers = Timeline(
            Span(one.from_us, one.until_us, one.value.register) for one in entries.spans
        )
        self._stretches: list[Stretch] = []
        self._doubts: list[tuple[Interval, str]] = []
        self._ts_us: list[int] = []
        self._values: list[Number] = []

    def course(self, readings: Sequence[Reading]) -> Course:
        self._begin(readings[0], 0)
        added: Number = 0
        register, until_us = self._register_at(readings[0])
        for before, after in pairwise(readings):
            if after.ts_us < until_us and _plain(register, before, after):
                self._ts_us.append(after.ts_us)
                self._values.append(after.value_n + added)
                continue
            grown = advance(self._registers, before, after)
            if grown.evidence in ("grew", "rolled_over") and grown.value is not None:
                value = self._values[-1] + grown.value / register.per_count * BILLION
                added = value - after.value_n
                self._ts_us.append(after.ts_us)
                self._values.append(value)
                continue
            span = before.ts_us, after.ts_us
            self._end(register)
            if grown.value is None:
                self._doubts.append((span, grown.evidence))
            else:
                whole = Amount(grown.value.__floor__(), grown.low, grown.high)
                self._stretches.append(Bridge(span, whole))
            register, until_us = self._register_at(after)
            self._begin(after, 0)
            added = 0
        self._end(register)
        return Course(self._stretches, self._doubts)

    def _register_at(self, reading: Reading) -> tuple[Register, int]:
        span = self._registers.span_at(reading.ts_us)
        if span is None:
            raise ValueError(f"a reading at {reading.ts_us}: the meter has no entry then")
        return span.value, span.until_us

    def _begin(self, reading: Reading, added: Number) -> None:
        self._ts_us, self._values = [reading.ts_us], [reading.value_n + added]

    def _end(self, register: Register) -> None:
        if len(self._ts_us) > 1:
            self._stretches.append(Counted(register, self._ts_us, self._values))


def _plain(register: Register, before: Reading, after: Reading) -> bool:
    """Return whether a register simply grew, as most do: `advance` looks closer at all others."""
    if register.modulus is not None or register.max_per_h is not None:
        return False
    return 0 <= before.value_n <= after.value_n


class _Holding:
    """Builds the course of a momentary value."""

    def __init__(self, entries: Timeline[Meter], readings: Sequence[Reading]) -> None:
        self._entries = entries
        steps = [after.ts_us - before.ts_us for before, after in pairwise(readings)]
        self._usual_us = median_low(steps) if steps else HOUR_US

    def course(self, readings: Sequence[Reading]) -> Course:
        stretches: list[Stretch] = []
        doubts: list[tuple[Interval, str]] = []
        for span, part in self._by_entry(readings):
            meter = span.value
            limit_us = max(_LEAST_US, _PERIODS * (meter.interval_us or self._usual_us))
            run = [part[0]]
            for before, after in pairwise(part):
                if after.ts_us - before.ts_us > limit_us:
                    doubts.append(((before.ts_us, after.ts_us), "gap"))
                    stretches += _held(meter, run)
                    run = []
                run.append(after)
            stretches += _held(meter, run)
        return Course(stretches, doubts)

    def _by_entry(self, readings: Sequence[Reading]) -> Iterator[tuple[Span[Meter], list[Reading]]]:
        """Yield the readings of each entry."""
        for span in self._entries.spans:
            part = [one for one in readings if span.holds(one.ts_us)]
            if part:
                yield span, part


def _held(meter: Meter, run: Sequence[Reading]) -> Iterator[Stretch]:
    per_us = _PER_US.get(meter.quantity)
    if len(run) > 1 and per_us is not None:
        yield Held(
            meter.register,
            [one.ts_us for one in run],
            [one.value_n for one in run],
            per_us,
        )
