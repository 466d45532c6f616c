"""One meter over time: stretches of its readings, and what is in doubt between them.

In: what the site file says of the meter, and its readings. Out: a `Course`, which says for which
time the meter is known and how much it counted in any part of that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

import numpy as np

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.metering.amount import Amount, total
from tokenergy_sql.metering.intervals import Interval, common, joined
from tokenergy_sql.metering.readings import Array, Readings
from tokenergy_sql.metering.stretch import Bridge, Counted, Held, Stretch
from tokenergy_sql.places.advance import Reading, advance
from tokenergy_sql.places.meters import Meter, continued
from tokenergy_sql.places.register import Register
from tokenergy_sql.places.timeline import Span, Timeline
from tokenergy_sql.places.units import BILLION, CUMULATIVE

_LEAST_US = 1_500_000
_PERIODS = 3
"""A momentary value holds for so many intervals, and at least for 1.5 s: as that of boards."""

_NEAR = 0.99
"""How near to a limit a growth is looked at exactly: the limit is compared as a float."""

_PER_US = {"power": Fraction(1), "flow": Fraction(1, 1_000_000)}
"""Base units of the amount in a microsecond: mW x us = nJ, uL/s x us = 1e-6 uL."""


@dataclass(frozen=True)
class Course:
    """A meter over time.

    Attributes:
        stretches: of its readings, ascending and disjoint.
        doubts: what is not known between two readings: when, and why (see `places.EVIDENCE`, and
            `gap` for a momentary value that was not read for too long).
        known: the time of all stretches.
    """

    stretches: Sequence[Stretch] = ()
    doubts: Sequence[tuple[Interval, str]] = ()
    known: Sequence[Interval] = field(init=False)
    _amounts: dict[Interval, Amount] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        # The class is frozen; this is worked out from the rest.
        object.__setattr__(self, "known", joined(one.span for one in self.stretches))

    def amount(self, from_us: int, until_us: int) -> Amount:
        """Return what was counted in an interval.

        Raises:
            ValueError: the meter is not known in all of it.
        """
        interval = from_us, until_us
        # A meter is in the sums of several places and figures, mostly over the same time.
        if interval not in self._amounts:
            self._amounts[interval] = self._amount(from_us, until_us)
        return self._amounts[interval]

    def _amount(self, from_us: int, until_us: int) -> Amount:
        if common([(from_us, until_us)], self.known) != [(from_us, until_us)]:
            raise ValueError(f"from {from_us} to {until_us}: not known in all of this time")
        return total(
            one.amount(max(from_us, one.span[0]), min(until_us, one.span[1]))
            for one in self.stretches
            if one.span[0] < until_us and from_us < one.span[1]
        )


def course_of(entries: Timeline[Meter], readings: Readings) -> Course:
    """Return the course of one meter.

    Args:
        entries: what the site file says of it.
        readings: its readings.
    """
    entries = continued(entries)
    parts = [*_by_entry(entries, readings)]
    if not parts:
        return Course()
    counts = parts[0][0].value.quantity in CUMULATIVE
    return _counting(entries, parts) if counts else _holding(parts)


def _by_entry(
    entries: Timeline[Meter], readings: Readings
) -> Iterator[tuple[Span[Meter], Readings]]:
    """Yield the readings of each entry that has some."""
    for span in entries.spans:
        begin, end = np.searchsorted(readings.ts_us, (span.from_us, span.until_us)).tolist()
        if begin < end:
            yield span, readings.part(begin, end)


def _counting(entries: Timeline[Meter], parts: Sequence[tuple[Span[Meter], Readings]]) -> Course:
    """Return the course of a register that counts."""
    registers = Timeline(
        Span(one.from_us, one.until_us, one.value.register) for one in entries.spans
    )
    stretches: list[Stretch] = []
    doubts: list[tuple[Interval, str]] = []

    def between(before: Reading, after: Reading) -> None:
        grown, span = advance(registers, before, after), (before.ts_us, after.ts_us)
        if grown.value is None:
            doubts.append((span, grown.evidence))
        else:
            stretches.append(Bridge(span, Amount(math.floor(grown.value), grown.low, grown.high)))

    last: Reading | None = None
    for span, readings in parts:
        register = span.value.register
        risen, breaks = _risen(registers, register, readings)
        for begin, end in pairwise([0, *breaks, len(readings)]):
            if last is not None:
                between(last, readings.at(begin))
            part = risen.part(begin, end)
            if len(part) > 1:
                stretches.append(Counted(register, part.ts_us, part.values))
            last = readings.at(end - 1)
    return Course(stretches, doubts)


def _risen(
    registers: Timeline[Register], register: Register, readings: Readings
) -> tuple[Readings, list[int]]:
    """Return readings of one register with its rollovers added, and where there is a doubt.

    Returns:
        The readings, and the places of those before which something else happened than growth.
    """
    values, breaks = readings.values, []
    for place in (np.flatnonzero(_is_odd(register, readings)) + 1).tolist():
        grown = advance(registers, readings.at(place - 1), readings.at(place))
        turns = Fraction(0)
        if grown.value is not None:
            counted = int(readings.values[place]) - int(readings.values[place - 1])
            turns = grown.value / register.per_count * BILLION - counted
        # A register that begins again at a fraction of a billionth is bridged instead.
        if grown.value is None or turns.denominator != 1:
            breaks.append(place)
        elif turns:
            # Objects: several rollovers of a large register are more than int64 has.
            values = values.astype(object)
            values[place:] += int(turns)
    return Readings(readings.ts_us, values), breaks


def _is_odd(register: Register, readings: Readings) -> Array:
    """Return between which readings a register did not simply grow, or may not have (n - 1,)."""
    growth, values = np.diff(readings.values), readings.values
    odd = growth < 0
    odd |= values[:-1] < 0
    modulus = None if register.modulus is None else float(register.modulus * BILLION)
    if modulus is not None:
        odd |= (values[:-1] >= modulus) | (values[1:] >= modulus)
    if register.max_per_h is not None:
        per_us = float(register.max_per_h / register.scale * BILLION / HOUR_US)
        most = np.diff(readings.ts_us) * per_us + float(register.resolution * BILLION)
        odd |= growth.astype(float) > most * _NEAR
        if modulus is not None:  # one rollover more is possible
            odd |= growth.astype(float) + modulus < most / _NEAR
    found: Array = odd.astype(bool)
    return found


def _holding(parts: Sequence[tuple[Span[Meter], Readings]]) -> Course:
    """Return the course of a momentary value."""
    stretches: list[Stretch] = []
    doubts: list[tuple[Interval, str]] = []
    for span, readings in parts:
        meter, steps = span.value, np.diff(readings.ts_us)
        per_us = _PER_US.get(meter.quantity)
        if per_us is None or not len(steps):
            continue
        usual_us = meter.interval_us or int(np.median(steps))
        far = np.flatnonzero(steps > max(_LEAST_US, _PERIODS * usual_us))
        for place in far.tolist():
            gap = int(readings.ts_us[place]), int(readings.ts_us[place + 1])
            doubts.append((gap, "gap"))
        for begin, end in pairwise([0, *(far + 1).tolist(), len(readings)]):
            if end - begin > 1:
                part = readings.part(begin, end)
                stretches.append(Held(meter.register, part.ts_us, part.values, per_us))
    return Course(stretches, doubts)
