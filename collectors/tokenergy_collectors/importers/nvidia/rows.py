"""Rows of the lake from the columns of an nvidia-smi log.

In: a `Readings`, read and checked. Out: Arrow tables of `power`, `state` and `device`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tokenergy_collectors.importers.nvidia.columns import MISSING
from tokenergy_collectors.lake.contract import DEVICE, POWER, STATE, Table

if TYPE_CHECKING:
    from tokenergy_collectors.importers.nvidia.readings import Readings

Ints = npt.NDArray[np.int64]


def power_rows(log: Readings) -> pa.Table:
    """Return a row for every reading with a value, from the best power column of each device."""
    codes = np.array(log.codes, dtype=np.int64)
    sensors = list(log.powers)
    readings = [np.array(values, dtype=np.int64) for values in log.powers.values()]
    devices = len(log.devices.ids)
    has = [np.bincount(codes[mw != MISSING], minlength=devices) > 0 for mw in readings]
    best = np.argmax(has, axis=0)[codes]
    values_mw = np.choose(best, readings)
    kept = values_mw != MISSING
    return _table(
        POWER,
        ts_us=np.array(log.stamps, dtype=np.int64)[kept],
        device_id=_names(codes[kept], log.devices.ids),
        power_mw=values_mw[kept],
        sensor=_names(best[kept], sensors),
        epoch=np.zeros(int(kept.sum()), dtype=np.int32),
    )


def state_rows(log: Readings) -> pa.Table | None:
    """Return a row for every line with a gauge; None if the log has no gauge columns."""
    if not log.gauges:
        return None
    gauges = {name: np.array(values, dtype=np.int64) for name, values in log.gauges.items()}
    kept = np.any([values != MISSING for values in gauges.values()], axis=0)
    return _table(
        STATE,
        ts_us=np.array(log.stamps, dtype=np.int64)[kept],
        device_id=_names(np.array(log.codes, dtype=np.int64)[kept], log.devices.ids),
        **{name: _nullable(values[kept]) for name, values in gauges.items()},
    )


def device_rows(log: Readings, node: str, power: pa.Table) -> pa.Table:
    """Return a row for every device, from its first line.

    The update period is the median spacing of the device's readings: it is that of the log, not of
    the sensor.
    """
    codes = np.array(log.codes, dtype=np.int64)
    stamps = np.array(log.stamps, dtype=np.int64)
    rows = []
    for code, device_id in enumerate(log.devices.ids):
        mine = power["ts_us"].filter(pc.equal(power["device_id"], device_id))
        rows.append(
            {
                **log.devices.descriptions[code],
                "ts_us": int(stamps[codes == code].min()),
                "device_id": device_id,
                "node": node,
                "update_us": _median_spacing_us(mine.to_numpy()),
                "emulated": False,
            }
        )
    return pa.Table.from_pylist(rows, schema=DEVICE.schema())


def _median_spacing_us(stamps: Ints) -> int | None:
    """Return the median distance of neighbouring stamps (the lower one of two middle ones)."""
    spacings = np.diff(np.sort(stamps))
    spacings = np.sort(spacings[spacings > 0])
    return int(spacings[(len(spacings) - 1) // 2]) if len(spacings) else None


def _nullable(values: Ints) -> pa.Array:
    return pa.array(values, mask=values == MISSING)


def _names(codes: Ints, names: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names)).cast(pa.string())


def _table(spec: Table, **columns: Any) -> pa.Table:
    """Return a table of the contract; columns that are not given are NULL."""
    rows = len(columns[spec.time])
    arrays = [
        pa.array(columns[field.name]).cast(field.type)
        if field.name in columns
        else pa.nulls(rows, field.type)
        for field in spec.schema()
    ]
    return pa.Table.from_arrays(arrays, schema=spec.schema())
