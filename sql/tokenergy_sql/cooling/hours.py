"""What meters say of cooling, hour by hour: heat to liquid beside IT energy, weather, power.

In: places, their loops and meters, readings of a day. Out: for each place and hour the sums over
the time in which both heat and IT energy are known, mean temperatures, and power by role.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.cooling.declared import Declared, Loop, counted, of_equipment
from tokenergy_sql.cooling.heat import heat_of
from tokenergy_sql.cooling.traces import Run, runs_of, time_integral
from tokenergy_sql.metering.amount import Amount, total
from tokenergy_sql.metering.course import Course, course_of
from tokenergy_sql.metering.intervals import Interval, common, length
from tokenergy_sql.metering.readings import NONE, by_meter
from tokenergy_sql.metering.stale import without_stale
from tokenergy_sql.metering.sums import Moment
from tokenergy_sql.places import SITE, Meter, MeterTree, Place, Places, Tree
from tokenergy_sql.places.timeline import Timeline

if TYPE_CHECKING:
    import pyarrow as pa

Read = Callable[[Sequence[str], int, int], "pa.Table"]
"""Returns raw rows (`meter_id`, `ts_us`, `value_n`) of some meters in an interval."""

_DAY_US = 24 * HOUR_US

POWERS = {"chiller": ("chiller",), "pump": ("pump", "cdu"), "fan": ("fan",), "tower": ("tower",)}
"""Machines of the model, and the roles of the meters that they have."""

WEATHER = ("outdoor_temp", "humidity")


@dataclass(frozen=True, slots=True)
class CoolingHour:
    """What meters say of the cooling of a place in an hour.

    Attributes:
        hour_us: its start.
        place: the place.
        loops: how many loops take heat from the equipment of the place; see `of_equipment`.
        own_loops: how many loops of any kind it has; of the site without those of its halls.
        heat, it: heat to liquid and IT energy, nJ, in the time in which both are known; None: at no
            time, or the place lacks one of them.
        covered_us: that time.
        missing: ids of meters that leave out some of the hour.
        means: over time, with how long that is known: `outdoor_temp`, `humidity`, `supply_temp`;
            base units x us, and us.
        power_nj: of `POWERS`, of `it`, of `liquid` (the heat of `loops`) and of `heat` (of all
            loops), only where it is known for the whole hour; machines of the site are those that
            stand in no hall.
        machines: those of `POWERS` that have a meter.
    """

    hour_us: int
    place: Place
    loops: int = 0
    own_loops: int = 0
    heat: Amount | None = None
    it: Amount | None = None
    covered_us: int = 0
    missing: tuple[str, ...] = ()
    means: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    power_nj: Mapping[str, int] = field(default_factory=dict)
    machines: frozenset[str] = frozenset()

    def mean(self, name: str) -> float | None:
        """Return a mean over time in base units; None if it is known at no time."""
        total_, known_us = self.means.get(name, (0.0, 0))
        return total_ / known_us if known_us else None


@dataclass(frozen=True, slots=True)
class _Day:
    """What is known of a part of a day within which no entry changes."""

    interval: Interval
    tree: Tree
    meters: MeterTree
    moment: Moment
    loops: list[Loop]
    liquid: list[Loop]
    courses: Mapping[str, Course]
    heats: Mapping[Loop, Course]
    traces: Mapping[str, list[Run]]


def cooling_hours(
    places: Places,
    declared: Declared,
    read: Read,
    wanted: Iterable[Place],
    hours: Iterable[int],
    powers: bool = False,
) -> Iterator[CoolingHour]:
    """Yield what meters say of the cooling of places, hour by hour.

    Args:
        places: with their meters.
        declared: with their loops.
        read: returns readings.
        wanted: the places.
        hours: starts of hours, microseconds UTC.
        powers: whether `power_nj` is wanted too.

    An hour within which places, meters or loops change is of its parts: amounts add up.
    """
    wanted = [*wanted]
    for first_us, of_day in _by_day(hours):
        until_us = of_day[-1] + HOUR_US
        edges = [first_us, *_edges(places, declared, first_us, until_us), until_us]
        days = [
            _day(places, declared, read, (begin, end), powers) for begin, end in pairwise(edges)
        ]
        for hour_us in of_day:
            hour = hour_us, hour_us + HOUR_US
            parts = [(day, common([hour], [day.interval])) for day in days]
            for place in wanted:
                found = [_part(day, place, part[0], powers) for day, part in parts if part]
                yield _joined(hour_us, place, found)


def _by_day(hours: Iterable[int]) -> Iterator[tuple[int, list[int]]]:
    """Yield the hours of each day, and the first of them."""
    days: dict[int, list[int]] = {}
    for hour_us in sorted({*hours}):
        days.setdefault(hour_us // _DAY_US, []).append(hour_us)
    for of_day in days.values():
        yield of_day[0], of_day


def _edges(places: Places, declared: Declared, from_us: int, until_us: int) -> list[int]:
    own = {
        edge
        for timeline in declared.entries.values()
        for span in timeline.spans
        for edge in (span.from_us, span.until_us)
        if from_us < edge < until_us
    }
    return sorted(own | {*places.edges(from_us, until_us)})


def _day(places: Places, declared: Declared, read: Read, interval: Interval, powers: bool) -> _Day:
    tree, meters = places.at(interval[0]), places.meters.at(interval[0])
    moment = Moment(tree, meters)
    loops = declared.loops(tree, meters, interval[0])
    roles = {role for of in POWERS.values() for role in of} if powers else set()
    counts = {
        one.id for one in meters.meters.values() if one.rules.sum == "it" or one.role in roles
    }
    traced = {one.id for one in meters.meters.values() if one.role in WEATHER}
    traced |= {loop.supply for loop in loops}
    ids = sorted({*counts, *traced, *(one for loop in loops for one in loop.meters)})
    rows = read(ids, interval[0] - HOUR_US, interval[1] + HOUR_US) if ids else None
    found = {} if rows is None else without_stale(dict(by_meter(rows)), meters)[0]
    entries: dict[str, Timeline[Meter]] = {one: places.meters.by_id[one] for one in ids}
    return _Day(
        interval,
        tree,
        meters,
        moment,
        loops,
        of_equipment(loops, declared, tree, interval[0]),
        {one: course_of(entries[one], found[one]) for one in counts if one in found},
        {loop: heat_of(loop, entries, found) for loop in loops},
        {one: runs_of(entries[one], found.get(one, NONE)) for one in traced},
    )


def _part(day: _Day, place: Place, interval: Interval, powers: bool) -> CoolingHour:
    """Return what is known of a place in an interval within which nothing changes."""
    loops, every = (counted(of, day.tree, place) for of in (day.liquid, day.loops))
    heats = [day.heats[loop] for loop in loops]
    it = [one.id for one in day.moment.sums_of(place).meters.get("it", ())]
    its = [day.courses.get(one, Course()) for one in it]
    names = [*(f"loop:{loop.flow}" for loop in loops), *it]
    named = zip(names, [*heats, *its], strict=True)
    missing = sorted(name for name, one in named if common([interval], one.known) != [interval])
    known = _known(interval, [*heats, *its]) if heats and its else []
    machines = _machines(day, place) if powers else {}
    sums = {"liquid": heats, "heat": [day.heats[loop] for loop in every], "it": its}
    return CoolingHour(
        interval[0],
        place,
        len(loops),
        sum(place != SITE or loop.place == SITE for loop in every),
        _amount(heats, known),
        _amount(its, known),
        length(known),
        tuple(missing) if heats else (),
        {**_weather(day, place, interval), **_supply(day, every, interval)},
        _powers({**machines, **sums}, interval) if powers else {},
        frozenset(name for name, of in machines.items() if of),
    )


def _known(interval: Interval, courses: Sequence[Course]) -> list[Interval]:
    known = [interval]
    for one in courses:
        known = common(known, one.known)
    return known


def _amount(courses: Sequence[Course], known: Sequence[Interval]) -> Amount | None:
    if not known:
        return None
    return total(one.amount(*part) for one in courses for part in known)


def _weather(day: _Day, place: Place, interval: Interval) -> dict[str, tuple[float, int]]:
    """Return the outdoor means: of the meter nearest to the place, the first one by its id."""
    path = day.tree.path(place)
    found = {}
    for role in WEATHER:
        near = [
            (-path.index(one.place), one.id)
            for one in day.meters.meters.values()
            if one.role == role and one.place in path
        ]
        if near:
            found[role] = time_integral(day.traces[min(near)[1]], interval)
    return found


def _supply(day: _Day, loops: Sequence[Loop], interval: Interval) -> dict[str, tuple[float, int]]:
    means = [time_integral(day.traces[loop.supply], interval) for loop in loops]
    if not means:
        return {}
    return {"supply_temp": (sum(one for one, _ in means), sum(known for _, known in means))}


def _machines(day: _Day, place: Place) -> dict[str, list[Course]]:
    """Return the courses of the meters of each machine of a place."""
    # What stands in a hall cools the hall: its heat is not that of the site.
    inside = [
        one
        for one in day.meters.meters.values()
        if place in day.tree.path(one.place) and (place != SITE or one.place == SITE)
    ]
    return {
        name: [day.courses.get(one.id, Course()) for one in day.meters.counted(roles, inside)]
        for name, roles in POWERS.items()
    }


def _powers(courses: Mapping[str, Sequence[Course]], interval: Interval) -> dict[str, int]:
    """Return the energy of what is known in all of an interval, nJ."""
    return {
        name: total(one.amount(*interval) for one in of).value
        for name, of in courses.items()
        if of and _known(interval, of) == [interval]
    }


def _joined(hour_us: int, place: Place, parts: Sequence[CoolingHour]) -> CoolingHour:
    """Return an hour from its parts: amounts and times add up."""
    if len(parts) == 1:
        return parts[0]
    heats = [one.heat for one in parts if one.heat is not None]
    its = [one.it for one in parts if one.it is not None]
    names = {name for one in parts for name in one.means}
    machines = [{*one.power_nj} for one in parts]
    return CoolingHour(
        hour_us,
        place,
        max((one.loops for one in parts), default=0),
        max((one.own_loops for one in parts), default=0),
        total(heats) if heats else None,
        total(its) if its else None,
        sum(one.covered_us for one in parts),
        tuple(sorted({name for one in parts for name in one.missing})),
        {
            name: (
                sum(one.means.get(name, (0.0, 0))[0] for one in parts),
                sum(one.means.get(name, (0.0, 0))[1] for one in parts),
            )
            for name in names
        },
        {
            name: sum(one.power_nj[name] for one in parts)
            for name in (set.intersection(*machines) if machines else ())
        },
        frozenset().union(*(one.machines for one in parts)),
    )


def column(hours: Sequence[CoolingHour], name: str) -> np.ndarray:
    """Return the mean power of a machine in each hour, kW (n,); NaN where it is unknown."""
    per_kw = 3.6e15
    return np.array([one.power_nj.get(name, np.nan) / per_kw for one in hours], np.float64)
