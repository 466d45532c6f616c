"""The power of places by the meters that stand at them.

In: the meters over time, and their courses. Out: `MeteredPlace`s. Of a momentary power the value
counts, between readings a line; of a register that counts, the mean power between two readings.

A place is metered if a meter of IT electricity (`rack_in`, `pdu_out`, `it`) is at it, or if each of
its parts is metered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tokenergy_sql.metering.amount import Amount, total
from tokenergy_sql.metering.course import Course
from tokenergy_sql.metering.intervals import Interval, common, length
from tokenergy_sql.metering.stretch import Bridge, Counted, Held
from tokenergy_sql.places import Meter, MeterTree, Place
from tokenergy_sql.places.roles import ELECTRICAL
from tokenergy_sql.places.tree import Spot
from tokenergy_sql.places.units import BILLION
from tokenergy_sql.standing.grid import STEP_US, Array, Grid
from tokenergy_sql.standing.power import Slots

ROLES = frozenset({"rack_in", "pdu_out", "it"})

Times = Sequence[tuple[int, int, tuple[Meter, ...]]]
"""First slot, the one after the last, and the meters of a place in them."""


@dataclass(frozen=True, slots=True)
class MeteredPlace:
    """What meters say of a place.

    Attributes:
        slots: its power.
        covered_us: time for which all its meters are known.
        amount: energy of that time, nJ; None: no time.
        longest_us: longest time between two readings.
        missing: ids of meters that are not known in all of it.
    """

    slots: Slots
    covered_us: int
    amount: Amount | None
    longest_us: int
    missing: frozenset[str]


def meters_of(spot: Spot, meters: MeterTree) -> tuple[Meter, ...]:
    """Return the meters whose sum is a place's power; none if it is not metered."""
    at = [one for one in meters.at_place(spot.place) if one.quantity in ELECTRICAL]
    if own := tuple(meters.counted(ROLES, at)):
        return own
    parts = [meters_of(part, meters) for part in spot.parts]
    return tuple(one for of_part in parts for one in of_part) if all(parts) else ()


def all_metered(root: Spot, meters: MeterTree) -> dict[Place, tuple[Meter, ...]]:
    """Return the meters of each place of which there are some."""
    found = {spot.place: meters_of(spot, meters) for spot in root.walk() if spot.parts}
    return {place: of_place for place, of_place in found.items() if of_place}


@dataclass
class Powers:
    """The powers of meters on a grid; each is worked out once.

    Args:
        courses: of the meters.
        grid: the slots.
    """

    courses: Mapping[str, Course]
    grid: Grid
    _known: dict[str, tuple[Array, Array]] = field(default_factory=dict)

    def of(self, meter_id: str) -> tuple[Array, Array]:
        """Return what a meter adds to the mean of each slot's cell (mW), and where it is known."""
        if meter_id not in self._known:
            course = self.courses.get(meter_id, Course())
            self._known[meter_id] = _on_grid(course, self.grid)
        return self._known[meter_id]

    def place(self, times: Times) -> MeteredPlace:
        """Return what the meters of a place say."""
        grid = self.grid
        slots = Slots(*(np.zeros(len(grid), dtype) for dtype in (np.int64, np.bool_, np.bool_)))
        covered: list[Interval] = []
        amounts: list[Amount] = []
        missing: set[str] = set()
        longest_us = 0
        for first, last, meters in times:
            slots.present[first:last] = True
            whole = int(grid.edges[first]), int(grid.edges[last])
            known: Sequence[Interval] = [whole]
            for one in meters:
                power_mw, there = self.of(one.id)
                slots.power_mw[first:last] += power_mw[first:last]
                slots.unknown[first:last] |= ~there[first:last]
                own = common([whole], self.courses.get(one.id, Course()).known)
                missing |= {one.id} if length(own) < length([whole]) else set()
                known = common(known, own)
                longest_us = max(longest_us, _longest(self.courses.get(one.id), whole))
            covered += known
            amounts += [self.courses[one.id].amount(*part) for part in known for one in meters]
        amount = total(amounts) if amounts else None
        return MeteredPlace(slots, length(covered), amount, longest_us, frozenset(missing))


def _longest(course: Course | None, interval: Interval) -> int:
    stamps = [_stamps(one) for one in course.stretches] if course else []
    near = [ts[np.searchsorted(ts, interval[0], "right") - 1 :] for ts in stamps if len(ts)]
    steps = [np.diff(ts[ts <= interval[1]]).max(initial=0) for ts in near]
    return int(max(steps, default=0))


def _stamps(stretch: object) -> Array:
    if isinstance(stretch, Counted | Held):
        return stretch.ts_us
    return np.array(stretch.span if isinstance(stretch, Bridge) else (), np.int64)


def _on_grid(course: Course, grid: Grid) -> tuple[Array, Array]:
    x, y, base = [np.zeros(0)], [np.zeros(0)], 0.0
    for stretch in course.stretches:
        ts_us, sums = _running(stretch)
        x.append(ts_us - grid.hour_us)
        y.append(sums + base)
        base += float(sums[-1])
    at, sums = np.concatenate(x), np.concatenate(y)
    edges = grid.edges - grid.hour_us
    if not len(at):
        return np.zeros(len(grid), np.int64), np.zeros(len(grid), np.bool_)
    known = np.zeros(len(grid), np.bool_)
    for from_us, until_us in course.known:
        known |= (grid.edges[:-1] >= from_us) & (grid.edges[1:] <= until_us)
    counted_nj = np.diff(np.interp(edges, at, sums))
    return np.where(known, np.rint(counted_nj / STEP_US), 0).astype(np.int64), known


def _running(stretch: object) -> tuple[Array, Array]:
    """Return the stamps of a stretch, and what it counted up to each: nJ."""
    if isinstance(stretch, Bridge):
        return np.array(stretch.span), np.array([0.0, float(stretch.whole.value)])
    assert isinstance(stretch, Counted | Held)  # noqa: S101  # there are no others
    values = (stretch.values - stretch.values[0]).astype(np.float64)
    unit = float(stretch.register.per_count / BILLION)
    if isinstance(stretch, Counted):
        return stretch.ts_us, values * unit
    held = (values + float(stretch.values[0])) * unit * float(stretch.per_us)
    means = (held[1:] + held[:-1]) / 2 * np.diff(stretch.ts_us)
    return stretch.ts_us, np.concatenate([[0.0], np.cumsum(means)])
