"""Sorts rows into readings, for files that overlap or are not sorted.

In: rows of some devices, in any order, some of them twice. Out: the same as flat arrays, each stamp
once. Of several rows of one device and stamp, equal powers count once, and others are averaged,
which is noted; of its counter readings the lowest counts: it is the earliest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tokenergy_transforms import anomalies
from tokenergy_transforms.batch import I64, Readings


@dataclass(frozen=True, slots=True)
class UnsortedRows:
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


def sort_rows(rows: UnsortedRows, devices: list[str]) -> Readings:
    """Sort rows by device and stamp, and keep each stamp once; the epochs are those of the rows."""
    (code, ts, power, spread), mixed = _averaged(
        rows.code[rows.has_power], rows.ts_us[rows.has_power], rows.power_mw[rows.has_power]
    )
    offsets = _offsets(code, len(devices))
    spans = anomalies.around(code[mixed], ts[mixed], anomalies.EQUAL_STAMPS, ts, offsets)
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
        offsets=offsets,
        counter_ts_us=c_ts,
        counter_mj=c_mj,
        counter_epoch=c_epoch.astype(np.int32),
        counter_offsets=_offsets(c_code, len(devices)),
        anomalies=spans,
        spread_mw=spread.astype(np.int32) if mixed.any() else None,
    )


def _averaged(
    code: I64, ts: I64, power: I64
) -> tuple[tuple[I64, I64, I64, I64], npt.NDArray[np.bool_]]:
    """Sort readings, and average those of each device and stamp that differ, rounded down.

    Returns:
        code, stamp, mean and how far the mean may be off, of each stamp; where powers differed.
    """
    order = np.lexsort((power, ts, code))
    code, ts, power = code[order], ts[order], power[order]
    begins = np.ones(len(ts), np.bool_)
    begins[1:] = (code[1:] != code[:-1]) | (ts[1:] != ts[:-1])
    differs = begins.copy()
    differs[1:] |= power[1:] != power[:-1]
    # One of each value: a file that was imported twice adds nothing.
    code, ts, power, begins = code[differs], ts[differs], power[differs], begins[differs]
    first = np.flatnonzero(begins)
    if not len(first):
        return (code, ts, power, power), begins
    count = np.diff(np.append(first, len(ts)))
    mean = np.add.reduceat(power, first) // count
    lowest, highest = power[first], power[first + count - 1]
    spread = np.maximum(mean - lowest, highest - mean)
    return (code[first], ts[first], mean, spread), count > 1


def _unique(code: I64, ts: I64, *values: I64) -> tuple[I64, ...]:
    """Sort by device, stamp and values; keep the first row of each device and stamp."""
    order = np.lexsort((*reversed(values), ts, code))
    code, ts = code[order], ts[order]
    first = np.ones(len(ts), bool)
    first[1:] = (code[1:] != code[:-1]) | (ts[1:] != ts[:-1])
    return (code[first], ts[first], *(value[order][first] for value in values))


def _offsets(code: I64, devices: int) -> I64:
    return np.searchsorted(code, np.arange(devices + 1)).astype(np.int64)
