"""What the site file adds to the tables: which meter feeds which, and the hall of each node.

In: the site file of the lake. Out: rows by time. The tables of a lake name meters and places, but
not what stands above what; without a site file in the lake this is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.index.facility import halls_of
from tokenergy_sql.index.site import DEFAULT_NAME, load_places
from tokenergy_sql.metering.lossplaces import ups_pairs
from tokenergy_sql.places import Places, PlacesError

MOST_EPOCHS = 200
"""Most times between which something of the site file changes; of more, it is left out."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A meter before a UPS and one behind it, for the hours from `from_us` on, before `to_us`."""

    meter: str
    below: str
    from_us: int
    to_us: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A node in a hall, for the hours from `from_us` on, before `to_us`."""

    node: str
    hall: str
    from_us: int
    to_us: int


@dataclass(frozen=True, slots=True)
class Feeds:
    """What a site file says of some hours.

    Attributes:
        pairs: meters before and behind each UPS.
        standing: the hall of each node.
        below: by id of a meter, those directly below it, at the end.
        cooling: how each hall is cooled, by `hall:NAME`, at the end.
    """

    pairs: list[Pair]
    standing: list[Standing]
    below: dict[str, list[str]]
    cooling: dict[str, str]


def read_places(root: Path) -> tuple[Places | None, str]:
    """Return what the site file of a lake declares, or None and why not."""
    path = root / DEFAULT_NAME
    if not path.exists():
        return None, f"The lake has no {DEFAULT_NAME}, so what feeds what is not known."
    try:
        return load_places(path), ""
    except (UserError, PlacesError) as error:
        return None, f"What feeds what is not known: {str(error).splitlines()[0]}"


def feeds_of(places: Places, first_us: int, end_us: int, nodes: Iterable[str]) -> Feeds:
    """Return what a site file says of the hours from `first_us` on, before `end_us`.

    An hour in which something changes belongs to no pair; a node's hall in it is the one in which
    it stood longest.
    """
    last = places.meters.at(end_us - 1)
    tree = places.at(end_us - 1)
    spots = ((place, tree.spot(place)) for place in tree.of_kind("hall"))
    found = Feeds(
        [],
        [],
        {meter_id: last.below(meter_id) for meter_id in last.meters},
        {str(place): spot.cooling for place, spot in spots if spot and spot.cooling},
    )
    epochs = [*_epochs(places, first_us, end_us)]
    if len(epochs) > MOST_EPOCHS:
        return found
    names = sorted(nodes)
    for from_us, to_us, steady in epochs:
        for node, hall in halls_of(places, names, from_us).items():
            if hall is not None:
                found.standing.append(Standing(node, hall, from_us, to_us))
        if steady:
            pairs = ups_pairs(places.meters.at(from_us))
            found.pairs.extend(Pair(*pair, from_us, to_us) for pair in pairs)
    return found


def _epochs(places: Places, first_us: int, end_us: int) -> Iterator[tuple[int, int, bool]]:
    """Yield runs of hours in which nothing changes, and each hour in which something does."""
    changing = {edge - edge % HOUR_US for edge in places.edges(first_us, end_us) if edge % HOUR_US}
    starts = {edge for edge in places.edges(first_us, end_us) if not edge % HOUR_US}
    bounds = {first_us, end_us, *starts, *changing, *(hour + HOUR_US for hour in changing)}
    for from_us, to_us in pairwise(sorted(bounds)):
        yield from_us, to_us, from_us not in changing
