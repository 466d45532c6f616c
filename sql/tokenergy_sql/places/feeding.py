"""Whether the meters' sums can be right: what feeds what, at every instant.

In: the meters and the places over time. Out: problems: unknown ids and places, a meter outside its
parent's place, sums of unlike quantities; circles and double counting, see `sums.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tokenergy_sql.places.meters import Meter, Meters
from tokenergy_sql.places.paths import Paths
from tokenergy_sql.places.placing import Structure, require_there
from tokenergy_sql.places.problems import Problems, known_names
from tokenergy_sql.places.sums import check_sums
from tokenergy_sql.places.timeline import Span, Timeline, show_span
from tokenergy_sql.places.units import Quantity

_ALIKE: dict[Quantity, str] = {
    "energy": "energy",
    "power": "energy",
    "volume": "water",
    "flow": "water",
}
"""What a quantity is of: a sum of meters must be of one of these."""


def check_meters(meters: Meters, structure: Structure, problems: Problems) -> None:
    """Add what is wrong with the meters of a site to its problems."""
    for span in _spans(meters):
        _check_place(span, structure, problems)
        _check_ids(span, meters, problems)
    for timeline in meters.by_id.values():
        _check_continues(timeline, problems)
        first = timeline.spans[0].value
        for span in timeline.spans[1:]:
            if span.value.quantity != first.quantity:
                problems.add(
                    f"{first.where} and {span.value.where}: one meter has {first.quantity} and "
                    f"{span.value.quantity}; give the other register an id of its own"
                )
    for pair in _pairs(meters):
        _check_alike(*pair, problems)
    links = (((above.id, below.id), time) for above, below, time in _pairs(meters))
    check_sums(meters, links, problems)


def check_within(meters: Meters, structure: Structure, problems: Problems) -> None:
    """Add meters whose place is not in the place of the meter above them.

    Args:
        meters: of known places.
        structure: without unknown names.
        problems: where to add it.
    """
    paths = Paths(structure)
    for above, below, (from_us, until_us) in _pairs(meters):
        outer, inner = above.place, below.place
        for part in paths.of(inner).within(from_us, until_us):
            if outer not in part.value:
                problems.add(
                    f"{above.where}: feeds {below.id!r} at {inner}, which is not in {outer} "
                    f"({show_span(part.from_us, part.until_us) or 'always'}); correct the place of "
                    "one of them, or what feeds it"
                )
                break


def _spans(meters: Meters) -> Iterator[Span[Meter]]:
    for timeline in meters.by_id.values():
        yield from timeline.spans


def _check_continues(timeline: Timeline[Meter], problems: Problems) -> None:
    """Add entries that continue nothing, or another register."""
    before: Span[Meter] | None = None
    for span in timeline.spans:
        meter = span.value
        if meter.continues and (before is None or before.until_us != span.from_us):
            problems.add(
                f"{meter.where}: continues, but no entry of {meter.id!r} ends where it begins; "
                "give the entry before it the same instant as `until`, or remove `continues`"
            )
        elif (
            meter.continues
            and before is not None
            and before.value.register != replace(meter.register, last=None)
        ):
            problems.add(
                f"{meter.where}: continues {before.value.where}, but as another register: unit, "
                "scale, resolution, accuracy, rollover and max_per_h must be the same, without "
                "register_last; remove `continues` if the meter was replaced"
            )
        before = span


def _check_place(span: Span[Meter], structure: Structure, problems: Problems) -> None:
    place = span.value.place
    if place.kind != "site":
        table = "placed" if place.kind == "node" else place.kind
        time = span.from_us, span.until_us
        known = structure.of_kind(place.kind)
        require_there(span.value.where, time, table, place.name, known, problems)


def _check_ids(span: Span[Meter], meters: Meters, problems: Problems) -> None:
    for below in span.value.feeds:
        if below not in meters.by_id:
            known = known_names(below, meters.by_id)
            problems.add(f"{span.value.where}: feeds {below!r}, which is no meter's id; {known}")
        elif not list(meters.by_id[below].within(span.from_us, span.until_us)):
            problems.add(
                f"{span.value.where}: feeds {below!r}, which is never there at the same time; "
                "correct `from` and `until` of one of them"
            )


def _pairs(meters: Meters) -> Iterator[tuple[Meter, Meter, tuple[int, int]]]:
    """Yield each meter, each one directly below it, and a time for which both are there."""
    for span in _spans(meters):
        for name in span.value.feeds:
            if name in meters.by_id:
                for below in meters.by_id[name].within(span.from_us, span.until_us):
                    yield span.value, below.value, (below.from_us, below.until_us)


def _check_alike(above: Meter, below: Meter, time: tuple[int, int], problems: Problems) -> None:
    of, other = _ALIKE.get(above.quantity), _ALIKE.get(below.quantity)
    if of != other:
        problems.add(
            f"{above.where}: has {above.quantity} and feeds {below.id!r}, which has "
            f"{below.quantity}; a sum is of one kind: remove it from `feeds`"
        )
