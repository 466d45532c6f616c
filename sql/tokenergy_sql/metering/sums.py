"""Which meters make up each sum of a place, as of an instant.

In: the places and the meters as of then. Out: for a place and a sum, the meters whose amounts are
added: those in the place that no other meter of the sum there stands above.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokenergy_sql.places import SUMS, Meter, MeterTree, Place, Tree
from tokenergy_sql.places.roles import Sum, roles_of


@dataclass(frozen=True, slots=True)
class Sums:
    """The meters of each sum of a place.

    Attributes:
        place: the site, a hall, a module, a rack or a node.
        meters: by sum; only sums that have any.
    """

    place: Place
    meters: dict[Sum, tuple[Meter, ...]]

    @property
    def pue_category(self) -> int | None:
        """Return the category of PUE: the lowest at which any of its IT energy is measured."""
        categories = (one.rules.pue_category for one in self.meters.get("it", ()))
        return min((one for one in categories if one is not None), default=None)


class Moment:
    """The places and the meters as of an instant.

    Args:
        tree: the places.
        meters: the meters.
    """

    def __init__(self, tree: Tree, meters: MeterTree) -> None:
        self._meters = meters
        self._inside: dict[Place, list[Meter]] = {}
        paths: dict[Place, tuple[Place, ...]] = {}
        for meter in meters.meters.values():
            if meter.place not in paths:
                paths[meter.place] = tree.path(meter.place)
            for place in paths[meter.place]:
                self._inside.setdefault(place, []).append(meter)

    def sums_of(self, place: Place) -> Sums:
        """Return the meters of the sums of a place."""
        inside = self._inside.get(place, [])
        found = {sum_: tuple(self._meters.counted(roles_of(sum_), inside)) for sum_ in SUMS}
        return Sums(place, {sum_: counted for sum_, counted in found.items() if counted})
