"""The rows of `meter_hour` and `site_hour` of an hour.

In: a lake, the site's places and meters. Out: rows, as the contract has them.

Readings of the hours before and after are read too: what a register counted between the last
reading of one hour and the first of the next is shared by time. A meter that was not read for
longer than an hour is not known across that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US, METER_HOUR, SITE_HOUR, SITE_PART
from tokenergy_sql.metering.amount import Amount, total
from tokenergy_sql.metering.course import Course, course_of
from tokenergy_sql.metering.figures import CURVE, Figure, Moments, figures_of, moments_of
from tokenergy_sql.metering.intervals import Interval, common, length
from tokenergy_sql.metering.losscourse import loss_course
from tokenergy_sql.metering.lossrows import loss_rows
from tokenergy_sql.metering.outside import outside_figures
from tokenergy_sql.metering.readings import NONE, Readings, by_meter
from tokenergy_sql.metering.stale import Stale, without_stale
from tokenergy_sql.places import SITE, Meter, Place, Places, continued
from tokenergy_sql.places.place import Kind
from tokenergy_sql.places.timeline import Timeline
from tokenergy_sql.places.units import BASE, BILLION, Quantity
from tokenergy_sql.signals.known import HourSignals

if TYPE_CHECKING:
    import pyarrow as pa

_UNITS = {**BASE, "power": BASE["energy"], "flow": BASE["volume"]}
"""Units of what meters count; of quantities that count nothing, those of their values."""

_PER_S: dict[Quantity, int] = {"energy": 1, "volume": 1, "power": 1_000_000, "flow": 1}
"""What a base unit counts: of a sum once, of a momentary value each second (1 mW: 1,000,000 nJ)."""

_NO_SIGNALS = HourSignals()

_KINDS: tuple[Kind, ...] = ("hall", "module")
"""Kinds of place, besides the site, that have figures."""


@dataclass(frozen=True, slots=True)
class HourRows:
    """Rows of an hour.

    Attributes:
        meters: of `meter_hour`.
        site: of `site_hour`.
        parts: of `site_part`: of the declared losses.
        courses: of the meters, around the hour; of declared losses too, as `loss:NAME`.
        moments: the parts of the hour.
    """

    meters: pa.Table
    site: pa.Table
    parts: pa.Table
    courses: Mapping[str, Course]
    moments: Moments


def hour_rows(
    lake: Lake,
    places: Places,
    hour_us: int,
    version: str,
    signals: HourSignals = _NO_SIGNALS,
) -> HourRows:
    """Return the rows of an hour; none if the site file declares no meters.

    Args:
        lake: the lake.
        places: with their meters.
        hour_us: start of the hour, microseconds UTC.
        version: of the models.
        signals: of the grid, in the hour.
    """
    import pyarrow as pa

    interval = hour_us, hour_us + HOUR_US
    meters = _meters(places, interval)
    readings, stale = _readings(lake, places, hour_us) if meters else ({}, {})
    courses = _courses(meters, readings)
    courses |= _lost(places, courses, interval)
    of_hour = {"hour_us": hour_us, "index_version": version}
    meter_rows = [
        _of_meter(
            meter_id,
            entries,
            courses.get(meter_id),
            readings.get(meter_id, NONE),
            stale.get(meter_id, []),
            interval,
        )
        | of_hour
        for meter_id, entries in meters.items()
    ]
    moments = moments_of(places, interval) if meters else []
    site_rows = [
        {**row, **of_hour}
        for place in (_places(places, interval) if meters else ())
        for row in _of_place(place, moments, courses, signals)
    ]
    losses = [row | of_hour for row in loss_rows(places, moments, courses, interval)]
    return HourRows(
        pa.Table.from_pylist(meter_rows, schema=METER_HOUR.schema()),
        pa.Table.from_pylist(site_rows, schema=SITE_HOUR.schema()),
        pa.Table.from_pylist(losses, schema=SITE_PART.schema()),
        courses,
        moments,
    )


def _lost(places: Places, courses: Mapping[str, Course], interval: Interval) -> dict[str, Course]:
    """Return the courses of the declared losses that hold in some of an interval."""
    return {
        f"{CURVE}{name}": loss_course(losses, places.meters, courses)
        for name, losses in places.losses.items()
        if any(losses.within(*interval))
    }


def courses_of(lake: Lake, places: Places, hour_us: int) -> dict[str, Course]:
    """Return the course of each meter near an hour, by its id; of those that were read."""
    meters = _meters(places, (hour_us, hour_us + HOUR_US))
    return _courses(meters, _readings(lake, places, hour_us)[0]) if meters else {}


def _meters(places: Places, interval: Interval) -> dict[str, Timeline[Meter]]:
    """Return the meters that are there in some of an interval."""
    return {
        meter_id: entries
        for meter_id, entries in places.meters.by_id.items()
        if any(entries.within(*interval))
    }


def _courses(
    meters: Mapping[str, Timeline[Meter]], readings: Mapping[str, Readings]
) -> dict[str, Course]:
    return {
        meter_id: course_of(entries, readings[meter_id])
        for meter_id, entries in meters.items()
        if meter_id in readings
    }


def _readings(lake: Lake, places: Places, hour_us: int) -> tuple[dict[str, Readings], Stale]:
    """Return the readings of each meter: of the hour, the last before and the first after it.

    And those times for which readings were left out.
    """
    near = [hour_us - HOUR_US, hour_us, hour_us + HOUR_US]
    rows = lake.read("meter", near, columns=["meter_id", "ts_us", "value_n"])
    fresh, stale = without_stale(dict(by_meter(rows)), places.meters.at(hour_us))
    end_us = hour_us + HOUR_US
    return {meter_id: found.around(hour_us, end_us) for meter_id, found in fresh.items()}, stale


def _of_meter(
    meter_id: str,
    entries: Timeline[Meter],
    course: Course | None,
    readings: Readings,
    stale: Sequence[Interval],
    interval: Interval,
) -> dict[str, Any]:
    """Return the row of a meter in an hour."""
    *_, last = entries.within(*interval)
    meter = last.value
    known = common([interval], course.known) if course else []
    amount = total(course.amount(*part) for part in known) if course and known else None
    ts_us = readings.ts_us
    touching = np.diff(ts_us)[(ts_us[:-1] < interval[1]) & (ts_us[1:] > interval[0])]
    doubts = _doubts(meter, course, readings, interval)
    if common(sorted(stale), [interval]):
        doubts.add("stale")
    return {
        "meter_id": meter_id,
        "place": str(meter.place),
        "role": meter.role,
        "quantity": meter.quantity,
        "unit": _UNITS[meter.quantity],
        **_register(meter, entries, interval),
        "covered_us": length(known),
        **_bounds("amount", amount, ("low", "high")),
        "readings": int(np.sum((interval[0] <= ts_us) & (ts_us < interval[1]))),
        "max_gap_us": int(touching.max()) if len(touching) else None,
        "doubts": ",".join(sorted(doubts)) or None,
    }


def _register(meter: Meter, entries: Timeline[Meter], interval: Interval) -> dict[str, Any]:
    """Return what somebody needs who counts again: by hand, or as the check `meter_law` does."""
    register = meter.register
    per_s = _PER_S.get(meter.quantity)
    near = interval[0] - HOUR_US, interval[1] + HOUR_US
    modulus = register.modulus
    return {
        "factor": None if per_s is None else float(register.per_count * per_s),
        "modulus_n": None if modulus is None else round(modulus * BILLION),
        "interval_us": meter.interval_us,
        "one_entry": len([*continued(entries).within(*near)]) == 1 and not entries.gap(*near),
    }


def _doubts(
    meter: Meter, course: Course | None, readings: Readings, interval: Interval
) -> set[str]:
    """Return why some of an hour is not known; nothing of a meter that counts nothing."""
    if not len(readings):
        return {"no_readings"}
    if meter.quantity not in _PER_S:
        return set()
    found = {why for span, why in (course.doubts if course else ()) if common([span], [interval])}
    known = common([interval], course.known) if course else []
    return found or ({"gap"} if length(known) < HOUR_US else found)


def _bounds(name: str, amount: Amount | None, bounds: tuple[str, str]) -> dict[str, int | None]:
    return dict(zip((name, *bounds), amount or (None, None, None), strict=True))


def _places(places: Places, interval: Interval) -> Iterator[Place]:
    """Yield the site, and its halls and modules of an hour."""
    yield SITE
    edges = [interval[0], *places.edges(*interval)]
    trees = [places.at(edge) for edge in edges]
    for kind in _KINDS:
        yield from sorted({place for tree in trees for place in tree.of_kind(kind)})


def _of_place(
    place: Place, moments: Moments, courses: Mapping[str, Course], signals: HourSignals
) -> Iterator[dict[str, Any]]:
    found = figures_of(place, moments, courses)
    outside = outside_figures(place, moments, courses, signals) if signals else {}
    for name, figure in {**found.quotients, **outside}.items():
        category = found.pue_category if name == "pue" else None
        yield figure_row(place, name, figure, category)


def figure_row(place: Place, name: str, figure: Figure, pue_category: int | None) -> dict[str, Any]:
    """Return the row of a figure, without its hour and version."""
    return {
        "place": str(place),
        "figure": name,
        "covered_us": figure.covered_us,
        **_side("above", figure, figure.above),
        **_side("below", figure, figure.below),
        "pue_category": pue_category,
        "above_meters": json.dumps(figure.above_meters, sort_keys=True, ensure_ascii=False),
        "below_meters": json.dumps(figure.below_meters, sort_keys=True, ensure_ascii=False),
        "changed": figure.changed,
        "missing": ",".join(sorted(figure.missing)) or None,
    }


def _side(name: str, figure: Figure, amount: Amount) -> dict[str, int | None]:
    known = amount if figure.covered_us else None
    return _bounds(name, known, (f"{name}_low", f"{name}_high"))
