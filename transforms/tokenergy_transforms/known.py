"""What a lake says of all nodes: its devices, who held them when, and each node's last hour.

In: `device` and `jobs` of the lake, and where its `power` files lie. Out: what an hour of a node is
integrated with. Whoever works on many nodes and hours reads it once, so it is kept small: a large
lake has tens of thousands of devices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_transforms.cuts import Held

if TYPE_CHECKING:
    import pyarrow as pa

_OF_DEVICES = (
    *("ts_us", "device_id", "node", "name", "update_us", "emulated"),
    *("site", "hall", "pod", "rack"),
)


@dataclass(frozen=True)
class Known:
    """What the lake says of all nodes.

    Args:
        devices: rows of `device`, ascending by stamp; some columns.
        allocations: rows of `allocations`, sorted as there.
        last_hours: the last hour (start, microseconds UTC) in which each node has readings.
    """

    devices: pa.Table
    allocations: Sequence[Mapping[str, Any]]
    last_hours: Mapping[str, int]

    def devices_of(self, node: str) -> set[str]:
        """Return the devices that a node ever told of."""
        import pyarrow.compute as pc

        return set(
            self.devices.filter(pc.equal(self.devices["node"], node))["device_id"].to_pylist()
        )

    def update_us(self, devices: Sequence[str], hour_us: int) -> dict[str, int]:
        """Return the update period of each of some devices, where it is known.

        It is the one known in the hour, or else the one told first: a period that is learned later
        does not change what an earlier hour was integrated with.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        rows = self.devices.select(["ts_us", "update_us", "device_id"])
        named = pc.is_in(rows["device_id"], value_set=pa.array(devices, pa.string()))
        told = rows.filter(pc.and_(named, rows["update_us"].is_valid()))
        found: dict[str, int] = {}
        columns = (column.to_pylist() for column in told.columns)
        for ts_us, update_us, device in sorted(zip(*columns, strict=True)):
            if ts_us < hour_us + HOUR_US:
                found[device] = update_us
            else:
                found.setdefault(device, update_us)
        return found

    def held(self, node: str, hour_us: int) -> dict[str, list[Held]]:
        """Return the allocations of a node's known devices that overlap the hour, by device."""
        goes_on = self.last_hours.get(node, hour_us) > hour_us
        found: dict[str, list[Held]] = {}
        for row in self._overlapping(node, hour_us):
            # A running job of a node that is heard of later held its devices all through.
            end_us = hour_us + HOUR_US if row["end_us"] is None and goes_on else row["end_us"]
            found.setdefault(row["device_id"], []).append(Held(row["start_us"], end_us))
        there = self.devices_of(node) if found else set()
        return {device: held for device, held in found.items() if device in there}

    def _overlapping(self, node: str, hour_us: int) -> Iterator[Mapping[str, Any]]:
        for row in self._by_node.get(node, ()):
            if row["start_us"] < hour_us + HOUR_US and (row["end_us"] or hour_us + 1) > hour_us:
                yield row

    @cached_property
    def _by_node(self) -> dict[str, list[Mapping[str, Any]]]:
        found: dict[str, list[Mapping[str, Any]]] = {}
        for row in self.allocations:
            found.setdefault(row["node"], []).append(row)
        return found


def known(lake: Lake) -> Known:
    """Return what a lake says of all nodes now."""
    devices = lake.read("device", columns=_OF_DEVICES).sort_by("ts_us")
    last_hours = {node: hour for hour in lake.hours("power") for node in lake.nodes("power", hour)}
    return Known(devices, allocations(lake).to_pylist(), last_hours)
