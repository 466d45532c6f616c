"""One node and hour: readings in, segments out. Run again, it gives the same file.

In: `power`, `device` and `jobs` of the lake. Out: the `segment` file of the node and hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenergy_collectors.allocations import allocations
from tokenergy_collectors.contract import HOUR_US, SEGMENT
from tokenergy_collectors.lake import Lake, hour_of
from tokenergy_transforms import choice, cuts, readings
from tokenergy_transforms.batch import NONE, Batch, Result

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Done:
    """What one call of `aggregate` did."""

    node: str
    hour_us: int
    backend: str
    readings: int
    segments: int


@dataclass(frozen=True, slots=True)
class Known:
    """What the lake says of all nodes: its devices, who held them, and each node's last hour.

    Whoever aggregates many nodes reads it once.
    """

    devices: list[dict[str, Any]]
    allocations: list[dict[str, Any]]
    last_hours: dict[str, int]


def known(lake: Lake) -> Known:
    """Return what a lake says of all nodes now."""
    devices: list[dict[str, Any]] = lake.read("device").sort_by("ts_us").to_pylist()
    return Known(devices, allocations(lake).to_pylist(), _last_hours(lake))


def worklist(lake: Lake, hours: list[int] | None = None) -> list[tuple[int, str]]:
    """Return the (hour, node) pairs to aggregate, ascending.

    Readings lie there, or a job held a device, or segments lie there from before: those whose
    reason has gone are removed. A running job counts up to the last hour in which its node has
    readings; a device never seen counts nowhere.
    """
    wanted = {*lake.hours("power"), *lake.hours("segment")} if hours is None else set(hours)
    pairs = {(h, n) for t in ("power", "segment") for h in wanted for n in lake.nodes(t, h)}
    of_all = known(lake)
    seen = {(row["node"], row["device_id"]) for row in of_all.devices}
    last = of_all.last_hours
    for row in of_all.allocations:
        if (row["node"], row["device_id"]) in seen:
            end_us = row["end_us"] or last.get(row["node"], 0)
            for hour in range(hour_of(row["start_us"]), end_us, HOUR_US):
                if hours is None or hour in wanted:
                    pairs.add((hour, row["node"]))
    return sorted(pairs)


def _last_hours(lake: Lake) -> dict[str, int]:
    """Return the last hour in which each node has readings."""
    return {node: hour for hour in lake.hours("power") for node in lake.nodes("power", hour)}


def aggregate(
    lake: Lake,
    hour_us: int,
    node: str,
    window_us: int,
    device: choice.Device = "auto",
    of_all: Known | None = None,
) -> Done:
    """Integrate one node and hour and write its segments.

    Args:
        lake: where to read and write.
        hour_us: start of the hour, microseconds UTC.
        node: the node.
        window_us: window size; must divide the hour.
        device: back end, see `choice.backend`.
        of_all: what the lake says of all nodes, if it has been read; read anew if None.

    Raises:
        UserError: CUDA was asked for and cannot be used, or a file cannot be reached.
    """
    of_all = of_all or known(lake)
    held = _held(of_all, node, hour_us)
    devices = sorted({*readings.metered_devices(lake, node, hour_us), *held})
    limits = readings.gap_limits(_update_us(of_all, hour_us), devices)
    margin_us = int(limits.max(initial=1_500_000))
    loaded = readings.load(lake, node, hour_us, devices, margin_us)
    jobs = [held.get(d, []) for d in devices]
    segments = cuts.segments(loaded.ts_us, loaded.offsets, jobs, hour_us, window_us)
    batch = loaded.batch(limits, segments)
    name, integrate = choice.backend(device, len(batch.ts_us), devices)
    result = integrate(batch)
    rows = to_table(batch, result, devices, node)
    if rows.num_rows:
        lake.replace("segment", rows, hour_us, node)
    else:
        lake.remove("segment", hour_us, node)
    return Done(node, hour_us, name, int(result.readings.sum()), rows.num_rows)


def to_table(batch: Batch, result: Result, devices: list[str], node: str) -> pa.Table:
    """Return segments as rows of the contract's `segment` table."""
    import pyarrow as pa

    count = len(batch.seg_start_us)
    ids = pa.array(devices, pa.string()).take(pa.array(batch.seg_device))
    columns = {
        "device_id": ids,
        "node": pa.repeat(pa.scalar(node), count),
        "start_us": pa.array(batch.seg_start_us),
        "end_us": pa.array(batch.seg_end_us),
    }
    columns["end_mw"] = _end_mw(batch)
    nullable = {column.name for column in SEGMENT.columns if column.nullable}
    for name in Result.__slots__:
        values = getattr(result, name)
        null = np.isnan(values) if name == "mean_mw" else values == NONE
        columns[name] = pa.array(values, mask=null if name in nullable else None)
    return pa.table(columns).select(SEGMENT.column_names)


def _update_us(of_all: Known, hour_us: int) -> dict[str, int]:
    """Return each device's update period as it was known in an hour, or else as first told.

    A period that is learned later does not change what an earlier hour was integrated with.
    """
    found: dict[str, int] = {}
    told = [row for row in of_all.devices if row["update_us"] is not None]
    for row in sorted(told, key=lambda row: (row["ts_us"], row["update_us"])):
        if row["ts_us"] < hour_us + HOUR_US:
            found[row["device_id"]] = row["update_us"]
        else:
            found.setdefault(row["device_id"], row["update_us"])
    return found


def _end_mw(batch: Batch) -> pa.Array:
    """Return the power at the right cut of each segment (mW); NULL where it is not defined.

    It is linear between the readings around the cut, rounded down, and not defined where they are
    further apart than the gap limit or one of them is missing.
    """
    import pyarrow as pa

    found = np.zeros(len(batch.seg_end_us), np.int64)
    known = np.zeros(len(found), np.bool_)
    for device, limit_us in enumerate(batch.gap_limit_us):
        mine = slice(*np.searchsorted(batch.seg_device, [device, device + 1]))
        readings = slice(*batch.offsets[device : device + 2])
        ts, power = batch.ts_us[readings], batch.power_mw[readings].astype(np.int64)
        if not len(ts):
            continue
        cuts = batch.seg_end_us[mine]
        right = np.searchsorted(ts, cuts)
        after = np.minimum(right, len(ts) - 1)
        left = np.where(ts[after] == cuts, after, np.maximum(right - 1, 0))
        span_us = ts[after] - ts[left]
        known[mine] = (ts[left] <= cuts) & (cuts <= ts[after]) & (span_us <= limit_us)
        rise = (power[after] - power[left]) * (cuts - ts[left]) // np.maximum(span_us, 1)
        found[mine] = power[left] + rise
    return pa.array(found.astype(np.int32), mask=~known)


def _held(of_all: Known, node: str, hour_us: int) -> dict[str, list[cuts.Held]]:
    """Return the allocations of a node's known devices that overlap the hour."""
    there = {row["device_id"] for row in of_all.devices if row["node"] == node}
    goes_on = of_all.last_hours.get(node, hour_us) > hour_us
    held: dict[str, list[cuts.Held]] = {}
    for row in _overlapping(of_all, hour_us):
        if row["node"] == node and row["device_id"] in there:
            # A running job of a node that is heard of later held its devices all through.
            end_us = hour_us + HOUR_US if row["end_us"] is None and goes_on else row["end_us"]
            allocations_of = held.setdefault(str(row["device_id"]), [])
            allocations_of.append(cuts.Held(row["start_us"], end_us))
    return held


def _overlapping(of_all: Known, hour_us: int) -> Iterator[dict[str, Any]]:
    for row in of_all.allocations:
        if row["start_us"] < hour_us + HOUR_US and (row["end_us"] or hour_us + 1) > hour_us:
            yield row
