"""Which device a name meant at a time, from the rows of `device`.

In: rows of `device`. Out: the device that a node's index, PCI address, device file or UUID named as
of an instant: by the latest row at or before it, or else by the first one after it. So a board that
is added or moved later changes no earlier allocation.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from tokenergy_collectors.lake.devicenames import DeviceName, parse_device, pci_key, uuid_key

_LEAST_START = 4
"""Characters of a UUID without `GPU-` that may name a board: fewer are more likely a mistake."""

TOGETHER_US = 10_000_000
"""Rows that are so close come from one look at a node."""

_Key = tuple[str, int | str]


@dataclass(slots=True)
class Sighting:
    """What one row of `device` says of a device's names; `mig_*` describe a MIG instance."""

    ts_us: int
    device_id: str
    node: str
    index: int | None = None
    pci: str | None = None
    minor: int | None = None
    mig_parent: str | None = None
    mig_ppm: int | None = None


class Remark(NamedTuple):
    """What has to be said about the name of a device: in which case it is, and in words.

    `ambiguous`: it fits several devices; `unknown`: it fits none; `assumed`: it fits one only by an
    assumption; `elsewhere`: it fits a device of another node.
    """

    case: Literal["ambiguous", "unknown", "assumed", "elsewhere"]
    text: str


class Found(NamedTuple):
    """The device that a name meant, None if it meant none, and what has to be said about it."""

    device_id: str | None
    remark: Remark | None = None


class DeviceHistory:
    """All sightings of some devices.

    Args:
        sightings: in any order.
    """

    def __init__(self, sightings: Iterable[Sighting]) -> None:
        self._of_device: dict[str, list[Sighting]] = {}
        self._on_node: dict[str, dict[str, None]] = {}
        self._instances: dict[str, list[tuple[int, str]]] = {}
        for one in sorted(sightings, key=lambda one: (one.ts_us, one.device_id, one.node)):
            seen = self._of_device.setdefault(one.device_id, [])
            if seen and seen[-1].node == one.node:
                one = _filled(one, seen[-1])
            seen.append(one)
            self._on_node.setdefault(one.node, {})[one.device_id] = None
            if one.mig_parent is not None:
                self._instances.setdefault(one.mig_parent, []).append((one.ts_us, one.device_id))
        self._by_key = {uuid_key(device_id): device_id for device_id in self._of_device}
        self._names: dict[str, dict[_Key, list[Sighting]]] = {}

    @property
    def nodes(self) -> Collection[str]:
        """The nodes on which devices were seen."""
        return self._on_node.keys()

    def since_us(self) -> dict[str, int]:
        """Return when a device was first seen on each node, us UTC."""
        found: dict[str, int] = {}
        for node, ids in self._on_node.items():
            found[node] = min(one.ts_us for id_ in ids for one in self.of(id_) if one.node == node)
        return found

    def of(self, device_id: str) -> list[Sighting]:
        """Return the sightings of a device, ascending."""
        return self._of_device.get(device_id, [])

    def as_of(self, device_id: str, at_us: int) -> Sighting | None:
        """Return the latest sighting of a device at or before an instant, or else its first."""
        seen = self._of_device.get(device_id)
        if seen is None:
            return None
        return seen[max(bisect_right(seen, at_us, key=_when) - 1, 0)]

    def node_of(self, seen: Sighting, at_us: int) -> str:
        """Return where a sighted device was at an instant: a MIG instance moves with its board."""
        board = None if seen.mig_parent is None else self.as_of(seen.mig_parent, at_us)
        return board.node if board and seen.ts_us < board.ts_us <= at_us else seen.node

    def siblings(self, instance: Sighting) -> int:
        """Return how many MIG instances its board had when an instance was seen, with itself."""
        seen = self._instances[instance.mig_parent or ""]
        first = bisect_left(seen, (instance.ts_us - TOGETHER_US, ""))
        last = bisect_left(seen, (instance.ts_us + TOGETHER_US, ""))
        return len({device_id for _, device_id in seen[first:last]})

    def find(self, nodes: Collection[str], text: str, at_us: int) -> Found:
        """Return the device that a text named on a node as of an instant.

        Args:
            nodes: all names under which devices of the node were recorded.
            text: as a job list names the device.
            at_us: the instant, us UTC.
        """
        if text in self._of_device:
            return Found(text)
        name = parse_device(text)
        found = Found(None) if name.kind == "uuid" else self._named(nodes, name, at_us)
        if name.kind == "uuid" or (found.device_id is None and name.is_uuid_start):
            return self._uuid(nodes, name, at_us)
        return found

    def _named(self, nodes: Collection[str], name: DeviceName, at_us: int) -> Found:
        """Find a board by a name that only its node gives it."""
        if name.kind == "pci":
            rows = self._rows(nodes, ("pci", name.key))
            domains = {_domain(row) for row in rows}
            if name.domain is not None:
                rows = [row for row in rows if _domain(row) == name.domain]
            elif len(domains) > 1:
                return _ambiguous(f"is in {len(domains)} PCI domains")
            return self._latest(rows, ("pci", name.key), at_us, "no board had this address")
        if name.kind == "minor":
            key: _Key = ("minor", name.number)
            if any(kind == "minor" for node in nodes for kind, _ in self._named_on(node)):
                return self._latest(self._rows(nodes, key), key, at_us, "no board had this file")
            # The device files of a node count its boards, in the order of their indices as a rule.
            found = self._named(nodes, DeviceName(name.text, "index", name.number), at_us)
            assumed = Remark("assumed", f"read as index {name.number}")
            return Found(found.device_id, found.remark or assumed)
        key = ("index", name.number)
        return self._latest(self._rows(nodes, key), key, at_us, "no board had this index")

    def _latest(self, rows: list[Sighting], key: _Key, at_us: int, missing: str) -> Found:
        """Return the board that had a name as of an instant.

        Args:
            rows: the sightings with that name, ascending.
            key: the name.
            at_us: the instant.
            missing: what to say if no board had it.
        """
        place = bisect_right(rows, at_us, key=_when)
        # A board that has since got another name, or another node, no longer has this one.
        having = (row for row in reversed(rows[:place]) if self._still(row, key, at_us))
        first = next(having, None)
        if first is None:
            having = (row for row in rows[place:])
            first = next(having, None)
        if first is None:
            return Found(None, Remark("unknown", missing))
        found = {first.device_id}
        for row in having:
            if row.ts_us != first.ts_us:
                break
            found.add(row.device_id)
        return _ambiguous(f"fits {len(found)} boards") if len(found) > 1 else Found(found.pop())

    def _still(self, row: Sighting, key: _Key, at_us: int) -> bool:
        now = self.as_of(row.device_id, at_us)
        return now is not None and now.node == row.node and key in names_of(now)

    def _uuid(self, nodes: Collection[str], name: DeviceName, at_us: int) -> Found:
        """Find a device by its whole UUID anywhere, or by the start of it on its node."""
        whole = self._by_key.get(name.key)
        if whole is not None:
            return Found(whole)
        bare = not name.text.lower().startswith(("gpu-", "mig-"))
        if bare and len(name.key) < _LEAST_START:
            return Found(None, Remark("unknown", "no device has this id"))
        here = [id_ for node in nodes for id_ in self._on_node.get(node, ())]
        found = {id_ for id_ in here if uuid_key(id_).startswith(name.key)}
        if len(found) > 1:  # boards that were elsewhere, or came later, cannot be meant
            by_us = max(at_us, min(self.of(id_)[0].ts_us for id_ in found)) + TOGETHER_US
            found = {id_ for id_ in found if self.of(id_)[0].ts_us <= by_us}
            found = {
                id_
                for id_ in found
                if (seen := self.as_of(id_, at_us)) and self.node_of(seen, at_us) in nodes
            }
        if len(found) > 1:
            return _ambiguous(f"fits {len(found)} devices")
        return (
            Found(found.pop()) if found else Found(None, Remark("unknown", "no device has this id"))
        )

    def _rows(self, nodes: Collection[str], key: _Key) -> list[Sighting]:
        found = [row for node in nodes for row in self._named_on(node).get(key, ())]
        return (
            sorted(found, key=lambda one: (one.ts_us, one.device_id)) if len(nodes) > 1 else found
        )

    def _named_on(self, node: str) -> dict[_Key, list[Sighting]]:
        """Return the sightings of a node's boards by each name that they had, ascending."""
        names = self._names.get(node)
        if names is None:
            names = self._names[node] = {}
            rows = [row for id_ in self._on_node.get(node, ()) for row in self.of(id_)]
            rows = [row for row in rows if row.node == node and row.mig_parent is None]
            for row in sorted(rows, key=lambda one: (one.ts_us, one.device_id)):
                for key in names_of(row):
                    names.setdefault(key, []).append(row)
        return names


def _ambiguous(text: str) -> Found:
    return Found(None, Remark("ambiguous", text))


def _filled(one: Sighting, before: Sighting) -> Sighting:
    """Return a sighting with the names that it does not tell, such as a log without indices."""
    return replace(
        one,
        index=before.index if one.index is None else one.index,
        pci=before.pci if one.pci is None else one.pci,
        minor=before.minor if one.minor is None else one.minor,
    )


def _when(row: Sighting) -> int:
    return row.ts_us


def names_of(row: Sighting) -> Iterator[tuple[str, int | str]]:
    """Yield the names that only its node gives a board: by kind, as they are compared."""
    if row.index is not None:
        yield "index", row.index
    if row.minor is not None:
        yield "minor", row.minor
    if row.pci is not None and (address := pci_key(row.pci)) is not None:
        yield "pci", address[1]


def _domain(row: Sighting) -> int:
    address = pci_key(row.pci or "")
    return 0 if address is None or address[0] is None else address[0]
