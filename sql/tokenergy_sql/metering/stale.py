"""Values that stand still while their neighbours move: a gateway that serves an old value as fresh.

In: the readings of all meters around an hour, and which meters stand above, below and beside which.
Out: readings without the repeated ones, and from when to when they were left out. A momentary value
then has a gap there; of a register that counts, what it counted meanwhile is known only as a whole.

Two things are evidence, and nothing else is, as a pump may well draw the same all day:

- a momentary value that usually changes from one reading to the next did not, six times or more and
  for a minute or more, while a neighbour went on changing;
- a register did not move while the registers directly below it together moved by more than two of
  its steps: what they counted went through it. A register below that has another meter above it too
  says nothing: a generator stands still while the grid supplies what both feed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import chain

import numpy as np

from tokenergy_sql.metering.intervals import Interval
from tokenergy_sql.metering.readings import Array, Readings
from tokenergy_sql.places import Meter, MeterTree
from tokenergy_sql.places.units import BILLION, CUMULATIVE

_LEAST_US = 60_000_000
_LEAST_PAIRS = 6
_OUTSIDE = 10
"""Pairs of readings outside of a run that say whether a value usually changes."""
_BESIDE = 3
"""Pairs of readings of a neighbour that say whether it changes meanwhile."""
_USUALLY = 0.5

Stale = dict[str, list[Interval]]
"""By meter: from the first of some repeated readings to the first one that differs, or the last."""


def without_stale(
    readings: Mapping[str, Readings], meters: MeterTree
) -> tuple[dict[str, Readings], Stale]:
    """Return the readings without stale ones, and where these were.

    Args:
        readings: by meter.
        meters: as of the hour; one that is not there has no neighbours.
    """
    found: dict[str, Readings] = {}
    stale: Stale = {}
    for meter_id, own in readings.items():
        meter = meters.meters.get(meter_id)
        runs = [*_stale_runs(meter, own, readings, meters)] if meter else []
        keep = np.ones(len(own), bool)
        for begin, end in runs:
            keep[begin + 1 : end + 1] = False
            until = min(end + 1, len(own) - 1)
            span = int(own.ts_us[begin]), int(own.ts_us[until])
            stale.setdefault(meter_id, []).append(span)
        found[meter_id] = own.chosen(keep) if runs else own
    return found, stale


def _stale_runs(
    meter: Meter, own: Readings, readings: Mapping[str, Readings], meters: MeterTree
) -> Iterator[tuple[int, int]]:
    """Yield the first and the last place of each run of stale readings."""
    same = own.values[1:] == own.values[:-1]
    runs = [run for run in _runs(same) if own.ts_us[run[1]] - own.ts_us[run[0]] >= _LEAST_US]
    if not runs:
        return
    if meter.quantity in CUMULATIVE:
        fed = (one for one in meters.below(meter.id) if [*meters.above(one)] == [meter.id])
        below = [meters.meters[one] for one in fed]
        below = [one for one in below if one.quantity == meter.quantity and one.id in readings]
        step = 2 * meter.register.resolution * meter.register.per_count
        for begin, end in runs:
            interval = int(own.ts_us[begin]), int(own.ts_us[end])
            moved = sum((_moved(one, readings[one.id], interval) for one in below), Fraction(0))
            if moved > step:
                yield begin, end
        return
    for begin, end in runs:
        outside = np.concatenate([same[:begin], same[end:]])
        usually = len(outside) >= _OUTSIDE and np.mean(~outside) >= _USUALLY
        if usually and end - begin >= _LEAST_PAIRS:
            interval = int(own.ts_us[begin]), int(own.ts_us[end])
            beside = (readings[one] for one in _neighbours(meter, meters) if one in readings)
            if any(_changes(one, interval) for one in beside):
                yield begin, end


def _runs(same: Array) -> Iterator[tuple[int, int]]:
    """Yield the places of the first and the last reading of each run of equal ones."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same.astype(bool), [False]])))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _moved(meter: Meter, own: Readings, interval: Interval) -> Fraction:
    """Return what a register counted between its readings of an interval; 0 if it is in doubt."""
    begin, end = np.searchsorted(own.ts_us, (interval[0], interval[1] + 1)).tolist()
    values = own.values[begin:end]
    if len(values) < 2 or np.any(np.diff(values) < 0):
        return Fraction(0)
    return int(values[-1] - values[0]) * meter.register.per_count / BILLION


def _neighbours(meter: Meter, meters: MeterTree) -> Iterable[str]:
    """Return the meters directly above and below one, those beside it, and those of its place."""
    above = meters.above(meter.id)
    beside = chain.from_iterable(meters.below(one) for one in above)
    there = (one.id for one in meters.at_place(meter.place))
    return sorted({*above, *meters.below(meter.id), *beside, *there} - {meter.id})


def _changes(own: Readings, interval: Interval) -> bool:
    """Return whether a meter usually changes in an interval from one reading to the next."""
    begin, end = np.searchsorted(own.ts_us, (interval[0], interval[1] + 1)).tolist()
    values = own.values[begin:end]
    return len(values) > _BESIDE and bool(np.mean(values[1:] != values[:-1]) >= _USUALLY)
