"""Sorts rows into readings, for files that overlap or are not sorted.

In: rows of some devices, in any order, some of them twice. Out: the same as flat arrays, each stamp
once. Of several rows of one device and stamp the one with the lowest power counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tokenergy_transforms.batch import I32, I64, Readings


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
    """Sort rows by device and stamp, keep each stamp once, renumber the counters' epochs."""
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
    """Renumber the counter's epochs: a change of epoch or a fall begins one."""
    begins = np.zeros(len(mj), np.int32)
    same = code[1:] == code[:-1]
    begins[1:] = same & ((epoch[1:] != epoch[:-1]) | (mj[1:] < mj[:-1]))
    return np.cumsum(begins, dtype=np.int32)
