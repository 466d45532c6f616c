"""That no sum of meters counts one twice, and that meters feed each other in no circle, ever.

In: the meters over time. Out: problems. What is wrong begins where something new feeds a meter, so
only that is looked at, and what is below it: a site has thousands of meters, and a few change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tokenergy_collectors.base.instants import FIRST_US
from tokenergy_sql.places.meters import Meters
from tokenergy_sql.places.problems import Problems
from tokenergy_sql.places.timeline import show_instant

Link = tuple[str, str]
"""A meter, and one directly below it."""


class LinkGraph:
    """What feeds what at an instant."""

    def __init__(self) -> None:
        self._below: dict[str, set[str]] = {}
        self._above: dict[str, set[str]] = {}

    def add(self, link: Link) -> None:
        """Add a link."""
        above, below = link
        self._below.setdefault(above, set()).add(below)
        self._above.setdefault(below, set()).add(above)

    def remove(self, link: Link) -> None:
        """Remove a link that is there."""
        above, below = link
        self._below[above].remove(below)
        self._above[below].remove(above)

    def above(self, one: str) -> list[str]:
        """Return the meters directly above one, in order."""
        return sorted(self._above.get(one, ()))

    def all_above(self, ones: Iterable[str]) -> set[str]:
        """Return some meters and all above them."""
        return _reached(ones, self._above)

    def all_below(self, ones: Iterable[str]) -> set[str]:
        """Return some meters and all below them."""
        return _reached(ones, self._below)

    def circle(self, starts: Iterable[str]) -> list[str]:
        """Return the meters of a circle below some meters, each feeding the next; or nothing."""
        done: set[str] = set()
        for start in starts:
            way: list[str] = []
            todo = [(start, 0)]
            while todo:
                one, depth = todo.pop()
                del way[depth:]
                if one in way:
                    found = way[way.index(one) :]
                    first = found.index(min(found))
                    return found[first:] + found[:first]
                if one not in done:
                    done.add(one)
                    way.append(one)
                    todo += [(below, depth + 1) for below in sorted(self._below.get(one, ()))]
        return []

    def twice(self, below: str) -> Iterator[tuple[str, str, str]]:
        """Yield pairs of parents of a meter that are below one meter, or one below the other.

        Two sources of one meter, such as grid and generator, are no such pair.

        Yields:
            One parent, the other one, and the lowest meter that counts `below` twice.
        """
        parents = self.above(below)
        if len(parents) < 2:
            return
        above = {parent: self.all_above([parent]) for parent in parents}
        for number, one in enumerate(parents):
            for other in parents[number + 1 :]:
                shared = above[one] & above[other]
                # The lowest: no other one that both have in common is below it.
                higher = {high for low in shared for high in self.all_above([low]) - {low}}
                if lowest := shared - higher:
                    yield one, other, min(lowest)


def _reached(ones: Iterable[str], ties: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    todo = list(ones)
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += ties.get(one, ())
    return found


def check_sums(
    meters: Meters, links: Iterable[tuple[Link, tuple[int, int]]], problems: Problems
) -> None:
    """Add circles, and meters that a sum counts twice, at whatever time.

    Args:
        meters: over time.
        links: each meter and one directly below it, and times for which both are there.
        problems: where to add it.
    """
    graph = LinkGraph()
    told: set[tuple[str, str, str, str]] = set()
    for ts_us, ended, begun in _changes(links):
        for link in ended:
            graph.remove(link)
        for link in begun:
            graph.add(link)
        fresh = [below for _, below in begun]
        if circle := graph.circle(fresh):
            way = " feeds ".join([*circle, circle[0]])
            problems.add(
                f"{_where(meters, circle[0], ts_us)}: meters feed each other in a circle: {way} "
                f"({_since(ts_us)}); remove one of them from the `feeds` above it"
            )
            return
        for below in sorted(graph.all_below(fresh)):
            for found in graph.twice(below):
                if (below, *found) not in told:
                    told.add((below, *found))
                    problems.add(_twice_line(meters, below, found, ts_us))


def _changes(
    links: Iterable[tuple[Link, tuple[int, int]]],
) -> Iterator[tuple[int, list[Link], list[Link]]]:
    """Yield each instant at which links end or begin, and these; one that goes on does neither."""
    spans: dict[Link, list[tuple[int, int]]] = {}
    for link, span in links:
        spans.setdefault(link, []).append(span)
    changes: dict[int, tuple[list[Link], list[Link]]] = {}
    for link, times in spans.items():
        until = None
        for first, last in sorted(times):
            if first != until:
                if until is not None:
                    changes.setdefault(until, ([], []))[0].append(link)
                changes.setdefault(first, ([], []))[1].append(link)
            until = last
        if until is not None:
            changes.setdefault(until, ([], []))[0].append(link)
    for ts_us, (ended, begun) in sorted(changes.items()):
        yield ts_us, ended, begun


def _where(meters: Meters, meter_id: str, ts_us: int) -> str:
    meter = meters.by_id[meter_id].at(ts_us)
    return meter_id if meter is None else meter.where


def _since(ts_us: int) -> str:
    return "always" if ts_us == FIRST_US else f"from {show_instant(ts_us)}"


def _twice_line(meters: Meters, below: str, found: tuple[str, str, str], ts_us: int) -> str:
    one, other, shared = found
    where, since = _where(meters, shared, ts_us), _since(ts_us)
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
