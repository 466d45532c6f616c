"""All devices of a lake by what was seen of them, without what says nothing new.

In: rows of `device`. Out: the sightings that decide what a name meant, and those of them that
belong together.

A daemon that starts records the same of each board as before: after a year most rows only repeat
what is known. Where a board always had the same names on the same node, no other one ever had any
of them there, and neither is an instance nor has instances, its first sighting says all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from tokenergy_collectors.lake.devicehistory import Sighting, names_of
from tokenergy_collectors.lake.nodenames import short_name

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = tuple(Sighting.__slots__)
"""The columns of `device` that are needed."""

_FACTS = COLUMNS[1:]


class SeenDevices:
    """The devices of a lake.

    Args:
        rows: all rows of `device`; `COLUMNS`.

    Attributes:
        of_device: the sightings of each device that decide; in no order.
    """

    def __init__(self, rows: pa.Table) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        first = rows.group_by([*_FACTS]).aggregate([("ts_us", "min")])
        columns = (first[name].to_pylist() for name in ("ts_us_min", *_FACTS))
        self.of_device: dict[str, list[Sighting]] = {}
        for one in map(Sighting, *columns):
            self.of_device.setdefault(one.device_id, []).append(one)
        changing = self._changing()
        chosen = pc.is_in(rows["device_id"], value_set=pa.array(sorted(changing), pa.string()))
        for device_id in changing:
            self.of_device[device_id] = []
        for one in map(Sighting, *(column.to_pylist() for column in rows.filter(chosen).columns)):
            self.of_device[one.device_id].append(one)

    def _changing(self) -> set[str]:
        """Return the devices of which the first sighting does not say all."""
        parents = {one.mig_parent for seen in self.of_device.values() for one in seen}
        found: set[str] = set()
        named: dict[tuple[str, str, int | str], set[str]] = {}
        for device_id, seen in self.of_device.items():
            if len(seen) > 1 or seen[0].mig_parent is not None or device_id in parents:
                found.add(device_id)
            for one in seen:
                for kind, name in names_of(one):
                    named.setdefault((short_name(one.node), kind, name), set()).add(device_id)
        return found.union(*(ids for ids in named.values() if len(ids) > 1))

    @cached_property
    def since_us(self) -> dict[str, int]:
        """When a device was first seen on each node, us UTC."""
        found: dict[str, int] = {}
        for seen in self.of_device.values():
            for one in seen:
                found[one.node] = min(found.get(one.node, one.ts_us), one.ts_us)
        return found

    @cached_property
    def on_nodes(self) -> dict[str, set[str]]:
        """The devices that were ever on nodes of a short name."""
        found: dict[str, set[str]] = {}
        for device_id, seen in self.of_device.items():
            for one in seen:
                found.setdefault(short_name(one.node), set()).add(device_id)
        return found

    @cached_property
    def _instances(self) -> dict[str, set[str]]:
        """The instances that each board ever had."""
        found: dict[str, set[str]] = {}
        for device_id, seen in self.of_device.items():
            for one in seen:
                if one.mig_parent is not None:
                    found.setdefault(one.mig_parent, set()).add(device_id)
        return found

    def family(self, devices: Iterable[str]) -> set[str]:
        """Return some devices, with the boards of instances, and all instances of boards."""
        found: set[str] = set()
        left = [*devices]
        while left:
            device_id = left.pop()
            if device_id not in found:
                found.add(device_id)
                left += self._instances.get(device_id, ())
                left += (
                    one.mig_parent
                    for one in self.of_device.get(device_id, ())
                    if one.mig_parent is not None
                )
        return found

    def around(self, short_names: Iterable[str], devices: Collection[str]) -> list[Sighting]:
        """Return the sightings that may decide what job lists of some nodes mean.

        They are those of all devices of these nodes, of further devices, and of all that were on
        one node with any of them.

        Args:
            short_names: of the nodes.
            devices: the further ones; those that were never seen are passed over.
        """
        found: set[str] = set()
        names = {*short_names}
        left, done = {*devices}.intersection(self.of_device), set[str]()
        while left or names - done:
            left.update(*(self.on_nodes.get(name, ()) for name in names - done))
            done |= names
            found |= self.family(left)
            left = set()
            names = {
                short_name(one.node) for device in found for one in self.of_device.get(device, ())
            }
        return [one for device in sorted(found) for one in self.of_device.get(device, ())]
