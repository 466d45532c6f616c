"""Whether the meters' sums can be right: what feeds what, at every instant.

In: the meters and the places over time. Out: problems: unknown ids and places, circles, a meter
that one sum would count twice, a meter outside its parent's place, sums of unlike quantities.
"""

from __future__ import annotations

from collections.abc import Iterator

from tokenergy_collectors.base.instants import FIRST_US
from tokenergy_sql.places.meters import Meter, Meters, MeterTree
from tokenergy_sql.places.paths import Paths
from tokenergy_sql.places.placing import Structure, require_there
from tokenergy_sql.places.problems import Problems, known_names
from tokenergy_sql.places.timeline import Span, show_instant, show_span
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
        first = timeline.spans[0].value
        for span in timeline.spans[1:]:
            if span.value.quantity != first.quantity:
                problems.add(
                    f"{first.where} and {span.value.where}: one meter has {first.quantity} and "
                    f"{span.value.quantity}; give the other register an id of its own"
                )
    for pair in _pairs(meters):
        _check_alike(*pair, problems)
    _check_sums(meters, problems)


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


def _check_sums(meters: Meters, problems: Problems) -> None:
    """Add circles, and meters that a sum counts twice, at every instant at which any may begin."""
    told: set[object] = set()
    fed = {below for span in _spans(meters) for below in span.value.feeds}
    joined = {span.value.id for span in _spans(meters) if span.value.feeds} | fed
    edges = {
        edge
        for name in joined & meters.by_id.keys()
        for span in meters.by_id[name].spans
        for edge in (span.from_us, span.until_us)
    }
    for ts_us in sorted({FIRST_US, *edges}):
        tree = meters.at(ts_us)
        circle = _circle(tree)
        if circle:
            if frozenset(circle) not in told:
                told.add(frozenset(circle))
                way = " feeds ".join([*circle, circle[0]])
                problems.add(
                    f"{tree.meters[circle[0]].where}: meters feed each other in a circle: {way} "
                    f"({_since(ts_us)}); remove one of them from the `feeds` above it"
                )
            continue
        for below in tree.meters:
            for one, other, shared in _twice(tree, below):
                if (below, one, other, shared) not in told:
                    told.add((below, one, other, shared))
                    problems.add(_twice_line(tree, below, one, other, shared, ts_us))


def _since(ts_us: int) -> str:
    return "always" if ts_us == FIRST_US else f"from {show_instant(ts_us)}"


def _circle(tree: MeterTree) -> list[str]:
    """Return the meters of a circle, each feeding the next; empty if there is none."""
    done: set[str] = set()
    for start in tree.meters:
        way: list[str] = []
        todo = [(start, 0)]
        while todo:
            one, depth = todo.pop()
            del way[depth:]
            if one in way:
                return way[way.index(one) :]
            if one not in done:
                done.add(one)
                way.append(one)
                todo += [(below, depth + 1) for below in tree.below(one)]
    return []


def _twice(tree: MeterTree, below: str) -> Iterator[tuple[str, str, str]]:
    """Yield pairs of parents of a meter that are below one meter, or one below the other.

    Two sources of one meter, such as grid and generator, are no such pair.

    Yields:
        One parent, the other one, and the meter that counts `below` twice.
    """
    parents = tree.above(below)
    if len(parents) < 2:
        return
    above = {parent: {parent, *tree.all_above(parent)} for parent in parents}
    for number, one in enumerate(parents):
        for other in parents[number + 1 :]:
            shared = above[one] & above[other]
            # The lowest: nothing else that both have in common is below it.
            lowest = [s for s in shared if not any(s in tree.all_above(t) for t in shared)]
            if lowest:
                yield one, other, min(lowest)


def _twice_line(tree: MeterTree, below: str, one: str, other: str, shared: str, ts_us: int) -> str:
    where, since = tree.meters[shared].where, _since(ts_us)
    if shared in (one, other):
        through = other if shared == one else one
        return (
            f"{where}: feeds {below!r} directly and through {through!r}, so its sum counts it "
            f"twice ({since}); remove {below!r} from the `feeds` of one of them"
        )
    return (
        f"{where}: feeds {below!r} through {one!r} and through {other!r}, so its sum counts it "
        f"twice ({since}); keep it in the `feeds` of one, or meter each of its supplies"
    )
