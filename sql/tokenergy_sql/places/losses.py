"""Declared losses, and that nothing else holds them already: no joule is counted twice.

In: the tables `[[loss]]`, the meters, the places, and where a PUE is declared or modelled. Out:
`Loss` over time, or problems. A declared PUE holds all losses of the building; two meters hold what
is lost between them. A modelled PUE is made of the losses of its place: there the declared one only
stands in for hours in which the model knows too little, and never multiplies them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Literal

from tokenergy_collectors.base.instants import END_US
from tokenergy_sql.places.meterkeys import LossKeys
from tokenergy_sql.places.meters import Meter, Meters
from tokenergy_sql.places.paths import Paths
from tokenergy_sql.places.place import SITE, Place
from tokenergy_sql.places.placing import Entries, Structure, require_there
from tokenergy_sql.places.problems import Problems, known_names
from tokenergy_sql.places.puemodels import PueModel
from tokenergy_sql.places.roles import ELECTRICAL
from tokenergy_sql.places.timeline import Span, Timeline, show_span

Side = Literal["before", "behind"]
"""Where a meter stands: before a device, so that its loss is in what it shows, or behind it."""

_BEFORE = frozenset(
    {"utility", "generator", "renewable", "district_cooling", "feeder", "ups_in", "pdu_in"}
)
"""Roles of meters that stand before a device, unless the loss says otherwise."""

_OTHER_END = {"ups_in": "ups_out", "pdu_in": "pdu_out"}
"""The role of a meter before a device, and of the one behind it."""


@dataclass(frozen=True, slots=True)
class DeclaredPue:
    """Where and when a PUE is declared.

    Attributes:
        where: how messages call it.
        place: the place whose energy it multiplies.
        from_us, until_us: when, microseconds UTC.
    """

    where: str
    from_us: int
    until_us: int = END_US
    place: Place = SITE


@dataclass(frozen=True, slots=True)
class Loss:
    """A declared loss, for the time of its entry.

    Attributes:
        name: its name.
        where: how messages call the entry.
        place: where it is lost.
        points_mw: (load, loss), milliwatts, by ascending load: what comes out, what is lost.
        between: ids of the meters next to it.
        metered: where the meter stands; None: its role tells it, see `side_of`.
        percent: how far the curve may be off, per cent of the loss; None: not told.
    """

    name: str
    where: str
    place: Place
    points_mw: tuple[tuple[int, int], ...]
    between: tuple[str, ...]
    metered: Side | None = None
    percent: Fraction | None = None


def losses_of(entries: Entries[LossKeys]) -> dict[str, Timeline[Loss]]:
    """Return the declared losses over time, by name."""
    return {
        name: Timeline(
            Span(span.from_us, span.until_us, _loss(span.value.where, span.value.keys))
            for span in timeline.spans
        )
        for name, timeline in entries.items()
    }


def _loss(where: str, keys: LossKeys) -> Loss:
    points = tuple((round(load * 1e6), round(loss * 1e6)) for load, loss in keys.points)
    between = tuple(keys.between)
    return Loss(keys.name, where, keys.place, points, between, keys.metered, keys.accuracy_percent)


def side_of(loss: Loss, meter: Meter) -> Side:
    """Return whether a meter next to a loss stands before or behind it."""
    if loss.metered is not None:
        return loss.metered
    return "before" if meter.role in _BEFORE else "behind"


def check_losses(
    losses: dict[str, Timeline[Loss]],
    meters: Meters,
    structure: Structure,
    problems: Problems,
) -> None:
    """Add losses that something else holds already, and names that are not there."""
    spans = [span for timeline in losses.values() for span in timeline.spans]
    for span in spans:
        where, place, time = span.value.where, span.value.place, (span.from_us, span.until_us)
        if place.kind != "site":
            table = "placed" if place.kind == "node" else place.kind
            known = structure.of_kind(place.kind)
            require_there(where, time, table, place.name, known, problems)
        for name in span.value.between:
            if name not in meters.by_id:
                known_ids = known_names(name, meters.by_id)
                problems.add(f"{where}: between {name!r}, which is no meter's id; {known_ids}")
                continue
            for part in meters.by_id[name].within(*time):
                if part.value.quantity not in ELECTRICAL:
                    problems.add(
                        f"{where}: between {name!r}, which measures {part.value.quantity}; "
                        "expected a meter of power or energy"
                    )
        for both, from_us, until_us in _measured(span, meters):
            problems.add(
                f"{where}: the meters {both[0]!r} and {both[1]!r} measure this loss, as their "
                f"difference ({show_span(from_us, until_us) or 'always'}); remove the loss, or end "
                "it with an `until` where both are there"
            )
    for one, other in combinations(spans, 2):
        shared = one.shared(other.from_us, other.until_us)
        same = _ends(one.value, meters, shared) == _ends(other.value, meters, shared)
        if shared and same and one.value.name != other.value.name:
            problems.add(
                f"{one.value.where} and {other.value.where}: are the same loss, at "
                f"{', '.join(one.value.between)} ({show_span(*shared) or 'always'}); remove one"
            )


def _ends(
    loss: Loss, meters: Meters, time: tuple[int, int] | None
) -> frozenset[tuple[str, Side | None]]:
    """Return the meters next to a loss, each with the side on which it stands."""
    found: set[tuple[str, Side | None]] = set()
    for name in loss.between:
        spans = meters.by_id[name].within(*time) if time and name in meters.by_id else ()
        first = next(iter(spans), None)
        found.add((name, side_of(loss, first.value) if first else loss.metered))
    return frozenset(found)


def _measured(span: Span[Loss], meters: Meters) -> Iterator[tuple[tuple[str, str], int, int]]:
    """Yield two meters between which a loss lies, and a time for which both are there."""
    known = [name for name in span.value.between if name in meters.by_id]
    if len(known) == 2:
        yield from _together((known[0], known[1]), meters, span.from_us, span.until_us)
        return
    for name in known:
        for part in meters.by_id[name].within(span.from_us, span.until_us):
            for other in _opposite(part.value, side_of(span.value, part.value), meters):
                for found in meters.by_id[other].within(part.from_us, part.until_us):
                    yield (name, other), found.from_us, found.until_us


def _together(
    both: tuple[str, str], meters: Meters, from_us: int, until_us: int
) -> Iterator[tuple[tuple[str, str], int, int]]:
    for first in meters.by_id[both[0]].within(from_us, until_us):
        for second in meters.by_id[both[1]].within(first.from_us, first.until_us):
            yield both, second.from_us, second.until_us


def _opposite(meter: Meter, side: Side, meters: Meters) -> set[str]:
    """Return the ids of meters at the other side of the device that a meter is next to.

    Args:
        meter: the meter.
        side: whether it stands before or behind the device.
        meters: all of them.
    """
    found = set()
    for timeline in meters.by_id.values():
        for span in timeline.spans:
            other = span.value
            behind = other.id in meter.feeds and _OTHER_END.get(meter.role) == other.role
            before = meter.id in other.feeds and _OTHER_END.get(other.role) == meter.role
            if (behind and side == "before") or (before and side == "behind"):
                found.add(other.id)
    return found


def check_pues(
    losses: dict[str, Timeline[Loss]],
    structure: Structure,
    pues: Sequence[DeclaredPue],
    models: dict[str, Timeline[PueModel]],
    problems: Problems,
) -> None:
    """Add losses that a declared PUE of the same place and time holds already.

    Not those of a place whose PUE is modelled from them: it stands before the declared one.

    Args:
        losses: of known places.
        structure: without unknown names.
        pues: where and when a PUE is declared.
        models: of modelled PUEs, by place.
        problems: where to add it.
    """
    paths = Paths(structure)
    for timeline in losses.values():
        for span in timeline.spans:
            for pue in pues:
                shared = span.shared(pue.from_us, pue.until_us)
                part = shared and _without_model(paths, span.value.place, models, shared)
                if part and _touch(paths, span.value.place, pue.place, part):
                    problems.add(
                        f"{span.value.where}: {pue.where} is declared for {pue.place} "
                        f"({show_span(*part) or 'always'}), and a PUE holds this loss already: it "
                        "would be counted twice; remove the loss, or the PUE and meter the building"
                    )
                    break


def _without_model(
    paths: Paths, place: Place, models: dict[str, Timeline[PueModel]], time: tuple[int, int]
) -> tuple[int, int] | None:
    """Return a part of a time for which no model of a PUE takes the losses of a place, if any."""
    held = [
        Span(*inside, None)
        for timeline in models.values()
        for model in timeline.within(*time)
        if model.value.losses is None
        for part in paths.of(place).within(model.from_us, model.until_us)
        if model.value.place in part.value
        and (inside := part.shared(model.from_us, model.until_us))
    ]
    at_us = time[0]
    for one in sorted(held, key=lambda span: span.from_us):
        if one.from_us > at_us:
            return at_us, one.from_us
        at_us = max(at_us, one.until_us)
    return (at_us, time[1]) if at_us < time[1] else None


def _touch(paths: Paths, one: Place, other: Place, time: tuple[int, int]) -> bool:
    """Return whether, at some time, one of two places is in the other or both are the same."""
    return any(
        outer in part.value
        for inner, outer in ((one, other), (other, one))
        for part in paths.of(inner).within(*time)
    )
