"""What a device lost over time: its curve at the load that a meter beside it shows; modelled.

In: a `[[loss]]`, the course of the meter next to it. Out: a `Course` of the loss.

- Of a power the load is a straight line between two readings, as it is everywhere else, and the
  loss is integrated along it. Its bounds are those of any load between both readings, each as far
  off as the meter may be.
- Of a register that counts, only the mean load between two readings is known. The loss at the mean
  is less than the mean loss where the curve bends upwards. The bounds hold the mean loss of any
  course of the load with this mean, on the curve: see `Curve.most_of_mean`. Readings are taken
  together until a minute has passed and the register has moved by 50 of its steps.

A load outside of the points is not known, and neither is the loss then.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from tokenergy_sql.metering.amount import Amount
from tokenergy_sql.metering.course import Course
from tokenergy_sql.metering.intervals import Interval
from tokenergy_sql.metering.losscurve import Curve, Floats, curve_of
from tokenergy_sql.metering.stretch import Counted, Held, Stretch
from tokenergy_sql.places import Loss, Meters, side_of
from tokenergy_sql.places.timeline import Timeline
from tokenergy_sql.places.units import BILLION

_LEAST_US = 60_000_000
_LEAST_STEPS = 50

_ROUNDING = 1e-12
"""How far sums of floats may be off: bounds are wider by this share."""

ABOVE, BELOW = "above_curve", "below_curve"
"""Why a loss is not known: the load was above the last point, or below the first one."""


@dataclass(frozen=True)
class LostWhileHeld:
    """What is lost while a power is known at two readings or more.

    Args:
        span: the time for which the loss is known, inside that of the readings.
        held: the readings.
        curve: of the loss over this power.
        percent: how far the curve may be off; None: not told.
    """

    span: Interval
    held: Held
    curve: Curve
    percent: Fraction | None

    def amount(self, from_us: int, until_us: int) -> Amount:
        """Return what was lost in a part of the stretch (microseconds UTC)."""
        stamps = self.held.ts_us
        inside = stamps[(stamps > from_us) & (stamps < until_us)]
        ts_us = np.concatenate([[from_us], inside, [until_us]])
        steps = np.diff(ts_us).astype(np.float64)
        power = np.interp(ts_us.astype(np.float64), stamps.astype(np.float64), _power_mw(self.held))
        value = math.fsum((self.curve.mean(power[:-1], power[1:]) * steps).tolist())
        bounds = self._bounds(ts_us, steps)
        return _amount(value, bounds, self.percent)

    def _bounds(self, ts_us: Floats, steps: Floats) -> tuple[float, float] | None:
        """Return the least and the most, without the curve's own error; None: not known."""
        register = self.held.register
        if register.percent is None:
            return None
        shown = _power_mw(self.held)
        # The pair of readings in which each step lies.
        at = np.clip(np.searchsorted(self.held.ts_us, ts_us[:-1], "right") - 1, 0, len(shown) - 2)
        low, high = np.minimum(shown[at], shown[at + 1]), np.maximum(shown[at], shown[at + 1])
        step = float(
            register.resolution * register.per_count + register.absolute * register.unit.factor
        )
        share = float(register.percent / 100)
        found = _on_curve(self.curve, low * (1 - share) - step, high * (1 + share) + step)
        if found is None:
            return None
        least, most = self.curve.ends(*found)
        return math.fsum((least * steps).tolist()), math.fsum((most * steps).tolist())


@dataclass(frozen=True)
class LostWhileCounted:
    """What is lost between two readings of a register that counts.

    Args:
        span: the time for which the loss is known, inside `whole`.
        whole: of the two readings.
        energy: between them, nJ.
        curve: of the loss over the mean power.
        percent: how far the curve may be off; None: not told.
    """

    span: Interval
    whole: Interval
    energy: Amount
    curve: Curve
    percent: Fraction | None

    def amount(self, from_us: int, until_us: int) -> Amount:
        """Return what was lost in a part: shared by time, as the load in it is not known."""
        whole_us, part_us = self.whole[1] - self.whole[0], until_us - from_us
        power = float(Fraction(self.energy.value, whole_us))
        value = float(self.curve.at(power)) * part_us
        return _amount(value, self._bounds(whole_us, part_us), self.percent)

    def _bounds(self, whole_us: int, part_us: int) -> tuple[float, float] | None:
        if self.energy.low is None or self.energy.high is None:
            return None
        least, most = self.energy.low / whole_us, self.energy.high / whole_us
        found = _on_curve(self.curve, np.array([least]), np.array([most]))
        if found is None:
            return None
        least, most = (float(one[0]) for one in found)
        if part_us < whole_us:
            # All of the energy may have passed in the part, or none of it.
            least, most = self.curve.first_mw, min(most * whole_us / part_us, self.curve.last_mw)
        low = self.curve.least_of_mean(least, most) * part_us
        return low, self.curve.most_of_mean(least, most) * part_us


def loss_course(losses: Timeline[Loss], meters: Meters, courses: Mapping[str, Course]) -> Course:
    """Return the course of a loss.

    Args:
        losses: its entries.
        meters: over time.
        courses: of the meters; one that was not read may be left out.
    """
    stretches: list[Stretch] = []
    doubts: list[tuple[Interval, str]] = []
    for span in losses.spans:
        loss = span.value
        for name in loss.between:
            for part in meters.by_id[name].within(span.from_us, span.until_us):
                course = courses.get(name, Course())
                curve = curve_of(loss.points_mw, side_of(loss, part.value))
                time = part.from_us, part.until_us
                for known, why in _of_course(course, time, curve, loss.percent):
                    if why:
                        doubts.append((known.span, why))
                    else:
                        stretches.append(known)
                doubts += [
                    (inside, why) for when, why in course.doubts if (inside := _shared(when, time))
                ]
    return Course(sorted(stretches, key=lambda one: one.span), doubts)


def _of_course(
    course: Course, time: Interval, curve: Curve, percent: Fraction | None
) -> Iterator[tuple[Stretch, str]]:
    """Yield the stretches of a loss in a time, each with why it is not known, or nothing."""
    for stretch in course.stretches:
        span = _shared(stretch.span, time)
        if span is None:
            continue
        if isinstance(stretch, Held):
            yield from _held(stretch, span, curve, percent)
            continue
        edges = _blocks(stretch) if isinstance(stretch, Counted) else stretch.span
        for whole in pairwise(edges):
            if (part := _shared(whole, span)) is not None:
                energy = stretch.amount(*whole)
                why = _outside(curve, energy.value / (whole[1] - whole[0]))
                yield LostWhileCounted(part, whole, energy, curve, percent), why


def _held(
    held: Held, span: Interval, curve: Curve, percent: Fraction | None
) -> Iterator[tuple[Stretch, str]]:
    """Yield runs of readings on the curve, and those outside of it."""
    power = _power_mw(held)
    low, high = np.minimum(power[:-1], power[1:]), np.maximum(power[:-1], power[1:])
    whys = np.where(high > curve.last_mw, 2, np.where(low < curve.first_mw, 1, 0))
    changes = (np.flatnonzero(np.diff(whys)) + 1).tolist()
    for begin, end in pairwise([0, *changes, len(whys)]):
        run = int(held.ts_us[begin]), int(held.ts_us[end])
        if (part := _shared(run, span)) is not None:
            why = ("", BELOW, ABOVE)[int(whys[begin])]
            yield LostWhileHeld(part, held, curve, percent), why


def _blocks(counted: Counted) -> Sequence[int]:
    """Return the stamps between which the mean load is taken."""
    least_n = _LEAST_STEPS * counted.register.resolution * BILLION
    stamps, values = counted.ts_us.tolist(), counted.values.tolist()
    edges, at = [stamps[0]], 0
    for place in range(1, len(stamps)):
        long = stamps[place] - stamps[at] >= _LEAST_US
        if long and values[place] - values[at] >= least_n:
            edges.append(stamps[place])
            at = place
    if edges[-1] != stamps[-1]:
        # What is left is too little for a mean of its own.
        edges[-1 if len(edges) > 1 else len(edges) :] = [stamps[-1]]
    return edges


def _power_mw(held: Held) -> Floats:
    """Return the readings of a power, mW (n,)."""
    return np.asarray(
        held.values.astype(np.float64) * float(held.register.per_count / BILLION), np.float64
    )


def _outside(curve: Curve, power_mw: float) -> str:
    if power_mw > curve.last_mw:
        return ABOVE
    return BELOW if power_mw < curve.first_mw else ""


def _on_curve(curve: Curve, low_mw: Floats, high_mw: Floats) -> tuple[Floats, Floats] | None:
    """Return the least and most powers, none below 0; None if one of them is not on the curve."""
    low = np.maximum(low_mw, 0.0)
    # Rounding of a load of exactly the first or the last point takes no bound away.
    slack = _ROUNDING * curve.last_mw
    if np.any(high_mw > curve.last_mw + slack) or np.any(low < curve.first_mw - slack):
        return None
    return np.maximum(low, curve.first_mw), np.minimum(high_mw, curve.last_mw)


def _amount(value: float, bounds: tuple[float, float] | None, percent: Fraction | None) -> Amount:
    """Return an amount in whole nanojoules (mW x us), bounds rounded outwards."""
    if bounds is None or percent is None:
        return Amount(math.floor(value), None, None)
    low = bounds[0] * (1 - float(percent) / 100) * (1 - _ROUNDING)
    high = bounds[1] * (1 + float(percent) / 100) * (1 + _ROUNDING)
    return Amount(math.floor(value), min(math.floor(low), math.floor(value)), math.ceil(high) + 1)


def _shared(one: Interval, other: Interval) -> Interval | None:
    from_us, until_us = max(one[0], other[0]), min(one[1], other[1])
    return (from_us, until_us) if from_us < until_us else None
