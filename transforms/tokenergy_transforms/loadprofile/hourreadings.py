"""The readings of an hour, node by node, within a budget of memory.

In: the lake. Out: the readings of a node, from a cache or read again, and the pace of its devices.
Two passes need them: the first finds each group's effective period, and so its grid; the second
fills the grids.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.plausible import most_power_mw
from tokenergy_transforms import readings
from tokenergy_transforms.batch import I64, Readings
from tokenergy_transforms.inorder import in_order
from tokenergy_transforms.loadprofile.bandwidth import Pace, pace
from tokenergy_transforms.loadprofile.groups import DeviceRow, Key
from tokenergy_transforms.plausible import Plausible
from tokenergy_transforms.powerfiles import PowerFiles

CACHE_BYTES = 512 << 20
"""Readings that stay in memory between the passes; further nodes are read twice."""


class HourReadings:
    """Readings of the nodes of one hour. May be asked by several threads.

    Args:
        lake: the lake.
        hour_us: start of the hour.
        rows: the valid `device` rows.
    """

    def __init__(self, lake: Lake, hour_us: int, rows: Mapping[str, DeviceRow]) -> None:
        self._lake = lake
        self._hour_us = hour_us
        self._rows = rows
        self._update_us = {name: row["update_us"] for name, row in rows.items()}
        self._files = PowerFiles(lake)
        self._cached: dict[str, Readings] = {}
        self._cached_bytes = 0
        self._lock = threading.Lock()

    def limits_us(self, devices: list[str]) -> I64:
        """Return the gap limits of some devices."""
        return readings.gap_limits(self._update_us, devices)

    def load(self, node: str) -> Readings:
        """Return a node's readings of the hour, with the nearest ones on both sides."""
        with self._lock:
            if node in self._cached:
                return self._cached[node]
        devices = sorted(readings.row_counts(self._files, node, self._hour_us))
        margin_us = int(self.limits_us(devices).max(initial=1_500_000))
        most_mw = np.array([_most_mw(self._rows.get(device, {})) for device in devices], np.int64)
        plausible = Plausible(most_mw)
        loaded = _of_power(
            readings.load(
                self._lake, node, self._hour_us, devices, margin_us, plausible, self._files
            )
        )
        size = loaded.ts_us.nbytes + loaded.power_mw.nbytes
        with self._lock:
            if node not in self._cached and self._cached_bytes + size <= CACHE_BYTES:
                self._cached[node] = loaded
                self._cached_bytes += size
        return loaded

    def of_nodes(self, nodes: Sequence[str]) -> Iterator[tuple[str, dict[Key, Pace]]]:
        """Yield each node with the paces of its devices, several nodes read at a time."""
        return zip(nodes, in_order(self.paces, nodes), strict=True)

    def paces(self, node: str) -> dict[Key, Pace]:
        """Return the pace of each device of a node that has a power reading in the hour."""
        loaded, sensors = self.load(node), self._sensors(node)
        found: dict[Key, Pace] = {}
        for place, device in enumerate(loaded.devices):
            begin, end = loaded.offsets[place], loaded.offsets[place + 1]
            edges = [self._hour_us, self._hour_us + HOUR_US]
            lo, hi = begin + np.searchsorted(loaded.ts_us[begin:end], edges)
            if lo < hi:
                row = self._rows.get(device, {})
                ts_us, power_mw = loaded.ts_us[lo:hi], loaded.power_mw[lo:hi]
                found[node, device] = pace(ts_us, power_mw, row, sensors.get(device))
        return found

    def _sensors(self, node: str) -> dict[str, str]:
        """Return each device's sensor; if it had several, one that is not `instant`."""
        of_files = self._files.of_hour(node, self._hour_us)
        in_footers = {group.sensor for _, groups in of_files for group in groups}
        if len(in_footers) == 1 and None not in in_footers:
            # All rows say the same: no need to read them.
            (sensor,) = in_footers
            devices = self.load(node).devices
            return {device: sensor for device in devices if sensor and sensor != "none"}
        table = self._lake.read(
            "power", [self._hour_us], node=node, columns=["device_id", "sensor"]
        )
        pairs = table.group_by(["device_id", "sensor"]).aggregate([]).to_pylist()
        found: dict[str, str] = {}
        for pair in pairs:
            device, sensor = pair["device_id"], pair["sensor"]
            if found.get(device, "instant") == "instant" and sensor != "none":
                found[device] = sensor
        return found


def _of_power(loaded: Readings) -> Readings:
    """Return readings without those of counters, which a load profile does not use."""
    none = np.empty(0, np.int64)
    return replace(
        loaded,
        counter_ts_us=none,
        counter_mj=none,
        counter_epoch=np.empty(0, np.int32),
        counter_offsets=np.zeros_like(loaded.counter_offsets),
    )


def _most_mw(row: DeviceRow) -> int:
    return most_power_mw(row.get("limit_mw"), row.get("limit_max_mw"))
