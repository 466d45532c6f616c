"""What a site file says of cooling, over time: classes, coefficients, and the meters of loops.

In: the tables `[[cooling]]`, the places and their meters. Out: `Declared`, or an error with a line
for each problem.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tokenergy_sql.cooling.classes import CLASSES
from tokenergy_sql.cooling.coefficients import DEFAULTS, Coefficients
from tokenergy_sql.cooling.keys import CoolingKeys, LoopKeys
from tokenergy_sql.places import SITE, Meter, MeterTree, Place, Places, Tree
from tokenergy_sql.places.placing import Entries, entries_of, require_there
from tokenergy_sql.places.problems import Problems, known_names

ROLES = {"flow": "coolant_flow", "supply": "supply_temp", "return": "return_temp"}
"""The role of each meter of a loop."""


class Loop(NamedTuple):
    """A loop of coolant as of an instant: ids of its meters.

    Attributes:
        place: that it takes heat from.
        flow, supply, returning: ids.
        coolant: what flows.
    """

    place: Place
    flow: str
    supply: str
    returning: str
    coolant: str = "water"

    @property
    def meters(self) -> tuple[str, str, str]:
        """Return the ids of its meters."""
        return self.flow, self.supply, self.returning


@dataclass(frozen=True, slots=True)
class Declared:
    """The tables `[[cooling]]` over time, by place."""

    entries: Entries[CoolingKeys] = field(default_factory=dict)

    def at(self, path: Sequence[Place], ts_us: int) -> list[CoolingKeys]:
        """Return the entries that hold for a place: its own first, then of those around it.

        Args:
            path: from the site down to the place.
            ts_us: the instant.
        """
        found = (self.entries.get(str(place)) for place in reversed(path))
        held = (timeline.at(ts_us) for timeline in found if timeline is not None)
        return [entry.keys for entry in held if entry is not None]

    def coefficients(self, path: Sequence[Place], ts_us: int) -> Coefficients:
        """Return the coefficients of a place: the defaults, with those that entries declare."""
        k = DEFAULTS
        for keys in reversed(self.at(path, ts_us)):
            k = k.with_values(keys.coefficients)
        return k

    def loops(self, tree: Tree, meters: MeterTree, ts_us: int) -> list[Loop]:
        """Return the loops of all places as of an instant.

        Those that a place declares; else, where a place has one meter of each role, these.
        """
        declared: dict[Place, list[Loop]] = {}
        for timeline in self.entries.values():
            entry = timeline.at(ts_us)
            if entry is not None and entry.keys.loop:
                declared[entry.keys.place] = [_loop(entry.keys.place, k) for k in entry.keys.loop]
        by_place: dict[Place, dict[str, list[Meter]]] = {}
        for meter in meters.meters.values():
            if meter.role in ROLES.values() and tree.path(meter.place):
                by_place.setdefault(meter.place, {}).setdefault(meter.role, []).append(meter)
        for place, found in by_place.items():
            alone = [found.get(role, []) for role in ROLES.values()]
            if place not in declared and all(len(one) == 1 for one in alone):
                declared[place] = [Loop(place, *(one[0].id for one in alone))]
        return [loop for loops in declared.values() for loop in loops]


def of_equipment(loops: Sequence[Loop], declared: Declared, tree: Tree, ts_us: int) -> list[Loop]:
    """Return the loops that take their heat from the equipment itself.

    A loop of a hall or module does, unless the place is cooled by air: its water cools air then. A
    loop of the site does if the site's own class is one of liquid; else it is one of the plant.
    """

    def is_one(loop: Loop) -> bool:
        held = declared.at((loop.place,), ts_us)
        name = next((one.class_ for one in held if one.class_ is not None), None)
        if name is not None:
            return CLASSES[name].carrier == "liquid"
        spot = tree.spot(loop.place)
        return loop.place != SITE and spot is not None and spot.cooling != "air"

    return [loop for loop in loops if is_one(loop)]


def counted(loops: Sequence[Loop], tree: Tree, place: Place) -> list[Loop]:
    """Return the loops whose heat adds up to that of a place.

    Those in the place; one inside of a place that has loops too carries the same heat again, as a
    rack's or a distribution unit's loop gives it to the hall's, and is left out.
    """
    with_loops = {loop.place for loop in loops}

    def is_outermost(loop: Loop) -> bool:
        path = tree.path(loop.place)
        if place not in path:
            return False
        between = path[path.index(place) : -1]
        return not with_loops & {*between}

    return [loop for loop in loops if is_outermost(loop)]


def declared_of(tables: Sequence[CoolingKeys], places: Places, file: str) -> Declared:
    """Return what the tables `[[cooling]]` of a site file say.

    Args:
        tables: in the order of the file.
        places: of the same file.
        file: its name, for messages.

    Raises:
        PlacesError: the tables contradict each other, or name what is not there.
    """
    problems = Problems()
    entries = entries_of("cooling", tables, problems)
    for timeline in entries.values():
        for span in timeline.spans:
            where, keys = span.value.where, span.value.keys
            if keys.place != SITE:
                known = places.structure.of_kind(keys.place.kind)
                time = span.from_us, span.until_us
                require_there(where, time, keys.place.kind, keys.place.name, known, problems)
            for text in _loop_problems(keys, places):
                problems.add(f"{where}: {text}")
    problems.raise_any(file)
    return Declared(entries)


def _loop(place: Place, keys: LoopKeys) -> Loop:
    return Loop(place, keys.flow, keys.supply, keys.return_, keys.coolant)


def _loop_problems(keys: CoolingKeys, places: Places) -> Iterator[str]:
    """Yield what is wrong with the loops of an entry."""
    used: set[tuple[str, ...]] = set()
    for number, one in enumerate(keys.loop):
        ids = {"flow": one.flow, "supply": one.supply, "return": one.return_}
        for name, meter_id in ids.items():
            timeline = places.meters.by_id.get(meter_id)
            if timeline is None:
                known = known_names(meter_id, places.meters.by_id)
                yield f"loop.{number}: {name} = {meter_id!r} is no meter's id; {known}"
            elif any(span.value.role != ROLES[name] for span in timeline.spans):
                yield f"loop.{number}: {name} = {meter_id!r} has not the role {ROLES[name]}"
        if tuple(ids.values()) in used:
            yield f"loop.{number}: is there twice and would be added twice; keep one"
        used.add(tuple(ids.values()))
