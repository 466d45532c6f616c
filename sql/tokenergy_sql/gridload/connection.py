"""The load of the grid connection by the site's own meters, as finely as they are read.

In: the meters of what the site takes in, as the site file has them, and their readings. Out: a
course. It is measured, not modelled: cooling, losses and all else behind the meters are in it. Its
cells are no shorter than the slowest meter's readings are apart, so what is faster is not shown.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.index.site import load_site
from tokenergy_sql.metering.course import Course
from tokenergy_sql.metering.hour import courses_of
from tokenergy_sql.places import Places
from tokenergy_transforms.batch import I64
from tokenergy_transforms.loadprofile.figures import Bools
from tokenergy_transforms.loadprofile.loadcourse import LoadCourse

_STEPS_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600)


@dataclass(frozen=True, slots=True)
class _Hour:
    hour_us: int
    meters: dict[str, int]
    courses: dict[str, Course]


def metered_course(
    lake: Lake, group_id: str, from_us: int, until_us: int, step_us: int | None = None
) -> LoadCourse | None:
    """Return the load of a site's grid connection by its meters; None if nothing measures it.

    Args:
        lake: where to read; it must have been indexed.
        group_id: the site, which names the load.
        from_us: start of the span, microseconds UTC.
        until_us: its end.
        step_us: size of a cell; a smaller one than the meters' spacing is raised to that.

    Raises:
        UserError: the site file or a file of the lake cannot be read.
    """
    places = load_site(None, lake.root).places
    hours = [
        found
        for hour_us in range(from_us // HOUR_US * HOUR_US, until_us, HOUR_US)
        if (found := _hour(lake, places, hour_us)) is not None
    ]
    if not hours:
        return None
    spacing_us = max(_spacing_us(course) for hour in hours for course in _used(hour))
    period_us = max(spacing_us, *(_average_us(lake, hour) for hour in hours))
    least_us = max(period_us, step_us or 0)
    fitting = [s * 1_000_000 for s in _STEPS_S if s * 1_000_000 >= least_us]
    step_us = fitting[0] if fitting else HOUR_US
    first, last = -(-from_us // step_us), until_us // step_us
    energy_nj, known = np.zeros(last - first, np.int64), np.zeros(last - first, np.bool_)
    for hour in hours:
        _fill(hour, first, step_us, energy_nj, known)
    meters = {name for hour in hours for name in hour.meters}
    emulated = _is_emulated(lake)
    reasons = {"metered_connection"} | (set() if known.any() else {"no_cells"})
    return LoadCourse(
        "site",
        group_id,
        first * step_us,
        step_us,
        energy_nj,
        known,
        period_us,
        0.5e6 / max(period_us, step_us),
        len(meters),
        len(meters),
        "connection",
        emulated,
        tuple(sorted(reasons)),
        covered_us=int(known.sum()) * step_us,
        held_us=max(len(known) * step_us, 1),
        as_of_us=max(span[1] for hour in hours for c in _used(hour) for span in c.known),
    )


def _hour(lake: Lake, places: Places, hour_us: int) -> _Hour | None:
    """Return the meters of what the site takes in, with their signs, if they are read."""
    columns = ["place", "figure", "above_meters"]
    for row in lake.read("site_hour", [hour_us], columns=columns).to_pylist():
        if (row["place"], row["figure"]) == ("site", "facility"):
            meters = json.loads(row["above_meters"])
            courses = courses_of(lake, places, hour_us)
            there = all(name in courses and courses[name].known for name in meters)
            return _Hour(hour_us, meters, courses) if meters and there else None
    return None


def _used(hour: _Hour) -> list[Course]:
    return [hour.courses[name] for name in hour.meters]


def _spacing_us(course: Course) -> int:
    """Return how far apart a meter's readings are, usually."""
    found = []
    for stretch in course.stretches:
        ts_us = getattr(stretch, "ts_us", None)
        if ts_us is not None:
            found += [later - sooner for sooner, later in pairwise(ts_us.tolist())]
        else:
            found.append(stretch.span[1] - stretch.span[0])
    return int(np.median(found))


def _average_us(lake: Lake, hour: _Hour) -> int:
    """Return the longest time over which a meter says that it averages; 0 if none does."""
    rows = lake.read("meter", [hour.hour_us], columns=["meter_id", "average_us"]).to_pylist()
    return max(
        (row["average_us"] or 0 for row in rows if row["meter_id"] in hour.meters), default=0
    )


def _fill(hour: _Hour, first: int, step_us: int, energy_nj: I64, known: Bools) -> None:
    """Fill the cells of one hour in which all its meters are known."""
    for cell in range(hour.hour_us // step_us, (hour.hour_us + HOUR_US) // step_us):
        if not 0 <= cell - first < len(known):
            continue
        a, b = cell * step_us, (cell + 1) * step_us
        if all(_knows(course, a, b) for course in _used(hour)):
            amounts = (
                sign * hour.courses[name].amount(a, b).value for name, sign in hour.meters.items()
            )
            energy_nj[cell - first] = sum(int(amount) for amount in amounts)
            known[cell - first] = True


def _knows(course: Course, from_us: int, until_us: int) -> bool:
    return any(span[0] <= from_us and until_us <= span[1] for span in course.known)


def _is_emulated(lake: Lake) -> bool:
    rows = lake.read("device", columns=["emulated"])
    return bool(np.any(rows["emulated"].to_numpy(zero_copy_only=False)))
