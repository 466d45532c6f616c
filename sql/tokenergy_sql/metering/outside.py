"""The building's figures that need a signal of the grid: CUE, and the 24/7 score of clean energy.

In: the meters of a place, their courses, what is known of signals. Out: `Figure`s, over the time in
which all meters and the signals are known together: a hole of a signal leaves time out, as one of a
meter does.

CUE is CO2 over IT energy. CO2 is the carbon signal times what comes in; own sun and wind emit none,
and what is given back to the grid earns nothing. The energy of generators and bought cold counts
with the grid's value: what they emit themselves no signal tells.

The score is of the site and by the hour: own clean supply (own generation that is not given back,
and contracts) up to the load, and of the rest the grid's share. A surplus of one hour never counts
in another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise

from tokenergy_sql.metering.amount import NOTHING, Amount, less, total
from tokenergy_sql.metering.course import Course
from tokenergy_sql.metering.figures import Figure, Moments
from tokenergy_sql.metering.intervals import Interval, common, joined, length
from tokenergy_sql.metering.sums import Sums
from tokenergy_sql.places import SITE, Meter, Place
from tokenergy_sql.signals.known import HourSignals, Known

_UG_DIVISOR = 3_600_000_000_000
"""mg/kWh x nJ over this is micrograms."""
_WHOLE_PPB = 1_000_000_000

Courses = Mapping[str, Course]
Ids = tuple[str, ...]


def outside_figures(
    place: Place, moments: Moments, courses: Courses, signals: HourSignals
) -> dict[str, Figure]:
    """Return `cue` of a place and `cfe` of the site, as far as signals are declared for them.

    Args:
        place: the place.
        moments: of the hour.
        courses: of the meters, by id.
        signals: of the hour.
    """
    purposes = {one.purpose for one in signals.served}
    runs = [
        (ids, [part for part, _ in run])
        for ids, run in groupby(
            ((part, _ids(moment.sums_of(place))) for part, moment in moments), _second
        )
    ]
    if not any(ids for ids, _ in runs):
        return {}
    found = {}
    if "carbon" in purposes and any(ids and ids.it for ids, _ in runs):
        found["cue"] = _cue(runs, courses, signals.of("carbon"))
    if "cfe" in purposes and place == SITE:
        found["cfe"] = _cfe(runs, courses, signals)
    return found


class _Ids:
    """The meters of a place: what comes in, own generation, what is given back, IT."""

    def __init__(self, sums: Sums) -> None:
        def ids(meters: Iterable[Meter]) -> Ids:
            return tuple(sorted(one.id for one in meters))

        facility = sums.meters.get("facility", ())
        self.bought = ids(one for one in facility if not one.rules.renewable)
        self.own = ids(one for one in facility if one.rules.renewable)
        self.exported = ids(sums.meters.get("exported", ()))
        self.it = ids(sums.meters.get("it", ()))

    @property
    def key(self) -> tuple[Ids, Ids, Ids, Ids]:
        return self.bought, self.own, self.exported, self.it

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Ids) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


Runs = Sequence[tuple["_Ids | None", list[Interval]]]


def _ids(sums: Sums) -> _Ids | None:
    """Return the meters of a place; None if nothing measures what comes in."""
    return _Ids(sums) if "facility" in sums.meters else None


def _second(pair: tuple[Interval, _Ids | None]) -> _Ids | None:
    return pair[1]


def _cue(runs: Runs, courses: Courses, carbon: Sequence[Known]) -> Figure:
    """Return CO2 in micrograms over IT energy."""
    products: list[Amount] = []
    below: list[Amount] = []
    covered: list[Interval] = []
    missing: dict[str, int] = {}
    meters: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for ids, times in runs:
        if ids is None or not ids.it:
            continue
        whole = times[0][0], times[-1][1]
        known = _known(whole, (*ids.bought, *ids.it), courses, missing)
        known = common(known, joined(one[:2] for one in carbon))
        for from_us, until_us, value in _cut(carbon, known):
            amount = _total(ids.bought, courses, (from_us, until_us))
            products.append(Amount(*(None if nj is None else nj * value for nj in amount)))  # type: ignore[arg-type]
        below += [_total(ids.it, courses, one) for one in known]
        covered += known
        meters[0].update(dict.fromkeys(ids.bought, 1))
        meters[1].update(dict.fromkeys(ids.it, 1))
    above = total(products)
    micrograms = Amount(
        above.value // _UG_DIVISOR,
        None if above.low is None else above.low // _UG_DIVISOR,
        None if above.high is None else -(-above.high // _UG_DIVISOR),
    )
    return Figure(micrograms, total(below), covered, missing, *meters, len(runs) > 1)


def _cfe(runs: Runs, courses: Courses, signals: HourSignals) -> Figure:
    """Return clean energy over the load of the site."""
    share, contract = signals.of("cfe"), [*signals.of("contracted"), *signals.contracted_mw]
    contracted = sorted(contract)
    promised = [
        (one.from_us, one.until_us) for one in signals.served if one.purpose == "contracted"
    ]
    load, own, grid_ppb, clean_nj = NOTHING, NOTHING, 0, 0
    covered: list[Interval] = []
    missing: dict[str, int] = {}
    meters: dict[str, int] = {}
    for ids, times in runs:
        if ids is None:
            continue
        whole = times[0][0], times[-1][1]
        sources = (*ids.bought, *ids.own)
        known = _known(whole, (*sources, *ids.exported), courses, missing)
        known = common(known, joined(one[:2] for one in share))
        # Where a signal says what is contracted, its holes are unknown too.
        known = _without(known, promised, joined(one[:2] for one in signals.of("contracted")))
        for from_us, until_us, value in _cut(share, known):
            part = from_us, until_us
            used = less(_total(sources, courses, part), _total(ids.exported, courses, part))
            grid_ppb += used.value * value
        for part in known:
            given = _total(ids.exported, courses, part)
            load = total((load, less(_total(sources, courses, part), given)))
            own = total((own, less(_total(ids.own, courses, part), given)))
        clean_nj += sum(
            (until_us - from_us) * power_mw
            for from_us, until_us, power_mw in _cut(contracted, known)
        )
        covered += known
        meters.update({**dict.fromkeys(sources, 1), **dict.fromkeys(ids.exported, -1)})
    mean_ppb = grid_ppb // load.value if load.value > 0 else 0

    def clean(load_nj: int | None, own_nj: int | None) -> int | None:
        if load_nj is None or own_nj is None:
            return None
        mine = min(max(load_nj, 0), max(own_nj, 0) + clean_nj)
        return mine + (max(load_nj, 0) - mine) * mean_ppb // _WHOLE_PPB

    mean, high = clean(load.value, own.value), clean(load.high, own.high)
    above = Amount(mean or 0, clean(load.low, own.low), None if high is None else high + 1)
    return Figure(above, load, covered, missing, meters, dict(meters), len(runs) > 1)


def _known(whole: Interval, ids: Ids, courses: Courses, missing: dict[str, int]) -> list[Interval]:
    """Return when all of some meters are known; note how long each is not."""
    known = [whole]
    for meter_id in sorted({*ids}):
        own = common([whole], courses.get(meter_id, Course()).known)
        left_out = length([whole]) - length(own)
        if left_out:
            missing[meter_id] = missing.get(meter_id, 0) + left_out
        known = common(known, own)
    return known


def _without(
    known: list[Interval], promised: Sequence[Interval], told: Sequence[Interval]
) -> list[Interval]:
    """Return the known time but that which a signal promises and does not tell."""
    if not promised:
        return known
    edges = sorted({edge for one in (*known, *promised, *told) for edge in one})
    parts = [*pairwise(edges)]

    def inside(part: Interval, times: Iterable[Interval]) -> bool:
        return any(one[0] <= part[0] and part[1] <= one[1] for one in times)

    return joined(
        part
        for part in parts
        if inside(part, known) and (inside(part, told) or not inside(part, promised))
    )


def _cut(values: Iterable[Known], known: Sequence[Interval]) -> list[Known]:
    """Return values with their times cut to those that are known."""
    return [
        Known(from_us, until_us, one.value)
        for one in values
        for from_us, until_us in common([(one.from_us, one.until_us)], known)
    ]


def _total(ids: Ids, courses: Courses, interval: Interval) -> Amount:
    return total(courses[one].amount(*interval) for one in ids)
