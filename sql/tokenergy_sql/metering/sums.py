"""Which meters make up each sum of a place, as of an instant.

In: the places and the meters as of then. Out: for a place and a sum, the meters whose amounts are
added: those in the place that no other meter of the sum there stands above.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tokenergy_sql.metering.lossplaces import BEHIND, counted_curves, first_behind, inputs_of
from tokenergy_sql.places import SITE, SUMS, Loss, Meter, MeterTree, Place, Tree
from tokenergy_sql.places.roles import POWERED, Sum, roles_of

Counted = Sum | Literal["intake"]
"""A sum; `intake` is all that enters a place by its own meters, whatever comes into the site."""


@dataclass(frozen=True, slots=True)
class Sums:
    """The meters of each sum of a place.

    Attributes:
        place: the site, a hall, a module, a rack or a node.
        meters: by sum; only sums that have any. A place whose IT meters are all that enters it has
            no intake: nothing there says what else it uses. Neither has the site.
        lost: ids of the meters before a UPS or PDU (1) and of the first ones behind it (-1): their
            difference is what is lost on the way to IT.
        curves: names of the declared losses of the place that none of its sums hold.
    """

    place: Place
    meters: dict[Counted, tuple[Meter, ...]]
    lost: Mapping[str, int] = field(default_factory=dict)
    curves: tuple[str, ...] = ()

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
        losses: the declared losses.
    """

    def __init__(self, tree: Tree, meters: MeterTree, losses: Iterable[Loss] = ()) -> None:
        self._meters = meters
        self._losses = [(loss, tree.path(loss.place)) for loss in losses]
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
        found: dict[Counted, tuple[Meter, ...]] = {
            sum_: tuple(self._meters.counted(roles_of(sum_), inside)) for sum_ in SUMS
        }
        intake = tuple(self._meters.counted(POWERED, inside))
        if place != SITE and intake != found["it"]:
            found["intake"] = intake
        pairs = {one: first_behind(self._meters, one) for one in inputs_of(self._meters, inside)}
        pairs = {one: behind for one, behind in pairs.items() if behind}
        lost = dict.fromkeys(pairs, 1) | {one: -1 for of in pairs.values() for one in of}
        ends = {one.id for sum_ in BEHIND for one in found[sum_]}
        losses = [loss for loss, path in self._losses if place in path]
        return Sums(
            place,
            {sum_: counted for sum_, counted in found.items() if counted},
            lost,
            counted_curves(losses, self._meters, ends, pairs),
        )
