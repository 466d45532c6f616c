"""The inventory of a lake: its devices, the jobs that held them, and the last hour of each node.

In: `device` and `jobs` of the lake, and the hours of its `power` files. Out: what the integration
of an hour needs besides readings. A command reads it once for all nodes and hours, so only a few
columns are kept: a large lake has tens of thousands of devices.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.plausible import most_power_mw
from tokenergy_transforms.batch import I64
from tokenergy_transforms.cuts import Allocation

if TYPE_CHECKING:
    import pyarrow as pa

_OF_DEVICES = (
    *("ts_us", "device_id", "node", "name", "update_us", "emulated"),
    *("site", "hall", "pod", "rack", "limit_mw", "limit_max_mw"),
)


@dataclass(frozen=True)
class Inventory:
    """Devices, allocations and last hours of all nodes of a lake.

    Args:
        devices: rows of `device`, ascending by stamp; some columns.
        allocations: rows of `allocations`, sorted as there.
        last_hours: the last hour (start, microseconds UTC) in which each node has readings.
        lake: the lake.
    """

    devices: pa.Table
    allocations: Sequence[Mapping[str, Any]]
    last_hours: Mapping[str, int]
    lake: Lake

    def devices_of(self, node: str) -> set[str]:
        """Return all devices that a node ever had."""
        import pyarrow.compute as pc

        return set(
            self.devices.filter(pc.equal(self.devices["node"], node))["device_id"].to_pylist()
        )

    def update_us(self, devices: Sequence[str], hour_us: int) -> dict[str, int]:
        """Return the update period of each of some devices, where it is known.

        It is the last one recorded by the end of the hour, or else the first one recorded later: a
        period that is learned later does not change an hour that already has one.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        rows = self.devices.select(["ts_us", "update_us", "device_id"])
        named = pc.is_in(rows["device_id"], value_set=pa.array(devices, pa.string()))
        learned = rows.filter(pc.and_(named, rows["update_us"].is_valid()))
        found: dict[str, int] = {}
        columns = (column.to_pylist() for column in learned.columns)
        for ts_us, update_us, device in sorted(zip(*columns, strict=True)):
            if ts_us < hour_us + HOUR_US:
                found[device] = update_us
            else:
                found.setdefault(device, update_us)
        return found

    def most_mw(self, devices: Sequence[str], hour_us: int) -> I64:
        """Return the most (mW) that each of some devices can be believed to draw in an hour.

        From the limits recorded by the end of the hour, or else the first recorded later.
        """
        limits = self._limits
        found = []
        for device in devices:
            rows = limits.get(device, ())
            by_then = [row for row in rows if row[0] < hour_us + HOUR_US] or rows[:1]
            found.append(most_power_mw(*(limit for row in by_then for limit in row[1:])))
        return np.array(found, np.int64)

    @cached_property
    def _limits(self) -> dict[str, list[tuple[int, int | None, int | None]]]:
        """The stamp and limits of the rows of each device that name a limit, ascending."""
        names = ("device_id", "ts_us", "limit_mw", "limit_max_mw")
        found: dict[str, list[tuple[int, int | None, int | None]]] = {}
        columns = (self.devices[name].to_pylist() for name in names)
        for device, *row in zip(*columns, strict=True):
            if row[1] is not None or row[2] is not None:
                found.setdefault(device, []).append((row[0], row[1], row[2]))
        return found

    def boots_of(self, node: str, hour_us: int) -> I64:
        """Return when a node's host was started again, around an hour: int64[n], ascending.

        The time since the host's start (`clock.boottime_us`) falls between two readings of the
        clocks: it was started as long before the second as that says, at most at the first.
        """
        near = [hour_us - HOUR_US, hour_us, hour_us + HOUR_US]
        columns = ["ts_us", "boottime_us"]
        rows = self.lake.read("clock", near, node=node, columns=columns).sort_by("ts_us")
        ts, boottime = (rows[name].to_numpy() for name in columns)
        fell = np.flatnonzero(np.diff(boottime) < 0)
        booted: I64 = np.maximum(ts[fell + 1] - boottime[fell + 1], ts[fell] + 1)
        return np.sort(booted)

    def allocations_of(
        self, node: str, hour_us: int, metered: Collection[str] = ()
    ) -> dict[str, list[Allocation]]:
        """Return the allocations that overlap the hour of the devices that a node has, by device.

        Those are the devices that it ever had, and those of which it has readings (`metered`).
        """
        claims = self.claims_of(node, hour_us)
        devices = self.devices_of(node) | set(metered) if claims else set()
        return {device: spans for device, spans in claims.items() if device in devices}

    def claims_of(self, node: str, hour_us: int) -> dict[str, list[Allocation]]:
        """Return a node's allocations that overlap the hour, by device, seen or not."""
        goes_on = self.last_hours.get(node, hour_us) > hour_us
        found: dict[str, list[Allocation]] = {}
        for row in self._overlapping(node, hour_us):
            # If the node has later readings, a running job held its devices all through the hour.
            end_us = hour_us + HOUR_US if row["end_us"] is None and goes_on else row["end_us"]
            found.setdefault(row["device_id"], []).append(Allocation(row["start_us"], end_us))
        return found

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


def read_inventory(lake: Lake) -> Inventory:
    """Return the inventory of a lake as it is now."""
    devices = lake.read("device", columns=_OF_DEVICES).sort_by("ts_us")
    last_hours = {node: hour for hour in lake.hours("power") for node in lake.nodes("power", hour)}
    return Inventory(devices, allocations(lake).to_pylist(), last_hours, lake)
