"""Adds nodes up to racks, modules, halls and the site, slot by slot.

In: `NodeLoads`, the hosts of nodes, `Standing`. Out: a `Tally` for each place, in each place that
it stood in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from tokenergy_sql.places import SITE, Place
from tokenergy_sql.standing.booked import SPLIT
from tokenergy_sql.standing.grid import STEP_US, Array, Grid
from tokenergy_sql.standing.loads import NodeLoads
from tokenergy_sql.standing.power import Slots
from tokenergy_sql.standing.stays import Standing, Stay, Where

UNPLACED = "unplaced"


class Key(NamedTuple):
    """A place, and what it is or stands in."""

    kind: str
    name: str
    where: Where

    @property
    def place(self) -> str:
        """Return the place as the books have it."""
        return f"{self.kind}:{self.name}" if self.name else self.kind


@dataclass(frozen=True, slots=True)
class Hosts:
    """The hosts of n nodes.

    Attributes:
        energy_nj: in each slot: int64[n, K].
        known: whether their energy is known: bool[n].
    """

    energy_nj: Array
    known: Array


@dataclass
class Tally:
    """What is in a place.

    Attributes:
        slots: its power, boards alone.
        split: sums over all its slots, by name of `SPLIT`.
        host_mw: what hosts add to the mean of each slot's cell: int64[K].
        host_nj: energy of the hosts.
        hosted: whether all of them are known.
        nodes: numbers of those that are in it at some time.
        missing: names of nodes that are not in the ledger.
        low_nj, high_nj: bounds by slot: int64[K].
    """

    slots: Slots
    low_nj: Array
    high_nj: Array
    host_mw: Array
    split: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLIT, 0))
    host_nj: int = 0
    hosted: bool = True
    nodes: set[int] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)

    @classmethod
    def empty(cls, slots: int) -> Tally:
        """Return the tally of nothing."""
        low, high, host, power = (np.zeros(slots, np.int64) for _ in range(4))
        return cls(Slots(power, np.zeros(slots, bool), np.zeros(slots, bool)), low, high, host)

    def add(self, stay: Stay, loads: NodeLoads, hosts: Hosts) -> None:
        """Add a node for its stay."""
        node, part = stay.node, slice(stay.first, stay.last)
        self.slots.power_mw[part] += loads.power_mw[node, part]
        self.slots.unknown[part] |= loads.unknown[node, part]
        self.slots.present[part] = True
        self.low_nj[part] += loads.split["low_nj"][node, part]
        self.high_nj[part] += loads.split["high_nj"][node, part]
        for name, amounts in loads.split.items():
            self.split[name] += int(amounts[node, part].sum())
        host_nj = hosts.energy_nj[node, part]
        self.host_mw[part] += np.rint(host_nj / STEP_US).astype(np.int64)
        self.host_nj += int(host_nj.sum())
        self.hosted &= bool(hosts.known[node])
        self.nodes.add(node)

    def add_absent(self, stay: Stay, name: str) -> None:
        """Add a node of which nothing was recorded."""
        part = slice(stay.first, stay.last)
        self.slots.unknown[part], self.slots.present[part] = True, True
        self.nodes.add(stay.node)
        self.missing.add(name)


def tallies(standing: Standing, loads: NodeLoads, hosts: Hosts, grid: Grid) -> dict[Key, Tally]:
    """Return what is in each place of an hour."""
    found: dict[Key, Tally] = {}
    for stay in standing.stays:
        name = standing.names[stay.node]
        for key in _keys(name, stay.where):
            tally = found.get(key) or found.setdefault(key, Tally.empty(len(grid)))
            if stay.node < len(loads.names):
                tally.add(stay, loads, hosts)
            else:
                tally.add_absent(stay, name)
    return found


def _keys(node: str, where: Where) -> Iterator[Key]:
    """Yield the places that a node is in, from itself out."""
    hall, module, rack, type_ = where
    yield Key("node", node, where)
    if rack is None:
        yield Key(UNPLACED, "", Where())
        return
    yield Key("rack", rack, where)
    if module is not None:
        yield Key("module", module, Where(hall, module, None, type_))
    if hall is not None:
        yield Key("hall", hall, Where(hall))
    yield Key("site", "", Where())


def around(key: Key, kind: str) -> Key | None:
    """Return the place of a kind that a place stands in; None if it stands in none."""
    hall, module, rack, type_ = key.where
    if key.kind == UNPLACED or (key.kind == "node" and rack is None):
        return None
    name = {"rack": rack, "module": module, "hall": hall, "site": ""}[kind]
    if name is None or key.kind == kind:
        return None
    where = {
        "rack": key.where, "module": Where(hall, module, None, type_), "hall": Where(hall),
        "site": Where(),
    }[kind]  # fmt: skip
    return Key(kind, name, where)


def place_of(key: Key) -> Place | None:
    """Return a key as the site file has it; None if it has none."""
    if key.kind == "site":
        return SITE
    if key.kind in ("hall", "module", "rack"):
        return Place(key.kind, key.name)  # type: ignore[arg-type]
    return None


def hosts_of(loads: NodeLoads, host_nj: Mapping[str, int | None]) -> Hosts:
    """Spread the energy of hosts evenly over the time that their nodes were watched.

    Args:
        loads: of the nodes.
        host_nj: energy of each node's host in the hour; None: unknown.
    """
    watched = loads.watched_us.cumsum(axis=1)
    energy = np.zeros_like(watched)
    known = np.zeros(len(loads.names), np.bool_)
    for node, name in enumerate(loads.names):
        whole, total = host_nj.get(name), int(watched[node, -1])
        if whole is not None and total:
            # Floors of running sums: the slots add up to the hour.
            part = np.floor(float(whole) * (watched[node] / total))
            part[watched[node] == total] = whole
            energy[node] = np.diff(part, prepend=0).astype(np.int64)
            known[node] = True
    return Hosts(energy, known)
