"""Writes the lakes that are timed: one hour of many GPUs, as an importer of a fleet leaves it.

In: sizes. Out: power files of about a million readings, each of its own devices, sorted.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import DEVICE, POWER

T0 = 1_768_464_000_000_000
SECONDS = 3_600
_GPUS_A_FILE = 32


def make_lake(root: Path, readings: int, hz: int = 10) -> Lake:
    """Make a lake with about so many readings in one hour of one node; return it.

    Powers walk in steps of up to 4 W between 60 and 700 W, stamps jitter by 2 ms, the energy
    counter is read once a second.
    """
    lake = Lake(root, create=True)
    gpus = max(1, round(readings / (SECONDS * hz)))
    names = [f"GPU-{number:08x}-0000-4000-8000-000000000000" for number in range(gpus)]
    for first in range(0, gpus, _GPUS_A_FILE):
        rows = _rows(names[first : first + _GPUS_A_FILE], hz, np.random.default_rng(first))
        lake.append("power", rows, "fleet")
    device = {"ts_us": T0, "node": "fleet", "update_us": 1_000_000 // hz, "emulated": True}
    devices = [dict.fromkeys(DEVICE.column_names) | device | {"device_id": n} for n in names]
    lake.append("device", pa.Table.from_pylist(devices, schema=DEVICE.schema()), "fleet")
    return lake


def _rows(names: list[str], hz: int, rng: np.random.Generator) -> pa.Table:
    shape = (len(names), SECONDS * hz)
    step_us = 1_000_000 // hz
    jitter = min(2_000, step_us // 4)
    ts = T0 + np.arange(shape[1]) * step_us + rng.integers(0, jitter, shape)
    walk = np.cumsum(rng.integers(-4_000, 4_001, shape), axis=1) + rng.integers(
        200_000, 600_000, (len(names), 1)
    )
    power = np.clip(walk, 60_000, 700_000)
    energy = 10**9 + np.cumsum(power * step_us, axis=1) // 1_000_000_000
    unread = np.broadcast_to(np.arange(shape[1]) % hz != 0, shape)
    flat = {
        "ts_us": ts,
        "power_mw": power.astype(np.int32),
        "epoch": np.zeros(shape, np.int32),
    }
    columns = {name: pa.array(values.reshape(-1)) for name, values in flat.items()}
    columns["energy_mj"] = pa.array(energy.reshape(-1), mask=unread.reshape(-1))
    columns["device_id"] = pa.array(names).take(
        pa.array(np.repeat(np.arange(len(names)), shape[1]))
    )
    columns["sensor"] = pa.repeat(pa.scalar("instant"), shape[0] * shape[1])
    return pa.table({name: columns[name] for name in POWER.column_names}, schema=POWER.schema())
