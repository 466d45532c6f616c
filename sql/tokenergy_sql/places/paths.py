"""The way from the site down to a place, over time.

In: a `Structure` without unknown names. Out: for each place, spans with the places around it.
"""

from __future__ import annotations

from collections.abc import Iterator

from tokenergy_collectors.base.instants import END_US, FIRST_US
from tokenergy_sql.places.dated import Dated
from tokenergy_sql.places.place import SITE, Place
from tokenergy_sql.places.placekeys import ModuleKeys, PlacedKeys, RackKeys
from tokenergy_sql.places.placing import Structure
from tokenergy_sql.places.timeline import Span, Timeline

Path = tuple[Place, ...]
"""The site, and the places from there down to a place, itself included."""


class Paths:
    """The ways to all places of a structure; each is worked out once."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self._known: dict[Place, Timeline[Path]] = {
            SITE: Timeline([Span(FIRST_US, END_US, (SITE,))])
        }

    def of(self, place: Place) -> Timeline[Path]:
        """Return the way to a place while it is there."""
        found = self._known.get(place)
        if found is None:
            found = self._known[place] = Timeline(self._worked_out(place))
        return found

    def _worked_out(self, place: Place) -> Iterator[Span[Path]]:
        timeline = self._structure.of_kind(place.kind).get(place.name, Timeline())
        for span in timeline.spans:
            around = self.of(place_around(span.value.keys))
            for part in around.within(span.from_us, span.until_us):
                yield Span(part.from_us, part.until_us, (*part.value, place))


def place_around(keys: Dated) -> Place:
    """Return the place that an entry's place is directly in."""
    if isinstance(keys, PlacedKeys):
        return Place("rack", keys.rack)
    if isinstance(keys, RackKeys):
        return Place("module", keys.module) if keys.module else Place("hall", keys.hall or "")
    return Place("hall", keys.hall) if isinstance(keys, ModuleKeys) else SITE
