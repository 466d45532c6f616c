"""The modelled PUE of a place in an hour: its parts, and what they add up to. See `[[pue_model]]`.

In: the site's places, how they are cooled, what meters say of the hour. Out: rows of `site_hour`
(the figure `pue_modelled`) and of `site_part`. Where a part is not known, neither is the sum:
nothing is filled in. All parts are of the time for which all meters in them are known.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US, SITE_HOUR, SITE_PART
from tokenergy_sql.cooling.declared import Declared
from tokenergy_sql.cooling.hours import Read
from tokenergy_sql.cooling.puecooling import Found, cooling_energy, plant_of
from tokenergy_sql.metering.amount import NOTHING, Amount, total
from tokenergy_sql.metering.figures import CURVE, Figure, Sides, Signs, quotient, sum_of
from tokenergy_sql.metering.hour import HourRows, figure_row
from tokenergy_sql.metering.intervals import Interval, common
from tokenergy_sql.metering.lossrows import part_row
from tokenergy_sql.metering.sums import Sums
from tokenergy_sql.places import Fixed, Place, Places, PueModel
from tokenergy_sql.places.problems import Problems
from tokenergy_sql.places.timeline import Timeline, show_instant

FIGURE = "pue_modelled"

Row = dict[str, Any]


@dataclass(frozen=True)
class _Metered:
    """The meters of a modelled PUE in a part of the hour.

    Attributes:
        signs: by part (`it`, `pairs`, `curves`, `cooling`, `other`): ids with their signs.
        lacks: why the model cannot be worked out.
    """

    signs: Mapping[str, Signs] = field(default_factory=dict)
    lacks: frozenset[str] = frozenset()

    def sides(self) -> Sides | None:
        """Return all above the line, and IT below it; None if something lacks."""
        if self.lacks:
            return None
        above: Counter[str] = Counter()
        for signs in self.signs.values():
            above.update(signs)
        # One that is added and taken off stays with 0: its time counts.
        return dict(above), self.signs["it"]


def with_models(
    lake: Lake, places: Places, declared: Declared, metered: HourRows, hour_us: int, version: str
) -> HourRows:
    """Return the rows of an hour with those of modelled PUEs; the same if nobody asks for one.

    Args:
        lake: the lake.
        places: with their meters.
        declared: how they are cooled.
        metered: what meters say of the hour.
        hour_us: its start.
        version: of the models.
    """
    import pyarrow as pa

    interval = hour_us, hour_us + HOUR_US
    models = [
        _longest(of, interval) for of in places.pue_models.values() if any(of.within(*interval))
    ]
    of_hour = {"hour_us": hour_us, "index_version": version}
    site: list[Row] = []
    parts: list[Row] = []
    # Without a meter there is nothing to model from.
    for model in models if metered.moments else ():
        figure, rows = _of_model(model, metered, places, declared, _reader(lake), hour_us)
        site.append(figure | of_hour)
        parts += [row | of_hour | {"added": True} for row in rows]
    if not site:
        return metered
    return replace(
        metered,
        site=pa.concat_tables(
            [metered.site, pa.Table.from_pylist(site, schema=SITE_HOUR.schema())]
        ),
        parts=pa.concat_tables(
            [metered.parts, pa.Table.from_pylist(parts, schema=SITE_PART.schema())]
        ),
    )


def _reader(lake: Lake) -> Read:
    import pyarrow as pa
    import pyarrow.compute as pc

    def read(ids: Sequence[str], begin_us: int, end_us: int) -> pa.Table:
        hours = range(begin_us - begin_us % HOUR_US, end_us, HOUR_US)
        rows = lake.read("meter", [*hours], columns=["meter_id", "ts_us", "value_n"])
        chosen = pa.array([*ids], pa.string())
        return rows.filter(pc.is_in(rows["meter_id"].cast(pa.string()), chosen))

    return read


def _longest(timeline: Timeline[PueModel], interval: Interval) -> PueModel:
    """Return the entry that holds for most of an hour."""
    spans = timeline.within(*interval)
    return max(spans, key=lambda span: span.until_us - span.from_us).value


def _of_model(
    model: PueModel,
    metered: HourRows,
    places: Places,
    declared: Declared,
    read: Read,
    hour_us: int,
) -> tuple[Row, list[Row]]:
    """Return the row of `site_hour` and those of `site_part` of a model."""
    found = [
        (
            part,
            _metered(model, moment.sums_of(model.place)) if _holds(model, places, part) else None,
        )
        for part, moment in metered.moments
    ]
    sides = [(part, None if one is None else one.sides()) for part, one in found]
    figure = quotient(sides, metered.courses) or Figure()
    categories = [moment.sums_of(model.place).pue_category for _, moment in metered.moments]
    lacks = {why for _, one in found if one for why in one.lacks}
    if figure.covered_us:
        rows = [*_parts(model, found, figure, metered, places, declared, read, hour_us)]
    else:
        rows = [_unknown(model.place, lacks or {"gap"})]
    if any(row["energy_nj"] is None for row in rows):
        figure = replace(figure, covered=())
    else:
        # What meters and curves show is in the figure already.
        above = total([figure.above, *(_amount(row) for row in rows if not _is_metered(row))])
        figure = replace(figure, above=above)
    category = min((one for one in categories if one is not None), default=None)
    return figure_row(model.place, FIGURE, figure, category), rows


def _holds(model: PueModel, places: Places, part: Interval) -> bool:
    return places.pue_models[str(model.place)].at(part[0]) == model


def _is_metered(row: Row) -> bool:
    return bool(row["method"] == "measured" or row["name"] == "curves")


def _amount(row: Row) -> Amount:
    return Amount(row["energy_nj"], row["low_nj"], row["high_nj"])


def _metered(model: PueModel, sums: Sums) -> _Metered:
    """Return the meters of a model by part, or what the place lacks."""
    signs: dict[str, Signs] = {
        "it": {one.id: 1 for one in sums.meters.get("it", ())},
        "other": {one.id: 1 for one in sums.meters.get("other", ())},
    }
    lacks = set() if signs["it"] else {"no_it_meter"}
    if model.losses is None:
        signs["pairs"] = sums.lost
        signs["curves"] = {f"{CURVE}{name}": 1 for name in sums.curves}
        if not sums.lost and not sums.curves:
            lacks.add("no_losses")
    if model.cooling == "metered":
        signs["cooling"] = {one.id: 1 for one in sums.meters.get("cooling", ())}
        if not signs["cooling"]:
            lacks.add("no_cooling_meter")
    return _Metered(signs, frozenset(lacks))


_SHOWN = (
    ("it", "it", "measured", ""),
    ("pairs", "losses", "measured", "meters"),
    ("curves", "losses", "modelled", "curves"),
    ("cooling", "cooling", "measured", ""),
    ("other", "other", "measured", ""),
)
"""Metered parts: key of `_Metered.signs`, part, method and name in `site_part`."""


def _parts(
    model: PueModel,
    found: Sequence[tuple[Interval, _Metered | None]],
    figure: Figure,
    metered: HourRows,
    places: Places,
    declared: Declared,
    read: Read,
    hour_us: int,
) -> Iterator[Row]:
    """Yield the parts of a PUE over the time that its meters share."""
    place, covered_us = str(model.place), figure.covered_us
    for key, part, method, name in _SHOWN:
        ids = {one for _, of in found if of for one in of.signs.get(key, ())}
        if ids:
            energy = _sum(key, found, figure, metered)
            inputs = {"meters": sorted(ids)}
            yield part_row(
                place, part, name, method, covered_us, energy, inputs, _unbounded(energy)
            )
    if model.losses is not None:
        yield _declared_row(place, "losses", model.losses, covered_us)
    if isinstance(model.cooling, Fixed):
        yield _declared_row(place, "cooling", model.cooling, covered_us)
    elif model.cooling == "modelled":
        cooled = cooling_energy(
            *(places, declared, read, model.place, hour_us),
            *(figure.below, covered_us, model.cooling_percent),
        )
        yield _cooled_row(place, cooled, covered_us)
    yield _declared_row(place, "other", model.other, covered_us)


def _sum(
    key: str,
    found: Sequence[tuple[Interval, _Metered | None]],
    figure: Figure,
    metered: HourRows,
) -> Amount:
    """Return what the meters of a part say of the time that all parts share."""
    return total(
        sum_of(of.signs.get(key, {}), metered.courses, known)
        for part, of in found
        if of is not None
        for known in common([part], figure.covered)
    )


def _unbounded(energy: Amount) -> set[str]:
    return {"no_accuracy"} if energy.high is None else set()


def _cooled_row(place: str, cooled: Found, covered_us: int) -> Row:
    method = "none" if cooled.energy is None else "modelled"
    known_us = 0 if cooled.energy is None else covered_us
    return part_row(
        place, "cooling", "", method, known_us, cooled.energy, cooled.inputs, {*cooled.reasons}
    )


def _declared_row(place: str, part: str, fixed: Fixed, covered_us: int) -> Row:
    inputs = {
        "power_mw": fixed.power_mw,
        "accuracy_percent": None if fixed.percent is None else float(fixed.percent),
    }
    energy = _fixed(fixed, covered_us)
    return part_row(place, part, "", "declared", covered_us, energy, inputs, set())


def _fixed(fixed: Fixed, covered_us: int) -> Amount:
    value = fixed.power_mw * covered_us
    if not value:
        return NOTHING
    share = (fixed.percent or Fraction(0)) / 100
    return Amount(value, math.floor(value * (1 - share)), math.ceil(value * (1 + share)))


def _unknown(place: Place, reasons: set[str]) -> Row:
    return part_row(str(place), "it", "", "none", 0, None, {}, reasons)


def check_cooled(places: Places, declared: Declared, file: str) -> None:
    """Refuse models of cooling where the site file does not say how the place is cooled.

    Raises:
        PlacesError: a class or `rated_kw` is missing for some of the time.
    """
    problems = Problems()
    for timeline in places.pue_models.values():
        for span in timeline.spans:
            if span.value.cooling == "modelled":
                for ts_us in _edges(places, declared, (span.from_us, span.until_us)):
                    if plant_of(places, declared, span.value.place, ts_us) is None:
                        problems.add(
                            f'{span.value.where}: cooling = "modelled" needs a [[cooling]] of '
                            f"{span.value.place} with `class` and `rated_kw` "
                            f"(from {show_instant(ts_us)}); add it, or declare cooling_kw"
                        )
                        break
    problems.raise_any(file)


def _edges(places: Places, declared: Declared, time: Interval) -> list[int]:
    """Return the instants of a time at which it may change how a place is cooled."""
    found = {
        edge
        for timeline in declared.entries.values()
        for span in timeline.spans
        for edge in (span.from_us, span.until_us)
        if time[0] < edge < time[1]
    }
    return sorted({time[0], *found, *places.edges(*time)})
