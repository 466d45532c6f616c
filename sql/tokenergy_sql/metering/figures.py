"""The building's figures of one place: sums over the time of an interval that all meters cover.

In: places, meters, and the course of each meter. Out: `Figures`. PUE, WUE and the others are
quotients of two sums over the same time, never a mean of quotients: so a figure of several
intervals divides the sums of their sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise

from tokenergy_sql.metering.amount import NOTHING, Amount, less, total
from tokenergy_sql.metering.course import Course
from tokenergy_sql.metering.intervals import Interval, common, length
from tokenergy_sql.metering.sums import Counted, Moment, Sums
from tokenergy_sql.places import Meter, Place, Places


@dataclass(frozen=True)
class Figure:
    """A quotient's two sums, over the time for which both are known.

    Attributes:
        above: above the line.
        below: below the line.
        covered: that time.
        missing: ids of meters that leave out some of the interval, with the time they leave out.
        above_meters, below_meters: ids of the meters in each sum, with their signs.
        changed: whether other meters counted in some of the interval.
    """

    above: Amount = NOTHING
    below: Amount = NOTHING
    covered: Sequence[Interval] = ()
    missing: Mapping[str, int] = field(default_factory=dict)
    above_meters: Mapping[str, int] = field(default_factory=dict)
    below_meters: Mapping[str, int] = field(default_factory=dict)
    changed: bool = False

    @property
    def covered_us(self) -> int:
        """Return how long both sums are known."""
        return length(self.covered)


@dataclass(frozen=True)
class Figures:
    """The figures of a place in an interval.

    Attributes:
        place: the place.
        quotients: by name: see `QUOTIENTS`; only those whose meters the place has.
        pue_category: see `Sums`; the lowest of all parts of the interval.
    """

    place: Place
    quotients: Mapping[str, Figure]
    pue_category: int | None


Moments = Sequence[tuple[Interval, Moment]]
"""The parts of an interval, each with its places and meters."""

Signs = Mapping[str, int]
"""Ids of the meters of a sum, each with 1 (added) or -1 (taken off)."""

Sides = tuple[Signs, Signs]
"""Those above and below the line."""

Part = tuple[Interval, Sides | None]

Terms = tuple[tuple[Counted, int], ...]
_DC: Terms = (("facility", 1), ("exported", -1))
_IT: Terms = (("it", 1),)
QUOTIENTS: dict[str, tuple[Terms, Terms]] = {
    "pue": (_DC, _IT),
    "intake": ((("intake", 1), ("exported", -1)), _IT),
    "cooling": ((("cooling", 1),), _IT),
    "other": ((("other", 1),), _IT),
    "losses": ((), _IT),
    "losses_modelled": ((), _IT),
    "wue": ((("water", 1),), _IT),
    "erf": ((("reused", 1),), _DC),
    "ref": ((("facility", 1),), _DC),
    "facility": (_DC, ()),
    "it": (_IT, ()),
}
"""What each figure divides: sums with their signs. `ref` counts only renewable meters above the
line; the last two have nothing below it, so that they are known whenever their own meters are.
Above the line of `losses` are the meters before and behind each UPS and PDU, above that of
`losses_modelled` the declared curves: see `sums.Sums`."""

CURVE = "loss:"
"""Before the name of a declared loss, where ids of meters are: its course is among theirs."""


def moments_of(places: Places, interval: Interval) -> Moments:
    """Return the parts of an interval within which no place and no meter changes."""
    edges = [interval[0], *places.edges(*interval), interval[1]]
    return [
        (part, Moment(places.at(part[0]), places.meters.at(part[0]), places.losses_at(part[0])))
        for part in pairwise(edges)
    ]


def figures_of(place: Place, moments: Moments, courses: Mapping[str, Course]) -> Figures:
    """Return the figures of a place in an interval.

    Args:
        place: the place.
        moments: of the interval: see `moments_of`.
        courses: of the meters, by id; one without readings may be left out.
    """
    parts = [(part, moment.sums_of(place)) for part, moment in moments]
    found = {}
    for name in QUOTIENTS:
        figure = quotient([(part, _sides(name, sums)) for part, sums in parts], courses)
        if figure is not None:
            found[name] = figure
    categories = [sums.pue_category for _, sums in parts if sums.pue_category is not None]
    return Figures(place, found, min(categories, default=None))


def quotient(parts: Sequence[Part], courses: Mapping[str, Course]) -> Figure | None:
    """Return a figure; None if the place lacks the meters of it in all parts of the interval.

    Args:
        parts: of the interval, each with the meters above and below the line; None: it lacks them.
        courses: of the meters, by id; one without readings may be left out.
    """
    amounts: tuple[list[Amount], list[Amount]] = ([], [])
    meters: tuple[dict[str, int], dict[str, int]] = ({}, {})
    covered: list[Interval] = []
    missing: dict[str, int] = {}
    # An edge at which these meters stay must not make the bounds wider.
    runs = [(sides, [part for part, _ in run]) for sides, run in groupby(parts, _second)]
    for sides, times in runs:
        if sides is None:
            continue
        whole = times[0][0], times[-1][1]
        known = [whole]
        for meter_id in sorted({*sides[0], *sides[1]}):
            own = common([whole], courses.get(meter_id, Course()).known)
            left_out = length([whole]) - length(own)
            if left_out:
                missing[meter_id] = missing.get(meter_id, 0) + left_out
            known = common(known, own)
        covered += known
        for side, of_all, added in zip(sides, meters, amounts, strict=True):
            of_all.update(side)
            added += [sum_of(side, courses, one) for one in known]
    if not meters[0]:
        return None
    return Figure(total(amounts[0]), total(amounts[1]), covered, missing, *meters, len(runs) > 1)


def _sides(name: str, sums: Sums) -> Sides | None:
    """Return the meters above and below the line of a figure; None if the place lacks them."""
    if name in ("losses", "losses_modelled"):
        curves = {f"{CURVE}{one}": 1 for one in sums.curves}
        lost = sums.lost if name == "losses" else curves
        it = {one.id: 1 for one in sums.meters.get("it", ())}
        return (lost, it) if lost and it else None
    if not all(_is_there(terms, sums) for terms in QUOTIENTS[name]):
        return None
    above, below = (_meters(terms, sums) for terms in QUOTIENTS[name])
    if name == "ref":
        above = [(one, sign) for one, sign in above if one.rules.renewable]
    if not above:
        return None
    return {one.id: sign for one, sign in above}, {one.id: sign for one, sign in below}


def _second(part: Part) -> Sides | None:
    return part[1]


def _is_there(terms: Terms, sums: Sums) -> bool:
    """Return whether the first sum of some terms has meters: the others are taken off it."""
    return not terms or terms[0][0] in sums.meters


def _meters(terms: Terms, sums: Sums) -> list[tuple[Meter, int]]:
    return [(one, sign) for sum_, sign in terms for one in sums.meters.get(sum_, ())]


def sum_of(side: Signs, courses: Mapping[str, Course], interval: Interval) -> Amount:
    """Return the sum of some meters over an interval in which all of them are known."""
    amounts = [(courses[one].amount(*interval), sign) for one, sign in side.items()]
    return less(
        total(amount for amount, sign in amounts if sign > 0),
        total(amount for amount, sign in amounts if sign < 0),
    )
