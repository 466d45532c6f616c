"""Readings of one node and hour, with the neighbouring hours' edge readings, as flat arrays.

In: the lake's `power` rows. Out: stamps, powers and counters by device, sorted, each stamp once.
Of several rows of one device and stamp the one with the lowest power counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from tokenergy_collectors.contract import BOUNDS, HOUR_US
from tokenergy_collectors.lake import Lake
from tokenergy_transforms.batch import COUNTER_SPAN_US, I32, I64, Batch

_COLUMNS = ("ts_us", "device_id", "power_mw", "energy_mj", "epoch")


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings of D devices in device order; offsets have D + 1 entries. See `Batch`."""

    devices: list[str]
    ts_us: I64
    power_mw: I32
    offsets: I64
    counter_ts_us: I64
    counter_mj: I64
    counter_epoch: I32
    counter_offsets: I64

    def batch(self, gap_limit_us: I64, segments: tuple[I32, I64, I64]) -> Batch:
        """Return the batch of these readings, gap limits int64[D] and segments (see `cuts`)."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "devices"}
        device, start_us, end_us = segments
        return Batch(
            **values,
            gap_limit_us=gap_limit_us,
            seg_device=device,
            seg_start_us=start_us,
            seg_end_us=end_us,
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in any order, n each; `code` is the device's place in the list of devices.

    Where `has_power` (`has_energy`) is false the row has no reading (no counter reading).
    """

    code: I64
    ts_us: I64
    power_mw: I64
    has_power: npt.NDArray[np.bool_]
    energy_mj: I64
    has_energy: npt.NDArray[np.bool_]
    epoch: I64


def load(lake: Lake, node: str, hour_us: int, devices: list[str], margin_us: int) -> Readings:
    """Load the readings of some devices of a node in an hour, and a margin on both sides.

    The margin brings the edge readings of the neighbouring hours. It is widened to the longest
    bridged counter spacing for a node with a counter that has no reading inside the margin.
    """
    rows = _read(lake, node, hour_us, devices, margin_us)
    if margin_us < COUNTER_SPAN_US and not _counters_reach_over(rows, hour_us, len(devices)):
        rows = _read(lake, node, hour_us, devices, COUNTER_SPAN_US)
    return assemble(rows, devices)


def metered_devices(lake: Lake, node: str, hour_us: int) -> list[str]:
    """Return the devices that have readings of this node in this hour, sorted."""
    column = lake.read("power", [hour_us], node=node, columns=["device_id"])["device_id"]
    return sorted(column.unique().to_pylist())


def _read(lake: Lake, node: str, hour_us: int, devices: list[str], margin_us: int) -> Rows:
    import pyarrow as pa
    import pyarrow.compute as pc

    table = lake.read(
        "power",
        [hour_us - HOUR_US, hour_us, hour_us + HOUR_US],
        node=node,
        columns=_COLUMNS,
        between_us=(hour_us - margin_us, hour_us + HOUR_US + margin_us),
    )
    codes = pc.index_in(table["device_id"], value_set=pa.array(devices, pa.string()))
    known = codes.is_valid()
    table, codes = table.filter(known), codes.filter(known)
    power, energy = table["power_mw"], table["energy_mj"]
    return Rows(
        code=codes.to_numpy().astype(np.int64),
        ts_us=table["ts_us"].to_numpy(),
        power_mw=power.fill_null(0).to_numpy().astype(np.int64),
        has_power=power.is_valid().to_numpy(),
        energy_mj=energy.fill_null(0).to_numpy(),
        has_energy=energy.is_valid().to_numpy(),
        epoch=table["epoch"].to_numpy().astype(np.int64),
    )


def _counters_reach_over(rows: Rows, hour_us: int, devices: int) -> bool:
    """Tell whether each device with counters has one on either side of both hour edges."""
    code, ts = rows.code[rows.has_energy], rows.ts_us[rows.has_energy]
    inside = (ts >= hour_us) & (ts < hour_us + HOUR_US)
    counted = np.bincount(code[inside], minlength=devices) > 0
    before = np.bincount(code[ts <= hour_us], minlength=devices) > 0
    after = np.bincount(code[ts >= hour_us + HOUR_US], minlength=devices) > 0
    return bool((before & after)[counted].all())


def assemble(rows: Rows, devices: list[str]) -> Readings:
    """Sort rows by device and stamp, keep each stamp once, number the counters' epochs anew."""
    code, ts, power = _unique(
        rows.code[rows.has_power], rows.ts_us[rows.has_power], rows.power_mw[rows.has_power]
    )
    c_code, c_ts, c_mj, c_epoch = _unique(
        rows.code[rows.has_energy],
        rows.ts_us[rows.has_energy],
        rows.energy_mj[rows.has_energy],
        rows.epoch[rows.has_energy],
    )
    return Readings(
        devices=devices,
        ts_us=ts,
        power_mw=power.astype(np.int32),
        offsets=_offsets(code, len(devices)),
        counter_ts_us=c_ts,
        counter_mj=c_mj,
        counter_epoch=_epochs(c_code, c_mj, c_epoch),
        counter_offsets=_offsets(c_code, len(devices)),
    )


def _unique(code: I64, ts: I64, *values: I64) -> tuple[I64, ...]:
    """Sort by device, stamp and values; keep the first row of each device and stamp."""
    order = np.lexsort((*reversed(values), ts, code))
    code, ts = code[order], ts[order]
    first = np.ones(len(ts), bool)
    first[1:] = (code[1:] != code[:-1]) | (ts[1:] != ts[:-1])
    return (code[first], ts[first], *(value[order][first] for value in values))


def _offsets(code: I64, devices: int) -> I64:
    return np.searchsorted(code, np.arange(devices + 1)).astype(np.int64)


def _epochs(code: I64, mj: I64, epoch: I64) -> I32:
    """Number the counter's epochs anew: a change of epoch or a fall begins one."""
    begins = np.zeros(len(mj), np.int32)
    same = code[1:] == code[:-1]
    begins[1:] = same & ((epoch[1:] != epoch[:-1]) | (mj[1:] < mj[:-1]))
    return np.cumsum(begins, dtype=np.int32)


def gap_limits(update_us: Mapping[str, int | None], devices: list[str]) -> I64:
    """Return the gap limit of each device: the larger of 3 update periods and 1.5 s.

    Source: design rule; a reading missing for three periods is no longer a late one.
    """
    low, high = BOUNDS["gap_limit_us"]
    limits = [max(3 * (update_us.get(d) or 0), 1_500_000) for d in devices]
    return np.clip(np.array(limits, np.int64), low, high)
