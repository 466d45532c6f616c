"""The meters of single nodes, and for which time they and the node's boards are known together.

A node's meters are those of the IT sum at `node:NAME`; of a node that has none and stands alone in
its rack, those of the rack.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from tokenergy_sql.metering.amount import Amount, total
from tokenergy_sql.metering.course import Course
from tokenergy_sql.metering.intervals import Interval, Intervals, common, length
from tokenergy_sql.metering.sums import Moment
from tokenergy_sql.places import Place, Places, Tree
from tokenergy_sql.places.roles import roles_of

Parts = Sequence[tuple[Interval, Tree, Moment]]
"""The parts of an interval within which no place and no meter changes."""


class BoardSpans(NamedTuple):
    """When the boards of a node were booked.

    Attributes:
        watched: the time for which any of them was.
        known: the time for which the energy of all of them is known.
    """

    watched: Intervals
    known: Intervals


class Known(NamedTuple):
    """What came into a node, over the time for which its boards are known too.

    Attributes:
        amount: what its meters counted.
        spans: that time.
        ids: of the meters, sorted.
    """

    amount: Amount
    spans: Intervals
    ids: tuple[str, ...]


def are_metered(places: Places) -> bool:
    """Return whether any node, or any rack, has a meter of IT energy at any time."""
    roles = roles_of("it")
    return any(
        span.value.place.kind in ("node", "rack") and span.value.role in roles
        for of_id in places.meters.by_id.values()
        for span in of_id.spans
    )


def parts_of(places: Places, interval: Interval) -> Parts:
    """Return the parts of an interval within which no place and no meter changes."""
    edges = [interval[0], *places.edges(*interval), interval[1]]
    found = []
    for part in pairwise(edges):
        tree = places.at(part[0])
        found.append((part, tree, Moment(tree, places.meters.at(part[0]))))
    return found


def meters_of(node: str, tree: Tree, moment: Moment) -> tuple[str, ...]:
    """Return the ids of a node's meters, sorted; none if it has none."""
    path = tree.path(Place("node", node))
    if not path:
        return ()
    found = moment.sums_of(path[-1]).meters.get("it", ())
    rack = tree.spot(path[-2])
    if not found and rack is not None and path[-2].kind == "rack" and len(rack.parts) == 1:
        found = moment.sums_of(path[-2]).meters.get("it", ())
    return tuple(sorted(meter.id for meter in found))


def known_input(
    node: str, parts: Parts, courses: Mapping[str, Course], boards: BoardSpans
) -> Known | None:
    """Return what came into a node; None if it has no meters in the interval."""
    amounts: list[Amount] = []
    spans: list[Interval] = []
    every: set[str] = set()
    of_parts = [(meters_of(node, tree, moment), part) for part, tree, moment in parts]
    # An edge at which the node's meters stay must not make the bounds wider.
    for ids, run in groupby(of_parts, lambda one: one[0]):
        times = [part for _, part in run]
        if not ids:
            continue
        every.update(ids)
        known = common(boards.known, [(times[0][0], times[-1][1])])
        for meter_id in ids:
            known = common(known, courses.get(meter_id, Course()).known)
        amounts += [courses[one].amount(*span) for span in known for one in ids]
        spans += known
    return Known(total(amounts), spans, tuple(sorted(every))) if every else None


def board_spans(rows: Iterable[tuple[str, bool, int, int]], watched: Intervals) -> BoardSpans:
    """Return when the boards of a node were booked and known.

    Args:
        rows: a board, whether its energy is not known, from when to when; of each board and kind
            ascending and disjoint.
        watched: the time for which any of them was booked.
    """
    known: Intervals = watched
    for _, of_board in groupby(sorted(rows), lambda row: row[0]):
        spans: dict[bool, list[Interval]] = {False: [], True: []}
        for _, unknown, from_us, to_us in of_board:
            spans[unknown].append((from_us, to_us))
        known = common(known, without(spans[False], spans[True]))
    return BoardSpans(watched, known)


def without(one: Intervals, other: Intervals) -> list[Interval]:
    """Return the time of a set that is not in another one."""
    if not one or not other:
        return [*one]
    edges = [one[0][0], *(edge for span in other for edge in span), one[-1][1]]
    holes = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]
    return common(one, holes)


def covered(parts: Intervals, of: Intervals) -> bool:
    """Return whether parts of a set are all of it."""
    return length(parts) == length(of)
