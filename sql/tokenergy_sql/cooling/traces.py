"""A momentary value over time, as meters of temperature, humidity and flow give it.

In: a meter's entries and readings. Out: runs of readings that are close enough together to draw
straight lines between, in base units, with how far each may be off.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tokenergy_sql.cooling.laws import Floats
from tokenergy_sql.metering.intervals import Interval
from tokenergy_sql.metering.readings import Array, Readings
from tokenergy_sql.places import Meter
from tokenergy_sql.places.register import Register
from tokenergy_sql.places.timeline import Timeline
from tokenergy_sql.places.units import BILLION

_LEAST_US = 1_500_000
_PERIODS = 3
"""A value holds for so many intervals, and at least for 1.5 s: as those of all other meters."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Readings without a gap.

    Attributes:
        ts_us: stamps, ascending; at least two (n,).
        values: in base units (n,).
        errors: how far each may be off (n,); NaN where the accuracy is not declared.
    """

    ts_us: Array
    values: Floats
    errors: Floats

    @property
    def span(self) -> Interval:
        """Return the time from the first to the last reading."""
        return int(self.ts_us[0]), int(self.ts_us[-1])

    def at(self, ts_us: Array) -> Floats:
        """Return the value at instants inside the run (m,)."""
        return np.asarray(np.interp(ts_us, self.ts_us, self.values), np.float64)

    def error(self) -> float:
        """Return the most that any reading may be off; NaN if that is unknown."""
        return float(np.max(self.errors))


def runs_of(entries: Timeline[Meter], readings: Readings) -> list[Run]:
    """Return the runs of a meter's readings, ascending.

    Args:
        entries: what the site file says of the meter.
        readings: its readings.
    """
    found: list[Run] = []
    for span in entries.spans:
        begin, end = np.searchsorted(readings.ts_us, (span.from_us, span.until_us)).tolist()
        part, meter = readings.part(begin, end), span.value
        steps = np.diff(part.ts_us)
        if not len(steps):
            continue
        usual_us = meter.interval_us or int(np.median(steps))
        far = np.flatnonzero(steps > max(_LEAST_US, _PERIODS * usual_us)) + 1
        for first, last in zip([0, *far.tolist()], [*far.tolist(), len(part)], strict=True):
            if last - first > 1:
                found.append(_run(meter.register, part.part(first, last)))
    return found


def _run(register: Register, readings: Readings) -> Run:
    shown = readings.values.astype(np.float64) / BILLION * float(register.per_count)
    errors = np.full(len(shown), np.nan)
    if register.percent is not None:
        step = register.resolution * register.per_count
        step += register.absolute * register.unit.factor
        errors = np.abs(shown) * float(register.percent / 100) + float(step)
    return Run(readings.ts_us, shown + float(register.unit.offset), errors)


def time_integral(runs: Iterable[Run], interval: Interval) -> tuple[float, int]:
    """Return the integral of a value over the known part of an interval, and how long that is.

    Returns:
        Base units x us, and us: their quotient is the mean over time.
    """
    total, known_us = 0.0, 0
    for run in runs:
        begin, end = max(run.span[0], interval[0]), min(run.span[1], interval[1])
        if begin < end:
            stamps = inside(run.ts_us, begin, end)
            values = run.at(stamps)
            total += float(np.sum((values[1:] + values[:-1]) / 2 * np.diff(stamps)))
            known_us += end - begin
    return total, known_us


def inside(ts_us: Array, begin: int, end: int) -> Array:
    """Return the stamps inside an interval, with its own ends (m,)."""
    within = ts_us[(ts_us > begin) & (ts_us < end)]
    return np.concatenate([[begin], within, [end]])


def covering(runs: Sequence[Run], begin: int, end: int) -> Run | None:
    """Return the run that holds an interval; None if there is none."""
    return next((run for run in runs if run.span[0] <= begin and end <= run.span[1]), None)
