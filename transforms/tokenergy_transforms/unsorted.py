"""Sorts rows into readings, for files that overlap or are not sorted.

In: rows of some devices, in any order, some of them twice. Out: the same as flat arrays, each stamp
once. Several powers of one device and stamp are averaged, which is noted; of its counter readings
the lowest counts: it is the earliest. What two files both hold counts once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    """Sort readings, and average those of each device and stamp, rounded down.

    Returns:
        code, stamp, mean and how far the mean may be off, of each stamp; where powers differed.
    """
    order = np.lexsort((power, ts, code))
    code, ts, power = code[order], ts[order], power[order]
    begins = np.ones(len(ts), np.bool_)
    begins[1:] = (code[1:] != code[:-1]) | (ts[1:] != ts[:-1])
    first = np.flatnonzero(begins)
    if not len(first):
        return (code, ts, power, power), begins
    count = np.diff(np.append(first, len(ts)))
    mean = np.add.reduceat(power, first) // count
    lowest, highest = power[first], power[first + count - 1]
    spread = np.maximum(mean - lowest, highest - mean)
    return (code[first], ts[first], mean, spread), lowest < highest


def _unique(code: I64, ts: I64, *values: I64) -> tuple[I64, ...]:
    """Sort by device, stamp and values; keep the first row of each device and stamp."""
    order = np.lexsort((*reversed(values), ts, code))
    code, ts = code[order], ts[order]
    first = np.ones(len(ts), bool)
    first[1:] = (code[1:] != code[:-1]) | (ts[1:] != ts[:-1])
    return (code[first], ts[first], *(value[order][first] for value in values))


def _offsets(code: I64, devices: int) -> I64:
    return np.searchsorted(code, np.arange(devices + 1)).astype(np.int64)


def once(loaded: Readings, file: I64) -> Readings:
    """Leave out power readings that another file holds as well, as one that was imported twice.

    Of equal readings those of the file with most of them stay: a log with stamps to the second may
    well hold one twice.

    Args:
        loaded: readings in any order inside a device.
        file: int64[n], the file of each of its power readings.
    """
    device = np.repeat(np.arange(len(loaded.devices)), np.diff(loaded.offsets))
    keys = (device, loaded.ts_us, loaded.power_mw, file)
    order = np.lexsort(keys[::-1])
    sorted_keys = [key[order] for key in keys]
    begins = np.ones((2, len(order)), np.bool_)  # of equal readings; and of those of one file
    for row, many in ((0, 3), (1, 4)):
        begins[row, 1:] = np.any([key[1:] != key[:-1] for key in sorted_keys[:many]], axis=0)
    first = np.flatnonzero(begins[1])
    count = np.diff(np.append(first, len(order)))
    group = np.cumsum(begins[0])[first]
    # Within a group of equal readings, the file with most comes first.
    ranked = np.lexsort((first, -count, group))
    chosen = ranked[np.flatnonzero(np.diff(group[ranked], prepend=-1))]
    stays = np.zeros(len(first), np.bool_)
    stays[chosen] = True
    kept = np.zeros(len(order), np.bool_)
    kept[order] = np.repeat(stays, count)
    if kept.all():
        return loaded
    offsets = _offsets(device[kept], len(loaded.devices))
    return replace(
        loaded, ts_us=loaded.ts_us[kept], power_mw=loaded.power_mw[kept], offsets=offsets
    )
