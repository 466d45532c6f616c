"""What is lost on the way to IT: where two meters show it, and which declared curves add to that.

In: the meters as of an instant, the declared losses of a place. Out: pairs of meters, names. A
curve is left out where a meter's energy holds its loss already: between two meters of a pair, or
behind a meter of IT, cooling or other energy. There it explains a part and adds nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from tokenergy_sql.places import ROLES, Loss, Meter, MeterTree, side_of
from tokenergy_sql.places.roles import Sum

BEHIND: tuple[Sum, ...] = ("it", "cooling", "other")
"""Sums whose meters are behind a UPS."""

_INPUTS = frozenset({"ups_in", "pdu_in"})


def inputs_of(tree: MeterTree, among: Iterable[Meter]) -> list[str]:
    """Return the meters before a UPS or PDU, of some, in the order of their ids.

    One behind another one, or behind a meter of IT energy, is part of what that one shows.
    """
    inputs = {one.id for one in among if one.role in _INPUTS and one.same_circuit_as is None}

    def is_behind(above: str) -> bool:
        return above in inputs or ROLES[tree.meters[above].role].sum == "it"

    return sorted(one for one in inputs if not any(map(is_behind, tree.all_above(one))))


def ups_pairs(tree: MeterTree) -> Iterator[tuple[str, str]]:
    """Yield each meter before a UPS or PDU with each of the first meters of a sum behind it."""
    for meter_id in inputs_of(tree, tree.meters.values()):
        for below in first_behind(tree, meter_id):
            yield meter_id, below


def first_behind(tree: MeterTree, meter_id: str) -> list[str]:
    """Return the first meters of IT, cooling and other energy below one, in order."""
    found: set[str] = set()
    todo = tree.below(meter_id)
    seen: set[str] = set()
    while todo:
        one = todo.pop()
        if one in seen:
            continue
        seen.add(one)
        meter = tree.meters[one]
        if meter.same_circuit_as is None and ROLES[meter.role].sum in BEHIND:
            found.add(one)
        else:
            todo += tree.below(one)
    return sorted(found)


def counted_curves(
    losses: Iterable[Loss],
    tree: MeterTree,
    ends: Collection[str],
    pairs: Mapping[str, Collection[str]],
) -> tuple[str, ...]:
    """Return the names of the losses that no sum of a place holds already.

    Args:
        losses: of the place.
        tree: the meters.
        ends: ids of the meters of its IT, cooling and other energy.
        pairs: its meters before a UPS or PDU, each with those behind it.
    """
    found = []
    for loss in losses:
        there = [tree.meters[one] for one in loss.between if one in tree.meters]
        if there and not any(_is_held(loss, one, tree, ends, pairs) for one in there):
            found.append(loss.name)
    return tuple(found)


def _is_held(
    loss: Loss,
    meter: Meter,
    tree: MeterTree,
    ends: Collection[str],
    pairs: Mapping[str, Collection[str]],
) -> bool:
    """Return whether energy that meters show already holds the loss next to one of them."""
    at = meter.id if meter.same_circuit_as is None else meter.same_circuit_as
    above = tree.all_above(at)
    # A loss behind its meter is in what that meter shows; one before it is in what those above do.
    holding = above | {at} if side_of(loss, meter) == "before" else above
    return not holding.isdisjoint(ends) or not holding.isdisjoint(pairs)
