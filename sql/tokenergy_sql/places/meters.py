"""The meters over time, and as of an instant: what each one feeds, and which of them make up a sum.

In: the tables `[[meter]]`. Out: `Meters`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from tokenergy_collectors.lake.nodenames import NodeNames
from tokenergy_sql.places.advance import Advance, Reading, advance
from tokenergy_sql.places.meterkeys import MeterKeys
from tokenergy_sql.places.nodekey import node_key
from tokenergy_sql.places.place import Place
from tokenergy_sql.places.placing import Entries
from tokenergy_sql.places.register import Register
from tokenergy_sql.places.roles import ROLES, Role
from tokenergy_sql.places.timeline import Span, Timeline
from tokenergy_sql.places.units import CUMULATIVE, UNITS, Quantity


@dataclass(frozen=True, slots=True)
class Meter:
    """One register of a meter, for the time of its entry.

    Attributes:
        id: of the raw rows.
        where: how messages call the entry.
        place: where it measures.
        role: see `roles.ROLES`.
        quantity: what it measures.
        unit: of its value × scale, as in the file.
        feeds: ids of the meters directly below it.
        same_circuit_as: id of the meter of which this is a further register; None: of none.
        interval_us: expected time between readings; None: not declared.
        register: unit, scale, accuracy, rollover.
        continues: whether it is the meter of the entry before: only its place, its role or what it
            feeds is another.
    """

    id: str
    where: str
    place: Place
    role: str
    quantity: Quantity
    unit: str
    feeds: tuple[str, ...]
    same_circuit_as: str | None
    interval_us: int | None
    register: Register
    continues: bool = False

    @property
    def rules(self) -> Role:
        """Return what the role means."""
        return ROLES[self.role]


class MeterTree:
    """The meters as of an instant.

    Args:
        meters: by id.
    """

    def __init__(self, meters: Mapping[str, Meter]) -> None:
        self.meters = meters
        self._above: dict[str, list[str]] = {}
        for meter in meters.values():
            for below in meter.feeds:
                if below in meters:
                    self._above.setdefault(below, []).append(meter.id)

    def below(self, meter_id: str) -> list[str]:
        """Return the ids of the meters directly below one, of those that are there."""
        return [one for one in self.meters[meter_id].feeds if one in self.meters]

    def above(self, meter_id: str) -> list[str]:
        """Return the ids of the meters directly above one."""
        return self._above.get(meter_id, [])

    def all_above(self, meter_id: str) -> set[str]:
        """Return the ids of all meters above one, itself not included."""
        found: set[str] = set()
        todo = list(self.above(meter_id))
        while todo:
            one = todo.pop()
            if one not in found:
                found.add(one)
                todo += self.above(one)
        return found

    def at_place(self, place: Place) -> list[Meter]:
        """Return the meters of a place itself, not of what is in it."""
        return self._by_place.get(place, [])

    @cached_property
    def _by_place(self) -> dict[Place, list[Meter]]:
        found: dict[Place, list[Meter]] = {}
        for meter in self.meters.values():
            found.setdefault(meter.place, []).append(meter)
        return found

    def counted(self, roles: Collection[str], among: Iterable[Meter] | None = None) -> list[Meter]:
        """Return the meters of some roles of which none stands above another one.

        Args:
            roles: names of roles.
            among: only these meters, such as those of a place; what stands between two of them need
                not be among them.

        Their sum counts nothing twice: what a meter shows is part of what those above it show. A
        further register of a circuit is left out, also while the other one is not there.
        """
        chosen = {
            one.id
            for one in (self.meters.values() if among is None else among)
            if one.role in roles and one.same_circuit_as is None
        }
        return [self.meters[one] for one in sorted(chosen) if not chosen & self.all_above(one)]


class Meters:
    """All meters over time.

    Args:
        entries: of the tables `[[meter]]`.
        nodes: names of nodes: meters of a node are found by the one that the places use.
    """

    def __init__(
        self,
        entries: Entries[MeterKeys] | None = None,
        nodes: NodeNames | None = None,
    ) -> None:
        nodes = nodes or NodeNames(())
        self.by_id: dict[str, Timeline[Meter]] = {
            meter_id: Timeline(
                Span(span.from_us, span.until_us, _meter(span.value.where, span.value.keys, nodes))
                for span in timeline.spans
            )
            for meter_id, timeline in (entries or {}).items()
        }

    def at(self, ts_us: int) -> MeterTree:
        """Return the meters as of an instant (microseconds UTC)."""
        found = ((meter_id, timeline.at(ts_us)) for meter_id, timeline in self.by_id.items())
        return MeterTree({meter_id: meter for meter_id, meter in found if meter is not None})

    def advance(self, meter_id: str, before: Reading, after: Reading) -> Advance:
        """Return how far a cumulative register went from one reading to the next.

        Raises:
            KeyError: no meter has this id.
            ValueError: the readings are not in order, or the meter's values are momentary.
        """
        spans = continued(self.by_id[meter_id]).spans
        if spans[0].value.quantity not in CUMULATIVE:
            raise ValueError(f"meter {meter_id!r}: has momentary values, which do not add up")
        registers = (Span(s.from_us, s.until_us, s.value.register) for s in spans)
        return advance(Timeline(registers), before, after)


def _meter(where: str, keys: MeterKeys, nodes: NodeNames) -> Meter:
    place = keys.place
    if place.kind == "node":
        place = place._replace(name=node_key(nodes, place.name))
    register = Register(
        UNITS[keys.unit],
        keys.scale,
        keys.resolution,
        keys.accuracy_percent,
        keys.accuracy_absolute,
        keys.modulus,
        keys.max_per_h,
        keys.register_first,
        keys.register_last,
    )
    return Meter(
        keys.id,
        where,
        place,
        keys.role,
        keys.quantity,
        keys.unit,
        tuple(keys.feeds),
        keys.same_circuit_as,
        None if keys.interval_s is None else round(keys.interval_s * 1_000_000),
        register,
        keys.continues,
    )


def continued(entries: Timeline[Meter]) -> Timeline[Meter]:
    """Return the entries of one meter, those joined between which the meter itself stayed.

    Of joined entries the value is the first: use its register and interval alone.
    """
    found: list[Span[Meter]] = []
    for span in entries.spans:
        if span.value.continues and found:
            first = found[-1].value
            register = replace(first.register, last=span.value.register.last)
            meter = replace(first, register=register)
            found[-1] = Span(found[-1].from_us, span.until_us, meter)
        else:
            found.append(span)
    return Timeline(found)
