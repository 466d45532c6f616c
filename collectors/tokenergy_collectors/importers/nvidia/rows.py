"""Rows of the lake from the readings of an nvidia-smi log.

In: a `NvidiaLog`, read and checked. Out: Arrow tables of `power`, `state` and `device`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tokenergy_collectors.base.csvfile import BadValueError
from tokenergy_collectors.importers.nvidia.cells import MISSING
from tokenergy_collectors.importers.nvidia.naming import Devices, identify
from tokenergy_collectors.lake.contract import DEVICE, POWER, STATE, Table

if TYPE_CHECKING:
    from tokenergy_collectors.importers.nvidia.readings import Readings

Ints = npt.NDArray[np.int64]

SLOW_US = 500_000
"""From this spacing on, an average over a second shows more of the time than a moment in it."""


@dataclass(slots=True)
class Section:
    """The readings of one section of a log, with their devices known.

    Attributes:
        log: the readings.
        devices: the devices.
        codes: for each reading, the position of its device in `devices.ids`.
        stamps: for each reading, its stamp (us UTC).
        power: rows of `power`.
    """

    log: Readings
    devices: Devices
    codes: Ints
    stamps: Ints
    power: pa.Table


def section_of(log: Readings) -> Section:
    """Return a section with its devices and its power.

    Raises:
        BadValueError: it does not say which device a reading is of.
    """
    combined = np.array(log.codes, dtype=np.int64)
    stamps = np.array(log.stamps, dtype=np.int64)
    devices = identify(log.combined, combined, stamps)
    codes = np.array(devices.of, dtype=np.int64)[combined]
    return Section(log, devices, codes, stamps, _power_rows(log, devices, codes, stamps))


def _power_rows(log: Readings, devices: Devices, codes: Ints, stamps: Ints) -> pa.Table:
    """Return a row for every reading with a value, from the best power column of each device.

    An instantaneous reading shows a moment, the average the whole second: of readings that are half
    a second apart or more the average is the better one.
    """
    spacing_us = _median_spacing_us(stamps[codes == codes[0]])
    slow = spacing_us is None or spacing_us >= SLOW_US
    sensors = sorted(log.powers, key=lambda sensor: slow and sensor != "average_1s")
    readings = [np.array(log.powers[sensor], dtype=np.int64) for sensor in sensors]
    count = len(devices.ids)
    has = [np.bincount(codes[mw != MISSING], minlength=count) > 0 for mw in readings]
    best = np.argmax(has, axis=0)[codes]
    values_mw = np.choose(best, readings)
    kept = values_mw != MISSING
    return _table(
        POWER,
        ts_us=stamps[kept],
        device_id=_names(codes[kept], devices.ids),
        power_mw=values_mw[kept],
        sensor=_names(best[kept], sensors),
        epoch=np.zeros(int(kept.sum()), dtype=np.int32),
    )


def state_rows(section: Section) -> pa.Table | None:
    """Return a row for every line with a gauge; None if the section has no gauge columns."""
    log = section.log
    if not log.gauges:
        return None
    gauges = {name: np.array(values, dtype=np.int64) for name, values in log.gauges.items()}
    kept = np.any([values != MISSING for values in gauges.values()], axis=0)
    return _table(
        STATE,
        ts_us=section.stamps[kept],
        device_id=_names(section.codes[kept], section.devices.ids),
        **{name: _nullable(values[kept]) for name, values in gauges.items()},
    )


def device_rows(sections: list[Section], node: str, power: pa.Table) -> pa.Table:
    """Return a row for every device, and another where a later section says more about it.

    The update period is the median spacing of the device's readings: it is that of the log, not of
    the sensor. So are the steps in which the log gives its stamps and powers. The kind of sensor is
    said where all of them are from one.
    """
    rows = []
    known: dict[str, dict[str, Any]] = {}
    for section in sections:
        for code, device_id in enumerate(section.devices.ids):
            first = section.log.descriptions[section.devices.of.index(code)]
            said = {**first, **section.devices.described[code]}
            before = known.get(device_id, {})
            now = {**before, **{name: value for name, value in said.items() if value is not None}}
            if device_id in known and now == before:
                continue
            known[device_id] = now
            mine = power.filter(pc.equal(power["device_id"], device_id))
            stamps, powers = (mine[column].to_numpy() for column in ("ts_us", "power_mw"))
            rows.append(
                {
                    **now,
                    "ts_us": int(section.stamps[section.codes == code].min()),
                    "device_id": device_id,
                    "node": node,
                    "update_us": _median_spacing_us(stamps),
                    "sensor_kind": _only(mine["sensor"]),
                    "stamp_step_us": _step(stamps, 1_000_000),
                    "power_step_mw": _step(powers, 1_000),
                    "emulated": False,
                }
            )
    return pa.Table.from_pylist(rows, schema=DEVICE.schema())


def _only(sensors: pa.ChunkedArray) -> str | None:
    """Return the kind of sensor of all readings; None if there are several, or it is unknown."""
    found = pc.unique(sensors).to_pylist()
    return found[0] if len(found) == 1 and found[0] != "unknown" else None


def check_instants(power: pa.Table) -> None:
    """Refuse a log in which a device regularly has several powers at one instant.

    Only for a log whose stamps are finer than a second: there it means that several devices have
    one name. Stamps to the second just hold several readings each.

    Raises:
        BadValueError: a device has several powers at most of its stamps.
    """
    for device_id in pc.unique(power["device_id"]).to_pylist():
        mine = power.filter(pc.equal(power["device_id"], device_id))
        read = np.unique(np.stack([mine["ts_us"].to_numpy(), mine["power_mw"].to_numpy()]), axis=1)
        stamps, counts = np.unique(read[0], return_counts=True)
        if 2 * int((counts > 1).sum()) > len(stamps):
            raise BadValueError(
                f"device {device_id!r} has {counts.max()} different powers at one instant: "
                "expected a column uuid or index that names each device"
            )


def _step(values: Ints, step: int) -> int | None:
    """Return a step if values show that they were rounded to it: ten or more, and not all alike."""
    many = len(values) >= 10 and values.min() < values.max()
    return step if many and not (values % step).any() else None


def _median_spacing_us(stamps: Ints) -> int | None:
    """Return the median distance of neighbouring stamps (the lower one of two middle ones)."""
    spacings = np.diff(np.sort(stamps))
    spacings = np.sort(spacings[spacings > 0])
    return int(spacings[(len(spacings) - 1) // 2]) if len(spacings) else None


def _nullable(values: Ints) -> pa.Array:
    return pa.array(values, mask=values == MISSING)


def _names(codes: Ints, names: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names, pa.string())).cast(
        pa.string()
    )


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
