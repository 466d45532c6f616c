"""Which places are metered, and by what: themselves, all their parts, or only with what is around.

In: the places and the meters as of an instant. Out: how the electricity of each place is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tokenergy_sql.places.meters import Meter, MeterTree
from tokenergy_sql.places.place import Place
from tokenergy_sql.places.tree import Spot, Tree

How = Literal["itself", "parts", "around", "not"]


@dataclass(frozen=True, slots=True)
class Metered:
    """How the electricity of a place is metered.

    Attributes:
        how: `itself`: a meter of its own; `parts`: each of its parts is metered; `around`: only
            together with others; `not`: not at all.
        by: ids of the meters, if any; of `parts`, none.
        place: where these meters are; None if there are none.
    """

    how: How
    by: tuple[str, ...] = ()
    place: Place | None = None


def metered(tree: Tree, meters: MeterTree) -> dict[Place, Metered]:
    """Return how each place is metered, from the site down."""
    found: dict[Place, Metered] = {}
    _note(tree.root, meters, Metered("not"), found)
    return found


def _note(spot: Spot, meters: MeterTree, around: Metered, found: dict[Place, Metered]) -> None:
    own = tuple(meter.id for meter in meters.at_place(spot.place) if _enters(meter))
    # Held open, so that places come before their parts.
    found[spot.place] = around
    inner = Metered("around", own, spot.place) if own else around
    for part in spot.parts:
        _note(part, meters, inner, found)
    if own:
        found[spot.place] = Metered("itself", own, spot.place)
    elif spot.parts and all(found[p.place].how in ("itself", "parts") for p in spot.parts):
        found[spot.place] = Metered("parts")


def _enters(meter: Meter) -> bool:
    return meter.rules.enters
