"""The places as of one instant: site, halls, modules, racks, nodes.

In: a `Structure`, an instant. Out: a `Tree`. Names are in the order of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tokenergy_collectors.lake.nodenames import NodeNames
from tokenergy_sql.places.nodekey import node_key
from tokenergy_sql.places.paths import place_around
from tokenergy_sql.places.place import KINDS, SITE, Kind, Place
from tokenergy_sql.places.placekeys import Cooling, HallKeys, ModuleKeys, RackKeys
from tokenergy_sql.places.placing import Structure


@dataclass(frozen=True, slots=True)
class Spot:
    """A place as of an instant.

    Attributes:
        place: its kind and name.
        cooling: its own, else that of the place around it; None: not declared.
        rated_mw: what it is rated for, milliwatts; None: not declared.
        type: of a module; None: not declared.
        parts: what is directly in it.
    """

    place: Place
    cooling: Cooling | None
    rated_mw: int | None
    type: str | None
    parts: tuple[Spot, ...]

    def walk(self) -> Iterator[Spot]:
        """Yield this place and all places in it, each before its parts."""
        yield self
        for part in self.parts:
            yield from part.walk()


class Tree:
    """All places as of an instant.

    Args:
        root: the site.
        names: of nodes: a node is found by its short and its full name.
    """

    def __init__(self, root: Spot, names: NodeNames) -> None:
        self.root = root
        self._names = names
        self._spots = {spot.place: spot for spot in root.walk()}
        self._around = {part.place: spot.place for spot in root.walk() for part in spot.parts}

    def spot(self, place: Place) -> Spot | None:
        """Return a place; None if it is not there."""
        return self._spots.get(self._usual(place))

    def path(self, place: Place) -> tuple[Place, ...]:
        """Return the places from the site down to a place, itself included; () if it is not there.

        So a node's hall, module and rack are among the places of its path.
        """
        place = self._usual(place)
        if place not in self._spots:
            return ()
        found = [place]
        while found[-1] != SITE:
            found.append(self._around[found[-1]])
        return tuple(reversed(found))

    def of_kind(self, kind: Kind) -> list[Place]:
        """Return all places of a kind."""
        return [place for place in self._spots if place.kind == kind]

    def _usual(self, place: Place) -> Place:
        return (
            place._replace(name=node_key(self._names, place.name))
            if place.kind == "node"
            else place
        )


def tree_at(structure: Structure, ts_us: int) -> Tree:
    """Return the places as of an instant (microseconds UTC)."""
    inside: dict[Place, list[tuple[Place, object]]] = {}
    for kind in KINDS[1:]:
        for name, timeline in structure.of_kind(kind).items():
            if (entry := timeline.at(ts_us)) is not None:
                inside.setdefault(place_around(entry.keys), []).append(
                    (Place(kind, name), entry.keys)
                )
    site = _spot(SITE, None, None, structure, inside, ts_us)
    return Tree(site, structure.node_names)


def _spot(
    place: Place,
    keys: object,
    cooling: Cooling | None,
    structure: Structure,
    inside: dict[Place, list[tuple[Place, object]]],
    ts_us: int,
) -> Spot:
    """Return a place with its parts.

    Args:
        place: the place.
        keys: its entry; None for the site.
        cooling: of the place around it.
        structure: has the types of modules.
        inside: what is directly in each place.
        ts_us: the instant.
    """
    rated_kw, type_ = None, None
    if isinstance(keys, HallKeys):
        cooling, rated_kw = keys.cooling, keys.rated_kw
    elif isinstance(keys, RackKeys):
        rated_kw = keys.rated_kw
    elif isinstance(keys, ModuleKeys) and keys.type is not None:
        type_ = keys.type
        declared = structure.types[type_].at(ts_us)
        if declared is not None:
            cooling, rated_kw = declared.keys.cooling or cooling, declared.keys.rated_kw
    parts = tuple(
        _spot(part, own, cooling, structure, inside, ts_us) for part, own in inside.get(place, ())
    )
    rated_mw = None if rated_kw is None else round(rated_kw * 1_000_000)
    return Spot(place, cooling, rated_mw, type_, parts)
