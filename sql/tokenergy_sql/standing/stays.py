"""Where each node stood in an hour, from slot to slot.

In: what the site file places, the nodes of the ledger, a grid. Out: `Stay`s, and the ratings and
types of places. A node that moves, or whose rack does, has a stay before and one after.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.places import Place, Places
from tokenergy_sql.places.nodekey import node_key
from tokenergy_sql.places.tree import Tree
from tokenergy_sql.standing.grid import Grid


class Where(NamedTuple):
    """The places around a node; all None: it stands in no rack."""

    hall: str | None = None
    module: str | None = None
    rack: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Stay:
    """A node in one rack.

    Attributes:
        node: its number.
        first, last: the slots, `last` not included.
        where: the places around it.
    """

    node: int
    first: int
    last: int
    where: Where


@dataclass(frozen=True, slots=True)
class Standing:
    """Where everything stood in an hour.

    Attributes:
        names: of nodes: those of the ledger, then those that are placed and not in it.
        stays: of all nodes, each for all of the hour.
        rated_mw: declared ratings, by place; the last of the hour.
        trees: the places, each with the first slot and the one after the last.
    """

    names: list[str]
    stays: list[Stay]
    rated_mw: dict[Place, int] = field(default_factory=dict)
    trees: list[tuple[int, int, Tree]] = field(default_factory=list)


def cuts_of(places: Places, hour_us: int) -> list[int]:
    """Return the instants inside an hour at which something moves, or a meter is replaced."""
    return places.edges(hour_us, hour_us + HOUR_US)


def places_nodes(places: Places, hour_us: int) -> bool:
    """Return whether the site file places a node in some of an hour."""
    interval = hour_us, hour_us + HOUR_US
    nodes = places.structure.nodes.values()
    return any(True for one in nodes for _ in one.within(*interval))


def standing(places: Places, recorded: Sequence[str], grid: Grid) -> Standing:
    """Return where everything stood.

    Args:
        places: what the site file says.
        recorded: nodes of the ledger.
        grid: of the hour; cut where something moves.
    """
    edges = [grid.hour_us, *cuts_of(places, grid.hour_us), grid.hour_us + HOUR_US]
    trees = [(grid.slot(a), grid.slot(b), places.at(a)) for a, b in pairwise(edges)]
    names = [*recorded, *_absent(places, recorded, trees)]
    stays = [
        stay
        for node, name in enumerate(names)
        for stay in _stays(node, name, trees, absent=node >= len(recorded))
    ]
    rated = {
        spot.place: spot.rated_mw
        for *_, tree in trees
        for spot in tree.root.walk()
        if spot.rated_mw is not None
    }
    return Standing(names, stays, rated, trees)


def _absent(
    places: Places, recorded: Sequence[str], trees: Sequence[tuple[int, int, Tree]]
) -> list[str]:
    """Return the nodes that are placed and not in the ledger."""
    there = {node_key(places.structure.node_names, name) for name in recorded}
    placed = {place.name for *_, tree in trees for place in tree.of_kind("node")}
    return sorted(placed - there)


def _stays(
    node: int, name: str, trees: Sequence[tuple[int, int, Tree]], *, absent: bool
) -> Iterator[Stay]:
    found: list[Stay] = []
    for first, last, tree in trees:
        where = where_of(tree, name)
        if found and found[-1].where == where:
            found[-1] = replace(found[-1], last=last)
        else:
            found.append(Stay(node, first, last, where))
    # Of a node that nobody recorded nothing is known but where it stands.
    yield from (stay for stay in found if stay.where.rack or not absent)


def where_of(tree: Tree, name: str) -> Where:
    """Return the places around a node."""
    found = {place.kind: place.name for place in tree.path(Place("node", name))}
    module = tree.spot(Place("module", found["module"])) if "module" in found else None
    return Where(
        found.get("hall"),
        found.get("module"),
        found.get("rack"),
        None if module is None else module.type,
    )
