"""Where everything stood when: halls, modules, racks and nodes, each with its entries over time.

In: the tables of `placekeys.py`. Out: a `Structure`, or problems: a name that two entries claim at
one time, a name that is not there, more racks than a module holds, cooling that its hall does not
have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tokenergy_collectors.lake.nodenames import NodeNames
from tokenergy_sql.places.dated import Dated
from tokenergy_sql.places.keys import PlaceKeys
from tokenergy_sql.places.nodekey import node_key
from tokenergy_sql.places.place import Kind
from tokenergy_sql.places.placekeys import (
    HallKeys,
    ModuleKeys,
    ModuleTypeKeys,
    PlacedKeys,
    RackKeys,
)
from tokenergy_sql.places.problems import Problems, known_names
from tokenergy_sql.places.timeline import Span, Timeline, show_instant, show_span

K = TypeVar("K", bound=Dated)


@dataclass(frozen=True, slots=True)
class Entry(Generic[K]):
    """One table of the site file, for one of its names.

    Attributes:
        where: how messages call it.
        name: of what it is about.
        keys: the table.
    """

    where: str
    name: str
    keys: K


Entries = dict[str, Timeline[Entry[K]]]
"""The entries of each name, over time."""


@dataclass(slots=True)
class Structure:
    """Everything that stands somewhere, by kind and name."""

    halls: Entries[HallKeys] = field(default_factory=dict)
    types: Entries[ModuleTypeKeys] = field(default_factory=dict)
    modules: Entries[ModuleKeys] = field(default_factory=dict)
    racks: Entries[RackKeys] = field(default_factory=dict)
    nodes: Entries[PlacedKeys] = field(default_factory=dict)
    node_names: NodeNames = field(default_factory=lambda: NodeNames(()))

    def of_kind(self, kind: Kind) -> Mapping[str, Timeline[Any]]:
        """Return the entries of a kind of place, by name; none of the site."""
        kinds: dict[str, Mapping[str, Timeline[Any]]] = {
            "hall": self.halls,
            "module": self.modules,
            "rack": self.racks,
            "node": self.nodes,
        }
        return kinds.get(kind, {})

    def timelines(self) -> Iterator[Timeline[Any]]:
        """Yield the timeline of every name."""
        for kind in (self.halls, self.types, self.modules, self.racks, self.nodes):
            yield from kind.values()


def entries_of(
    table: str, tables: Sequence[K], problems: Problems, names: NodeNames | None = None
) -> Entries[K]:
    """Return the entries of each name; a name may have several, one after the other.

    Args:
        table: what the tables are called in the file.
        tables: in the order of the file.
        problems: where overlaps are added.
        names: of nodes, so that a node's short and full name are one; None for other names.
    """
    spans: dict[str, list[Span[Entry[K]]]] = {}
    for number, keys in enumerate(tables):
        for name in keys.all_names:
            key = name if names is None else node_key(names, name)
            entry = Entry(f'{table}.{number} ("{name}")', key, keys)
            spans.setdefault(key, []).append(Span(keys.from_us, keys.until_us, entry))
    found = {name: Timeline(parts) for name, parts in spans.items()}
    for name, timeline in found.items():
        if both := timeline.overlap():
            first, second = both
            since, until = first.shared(second.from_us, second.until_us) or (0, 0)
            when = show_span(since, until) or "always"
            problems.add(
                f"{first.value.where} and {second.value.where}: {name!r} is there twice ({when}); "
                "end the earlier entry with an `until`, or remove one"
            )
    return found


def structure_of(keys: PlaceKeys, problems: Problems) -> Structure:
    """Return where everything stands, and add what is wrong with it to the problems."""
    names = NodeNames({name for placed in keys.placed for name in placed.all_names})
    found = Structure(
        entries_of("hall", keys.hall, problems),
        entries_of("module_type", keys.module_type, problems),
        entries_of("module", keys.module, problems),
        entries_of("rack", keys.rack, problems),
        entries_of("placed", keys.placed, problems, names),
        names,
    )
    for span in _spans(found.modules):
        _require(span, "hall", span.value.keys.hall, found.halls, problems)
        _require(span, "module_type", span.value.keys.type, found.types, problems)
    for rack in _spans(found.racks):
        _require(rack, "module", rack.value.keys.module, found.modules, problems)
        _require(rack, "hall", rack.value.keys.hall, found.halls, problems)
    for node in _spans(found.nodes):
        _require(node, "rack", node.value.keys.rack, found.racks, problems)
    _check_room(found, problems)
    _check_cooling(found, problems)
    return found


def _spans(entries: Entries[K]) -> Iterator[Span[Entry[K]]]:
    for timeline in entries.values():
        yield from timeline.spans


def _require(
    span: Span[Entry[K]],
    kind: str,
    name: str | None,
    known: Mapping[str, Timeline[Any]],
    problems: Problems,
) -> None:
    """Add a problem if what an entry names is not there for all the time of the entry."""
    if name is not None:
        require_there(span.value.where, (span.from_us, span.until_us), kind, name, known, problems)


def require_there(
    where: str,
    time: tuple[int, int],
    kind: str,
    name: str,
    known: Mapping[str, Timeline[Any]],
    problems: Problems,
) -> None:
    """Add a problem if a place is not there for all of a time.

    Args:
        where: the entry that names it.
        time: for which the entry holds: first instant, instant after the last.
        kind: of the place, as its table is called.
        name: of the place.
        known: all entries of that kind.
        problems: where to add it.
    """
    if name not in known:
        problems.add(f"{where}: no [[{kind}]] is called {name!r}; {known_names(name, known)}")
    elif gap := known[name].gap(*time):
        problems.add(
            f"{where}: {kind} {name!r} is not there {show_span(*gap)}; give this entry the same "
            f"`from` and `until`, or add an entry of the {kind} for that time"
        )


def _check_room(found: Structure, problems: Problems) -> None:
    """Add modules that hold more racks than their type says."""
    inside: dict[str, list[Span[Entry[RackKeys]]]] = {}
    for rack in _spans(found.racks):
        inside.setdefault(rack.value.keys.module or "", []).append(rack)
    for module in _spans(found.modules):
        name = module.value.keys.type
        if name is None or name not in found.types:
            continue
        for type_ in found.types[name].within(module.from_us, module.until_us):
            racks = [
                part
                for rack in inside.get(module.value.name, ())
                if (part := rack.shared(type_.from_us, type_.until_us))
            ]
            most, at_us = _most_at_once(racks)
            if most > type_.value.keys.racks:
                problems.add(
                    f"{module.value.where}: has {most} racks at {show_instant(at_us)}, its type "
                    f"{name!r} holds {type_.value.keys.racks}; correct `racks` of the type, or "
                    "move racks"
                )


def _most_at_once(parts: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return how many of some times hold at once at most, and the first instant at which."""
    steps = sorted([(since, 1) for since, _ in parts] + [(until, -1) for _, until in parts])
    count = most = at_us = 0
    for instant, step in steps:  # at one instant, ends come first
        count += step
        if count > most:
            most, at_us = count, instant
    return most, at_us


def _check_cooling(found: Structure, problems: Problems) -> None:
    """Add modules whose type is cooled in another way than their hall."""
    for module in _spans(found.modules):
        keys = module.value.keys
        if keys.type not in found.types or keys.hall not in found.halls:
            continue
        for type_ in found.types[keys.type].within(module.from_us, module.until_us):
            for hall in found.halls[keys.hall].within(type_.from_us, type_.until_us):
                has, needs = hall.value.keys.cooling, type_.value.keys.cooling
                if has and needs and has not in (needs, "mixed"):
                    problems.add(
                        f"{module.value.where}: is cooled by {needs} (type {keys.type!r}) in a "
                        f"hall cooled by {has} ({keys.hall!r}); if the hall has both, its cooling "
                        'is "mixed"'
                    )
