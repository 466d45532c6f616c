"""Heat that a loop of coolant carries: flow x (return - supply) x density x heat capacity.

In: readings of the loop's three meters. Out: a `Course`, as that of a meter of energy: for which
time the heat is known, and how much it was in any part of that, nJ, with bounds.

Between two readings flow and temperatures are straight lines. Bounds are those of the smaller and
the larger value of each piece, of the meters' accuracy and resolution, and of the coolant's own
uncertainty. A meter of temperature without a declared accuracy leaves heat without bounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tokenergy_sql.cooling.coolants import COOLANTS, Coolant
from tokenergy_sql.cooling.declared import Loop
from tokenergy_sql.cooling.laws import ZERO_C_K, Floats
from tokenergy_sql.cooling.traces import Run, covering, inside, runs_of
from tokenergy_sql.metering.amount import Amount
from tokenergy_sql.metering.course import Course, course_of
from tokenergy_sql.metering.intervals import Interval, common, joined
from tokenergy_sql.metering.readings import NONE, Array, Readings
from tokenergy_sql.places import Meter
from tokenergy_sql.places.timeline import Timeline

_NJ = 1e-6
"""uL/s x K x J/(m³ K) x us is 1e-6 nJ."""

_LEAST_PIECE_US = 600_000_000
"""Counts of a water meter are taken over so long at least: a pulse is many litres."""

_MK_PER_K = 1_000.0


class _Flow(NamedTuple):
    """Flow over a piece of time: at its ends, and the least and the most, uL/s."""

    begin: float
    end: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Carried:
    """A stretch of heat: pieces between neighbouring stamps of the meters.

    Attributes:
        ts_us: stamps, ascending (n + 1,).
        flow: uL/s at the begin and the end of each piece (n, 2).
        flow_bounds: the least and the most (n, 2).
        supply_k, return_k: K at the stamps (n + 1,).
        error_k: how far their difference may be off; NaN: unknown.
        coolant: what flows.
    """

    ts_us: Array
    flow: Floats
    flow_bounds: Floats
    supply_k: Floats
    return_k: Floats
    error_k: float
    coolant: Coolant

    @property
    def span(self) -> Interval:
        """Return the time from the first to the last stamp."""
        return int(self.ts_us[0]), int(self.ts_us[-1])

    def amount(self, from_us: int, until_us: int) -> Amount:
        """Return the heat in a part of the stretch (microseconds UTC), nJ."""
        stamps = inside(self.ts_us, from_us, until_us)
        piece = np.searchsorted(self.ts_us, stamps[:-1], "right") - 1
        step = np.diff(stamps)
        edges = (stamps[:-1], stamps[1:])
        supply, back = (
            [np.interp(edge, self.ts_us, of) for edge in edges]
            for of in (self.supply_k, self.return_k)
        )
        starts, ends = self.ts_us[piece], self.ts_us[piece + 1]
        flow = [
            self.flow[piece, 0]
            + (self.flow[piece, 1] - self.flow[piece, 0]) * ((edge - starts) / (ends - starts))
            for edge in edges
        ]
        mean_c = (supply[0] + supply[1] + back[0] + back[1]) / 4 - ZERO_C_K
        carries = self.coolant.j_per_m3_k(mean_c) * _NJ * step
        rise = [back[0] - supply[0], back[1] - supply[1]]
        # Two straight lines multiplied are a parabola, of which Simpson's rule is exact.
        middle = (flow[0] + flow[1]) * (rise[0] + rise[1])
        value = float(np.sum((flow[0] * rise[0] + middle + flow[1] * rise[1]) / 6 * carries))
        low, high = self._bounds(piece, np.minimum(*rise), np.maximum(*rise), carries)
        known = math.isfinite(low) and math.isfinite(high)
        return Amount(
            math.floor(value),
            min(math.floor(low), math.floor(value)) if known else None,
            max(math.ceil(high), math.floor(value)) if known else None,
        )

    def _bounds(
        self, piece: Array, least: Floats, most: Floats, carries: Floats
    ) -> tuple[float, float]:
        """Return the least and the most heat of pieces; NaN if unknown."""
        low_k, high_k = least - self.error_k, most + self.error_k
        flows = self.flow_bounds[piece]
        # Where the rise may be below 0, the larger flow carries the least.
        low = np.where(low_k < 0, flows[:, 1], flows[:, 0]) * low_k
        high = np.where(high_k < 0, flows[:, 0], flows[:, 1]) * high_k
        share = self.coolant.share
        return (
            float(np.sum((low - np.abs(low) * share) * carries)),
            float(np.sum((high + np.abs(high) * share) * carries)),
        )


def heat_of(
    loop: Loop, entries: Mapping[str, Timeline[Meter]], readings: Mapping[str, Readings]
) -> Course:
    """Return the heat of a loop.

    Args:
        loop: its meters.
        entries: what the site file says of each.
        readings: of each; one without readings may be left out.
    """
    flows, supplies, returns = (readings.get(meter_id, NONE) for meter_id in loop.meters)
    supply = runs_of(entries[loop.supply], supplies)
    back = runs_of(entries[loop.returning], returns)
    known = common(joined(run.span for run in supply), joined(run.span for run in back))
    stretches = []
    for pieces in _flows(entries[loop.flow], flows):
        ts_us = np.array([at for at, _ in pieces], np.int64)
        for begin, end in common(known, [(int(ts_us[0]), int(ts_us[-1]))]):
            cold, warm = covering(supply, begin, end), covering(back, begin, end)
            if cold is not None and warm is not None:
                stretches.append(
                    _carried((begin, end), ts_us, [one for _, one in pieces], cold, warm, loop)
                )
    return Course(stretches)


_Pieces = list[tuple[int, _Flow]]
"""The stamp at which each piece begins, and its flow; the last one only says where all end."""


def _flows(entries: Timeline[Meter], readings: Readings) -> Iterator[_Pieces]:
    """Yield runs of flow: of a momentary meter, or of what a water meter counted."""
    if not entries.spans:
        return
    if entries.spans[0].value.quantity == "volume":
        yield from _counted(entries, readings)
        return
    for run in runs_of(entries, readings):
        yield [*_momentary(run)]


def _momentary(run: Run) -> Iterator[tuple[int, _Flow]]:
    stamps, values, errors = run.ts_us.tolist(), run.values.tolist(), run.errors.tolist()
    for at, begin, end, *off in zip(
        stamps, values, [*values[1:], values[-1]], errors, [*errors[1:], errors[-1]], strict=True
    ):
        error = off[0] if off[0] >= off[1] or math.isnan(off[0]) else off[1]
        low, high = min(begin, end) - error, max(begin, end) + error
        # The other way round nothing flows: a meter that shows less than nothing shows nothing.
        yield at, _Flow(begin, end, low if math.isnan(low) else max(low, 0.0), high)


def _counted(entries: Timeline[Meter], readings: Readings) -> Iterator[_Pieces]:
    course = course_of(entries, readings)
    for begin, end in course.known:
        stamps = [begin]
        for at in readings.ts_us.tolist():
            if stamps[-1] + _LEAST_PIECE_US <= at < end:
                stamps.append(at)
        pieces: _Pieces = []
        for first, last in zip(stamps, [*stamps[1:], end], strict=True):
            grown, seconds = course.amount(first, last), (last - first) / 1e6
            low = math.nan if grown.low is None else grown.low / seconds
            high = math.nan if grown.high is None else grown.high / seconds
            mean = grown.value / seconds
            pieces.append((first, _Flow(mean, mean, low, high)))
        yield [*pieces, (end, pieces[-1][1])]


def _carried(
    span: Interval, ts_us: Array, flows: list[_Flow], cold: Run, warm: Run, loop: Loop
) -> Carried:
    """Return the stretch of heat of a time in which all three meters are known."""
    every = np.unique(np.concatenate([ts_us, cold.ts_us, warm.ts_us]))
    stamps = inside(every, *span)
    # The piece of flow that each new piece lies in, and where in it.
    within = np.minimum(np.searchsorted(ts_us, stamps[:-1], "right") - 1, len(ts_us) - 2)
    table = np.array(flows, np.float64)[within]
    begins, lengths = ts_us[within], ts_us[within + 1] - ts_us[within]
    ends = [
        table[:, 0] + (table[:, 1] - table[:, 0]) * ((edge - begins) / lengths)
        for edge in (stamps[:-1], stamps[1:])
    ]
    return Carried(
        stamps,
        np.stack(ends, axis=1),
        table[:, 2:],
        cold.at(stamps) / _MK_PER_K,
        warm.at(stamps) / _MK_PER_K,
        (cold.error() + warm.error()) / _MK_PER_K,
        COOLANTS[loop.coolant],
    )
