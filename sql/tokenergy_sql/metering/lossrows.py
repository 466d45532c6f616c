"""The rows of `site_part` of declared losses: what each lost in an hour, and whether it adds.

In: the places, the parts of the hour, courses. Out: rows, without their hour and version.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.metering.amount import Amount, total
from tokenergy_sql.metering.course import Course
from tokenergy_sql.metering.figures import CURVE, Moments
from tokenergy_sql.metering.intervals import Interval, common, length
from tokenergy_sql.metering.losscourse import ABOVE, BELOW
from tokenergy_sql.places import SITE, Loss, Places

_UNKNOWN = {ABOVE, BELOW}


def loss_rows(
    places: Places, moments: Moments, courses: Mapping[str, Course], interval: Interval
) -> Iterator[dict[str, Any]]:
    """Yield a row for each declared loss that holds in some of the hour, by name."""
    if not places.losses:
        return
    added = {name for _, moment in moments for name in moment.sums_of(SITE).curves}
    for name, losses in sorted(places.losses.items()):
        entries = [span.value for span in losses.within(*interval)]
        if entries:
            course = courses.get(f"{CURVE}{name}", Course())
            yield _row(name, entries, course, courses, interval) | {"added": name in added}


def _row(
    name: str,
    entries: list[Loss],
    course: Course,
    courses: Mapping[str, Course],
    interval: Interval,
) -> dict[str, Any]:
    known = common([interval], course.known)
    lost = total(course.amount(*part) for part in known) if known else None
    meters = sorted({one for loss in entries for one in loss.between})
    load = {one: _load(courses.get(one), known) for one in meters}
    inputs = {
        "meters": {one: nj for one, nj in load.items() if nj is not None},
        "points_mw": entries[-1].points_mw,
        "accuracy_percent": None if entries[-1].percent is None else float(entries[-1].percent),
    }
    return part_row(
        str(entries[-1].place),
        "loss",
        name,
        "modelled",
        length(known),
        lost,
        inputs,
        {*_reasons(course, lost, entries, interval)},
    )


def _load(course: Course | None, known: list[Interval]) -> int | None:
    """Return what a meter counted while the loss is known, nJ; None if that is not known."""
    if course is None or not known or common(known, course.known) != known:
        return None
    return total(course.amount(*part) for part in known).value


def _reasons(
    course: Course, lost: Amount | None, entries: list[Loss], interval: Interval
) -> Iterator[str]:
    for when, why in course.doubts:
        if common([when], [interval]):
            yield why if why in _UNKNOWN else "gap"
    if length(common([interval], course.known)) < HOUR_US and not course.doubts:
        yield "gap"
    if lost is not None and lost.high is None:
        yield "no_curve_accuracy" if any(loss.percent is None for loss in entries) else "no_bounds"


def part_row(
    place: str,
    part: str,
    name: str,
    method: str,
    covered_us: int,
    energy: Amount | None,
    inputs: Mapping[str, Any],
    reasons: set[str],
) -> dict[str, Any]:
    """Return a row of `site_part`, without `added`, its hour and version."""
    value, low, high = energy or (None, None, None)
    return {
        "place": place,
        "part": part,
        "name": name,
        "method": method,
        "covered_us": covered_us,
        "energy_nj": value,
        "low_nj": low,
        "high_nj": high,
        "inputs": json.dumps(inputs, sort_keys=True, ensure_ascii=False),
        "reasons": ",".join(sorted(reasons)) or None,
    }
