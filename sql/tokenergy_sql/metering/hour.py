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
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US, METER_HOUR, SITE_HOUR
from tokenergy_sql.metering.amount import Amount, total
from tokenergy_sql.metering.course import Course, course_of
from tokenergy_sql.metering.figures import Figure, figures_of
from tokenergy_sql.metering.intervals import Interval, common, length
from tokenergy_sql.places import SITE, Meter, Place, Places, Reading
from tokenergy_sql.places.place import Kind
from tokenergy_sql.places.timeline import Timeline
from tokenergy_sql.places.units import BASE, BILLION, Quantity

if TYPE_CHECKING:
    import pyarrow as pa

_UNITS = {**BASE, "power": BASE["energy"], "flow": BASE["volume"]}
"""Units of what meters count; of quantities that count nothing, those of their values."""

_PER_S: dict[Quantity, int] = {"energy": 1, "volume": 1, "power": 1_000_000, "flow": 1}
"""What a base unit counts: of a sum once, of a momentary value each second (1 mW: 1,000,000 nJ)."""

_KINDS: tuple[Kind, ...] = ("hall", "module")
"""Kinds of place, besides the site, that have figures."""


@dataclass(frozen=True, slots=True)
class HourRows:
    """Rows of an hour.

    Attributes:
        meters: of `meter_hour`.
        site: of `site_hour`.
    """

    meters: pa.Table
    site: pa.Table


def hour_rows(lake: Lake, places: Places, hour_us: int, version: str) -> HourRows:
    """Return the rows of an hour; none if the site file declares no meters.

    Args:
        lake: the lake.
        places: with their meters.
        hour_us: start of the hour, microseconds UTC.
        version: of the models.
    """
    import pyarrow as pa

    interval = hour_us, hour_us + HOUR_US
    meters = {
        meter_id: entries
        for meter_id, entries in places.meters.by_id.items()
        if any(entries.within(*interval))
    }
    readings = _readings(lake, hour_us) if meters else {}
    courses = {
        meter_id: course_of(entries, readings[meter_id])
        for meter_id, entries in meters.items()
        if meter_id in readings
    }
    of_hour = {"hour_us": hour_us, "index_version": version}
    meter_rows = [
        _of_meter(meter_id, entries, courses.get(meter_id), readings.get(meter_id, ()), interval)
        | of_hour
        for meter_id, entries in meters.items()
    ]
    site_rows = [
        {**row, **of_hour}
        for place in (_places(places, interval) if meters else ())
        for row in _of_place(place, places, courses, interval)
    ]
    return HourRows(
        pa.Table.from_pylist(meter_rows, schema=METER_HOUR.schema()),
        pa.Table.from_pylist(site_rows, schema=SITE_HOUR.schema()),
    )


def _readings(lake: Lake, hour_us: int) -> dict[str, list[Reading]]:
    """Return the readings of each meter: of the hour, the last before and the first after it."""
    near = [hour_us - HOUR_US, hour_us, hour_us + HOUR_US]
    rows = lake.read("meter", near, columns=["meter_id", "ts_us", "value_n"])
    rows = rows.sort_by([("meter_id", "ascending"), ("ts_us", "ascending")])
    found: dict[str, list[Reading]] = {}
    columns = (rows[name].to_pylist() for name in ("meter_id", "ts_us", "value_n"))
    for meter_id, ts_us, value_n in zip(*columns, strict=True):
        of_meter = found.setdefault(meter_id, [])
        if of_meter and of_meter[-1].ts_us == ts_us:
            continue  # two hosts read it in the same microsecond
        if of_meter and ts_us <= hour_us:
            of_meter.clear()
        if not of_meter or of_meter[-1].ts_us < hour_us + HOUR_US:
            of_meter.append(Reading(ts_us, int(value_n)))
    return found


def _of_meter(
    meter_id: str,
    entries: Timeline[Meter],
    course: Course | None,
    readings: Sequence[Reading],
    interval: Interval,
) -> dict[str, Any]:
    """Return the row of a meter in an hour."""
    *_, last = entries.within(*interval)
    meter = last.value
    known = common([interval], course.known) if course else []
    amount = total(course.amount(*part) for part in known) if course and known else None
    touching = [
        after.ts_us - before.ts_us
        for before, after in pairwise(readings)
        if before.ts_us < interval[1] and after.ts_us > interval[0]
    ]
    return {
        "meter_id": meter_id,
        "place": str(meter.place),
        "role": meter.role,
        "quantity": meter.quantity,
        "unit": _UNITS[meter.quantity],
        **_register(meter, entries, interval),
        "covered_us": length(known),
        **_bounds("amount", amount, ("low", "high")),
        "readings": sum(interval[0] <= one.ts_us < interval[1] for one in readings),
        "max_gap_us": max(touching, default=None),
        "doubts": ",".join(sorted(_doubts(meter, course, readings, interval))) or None,
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
        "one_entry": len([*entries.within(*near)]) == 1 and not entries.gap(*near),
    }


def _doubts(
    meter: Meter, course: Course | None, readings: Sequence[Reading], interval: Interval
) -> set[str]:
    """Return why some of an hour is not known; nothing of a meter that counts nothing."""
    if not readings:
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
    place: Place, places: Places, courses: Mapping[str, Course], interval: Interval
) -> Iterator[dict[str, Any]]:
    found = figures_of(place, places, courses, interval)
    for name, figure in found.quotients.items():
        yield {
            "place": str(place),
            "figure": name,
            "covered_us": figure.covered_us,
            **_side("above", figure, figure.above),
            **_side("below", figure, figure.below),
            "pue_category": found.pue_category if name == "pue" else None,
            "above_meters": json.dumps(figure.above_meters, sort_keys=True, ensure_ascii=False),
            "below_meters": json.dumps(figure.below_meters, sort_keys=True, ensure_ascii=False),
            "changed": figure.changed,
            "missing": ",".join(sorted(figure.missing)) or None,
        }


def _side(name: str, figure: Figure, amount: Amount) -> dict[str, int | None]:
    known = amount if figure.covered_us else None
    return _bounds(name, known, (f"{name}_low", f"{name}_high"))
