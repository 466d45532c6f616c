"""Adds the 10 Hz readings from which the segments of the fleet (`fleet.py`) may have been made.

In: the lake of a fleet, an hour. Out: `power`, a file a node, as a day is after `compact`: readings
every 100 ms of what the jobs draw, give or take 2 %, with up to 3 ms of jitter; the counter once a
second and at the end, 0.4 % above what they draw on average. On one node in 40 nothing reads the
counter, on one in 40 half a minute is missing. The same sizes give the same rows.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from benchmarks.scale.fleet import (
    GPUS_A_NODE,
    IDLE_MW,
    LIMIT_MW,
    ODD,
    T0,
    Job,
    S,
    device_id,
    jobs_of,
    level,
    name_of,
    repeated,
)
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US, POWER

_STEP_US = 100_000
_PER_S = S // _STEP_US


def add_readings(lake: Lake, devices: int, hours: int, hour: int) -> int:
    """Add an hour of readings of all boards; return how many.

    Args:
        lake: the lake of `make_lake(root, devices, hours)`.
        devices, hours: its sizes.
        hour: hours from `T0`.
    """
    count = 0
    for node in range(-(-devices // GPUS_A_NODE)):
        boards = range(min(GPUS_A_NODE, devices - node * GPUS_A_NODE))
        ids = sorted(device_id(node, board) for board in boards)
        rows = _rows(node, ids, hours, T0 + hour * HOUR_US)
        lake.append("power", rows, name_of(node))
        count += len(rows)
    return count


def _drawn_mj(jobs: list[Job], ts_us: np.ndarray) -> np.ndarray:
    """Return what a board has drawn from `T0` up to some stamps: of what jobs draw on average."""
    drawn = IDLE_MW * (ts_us - T0).astype(np.float64)
    for job in jobs:
        start_us = max(job.start_us, T0)
        drawn += (job.power_mw - IDLE_MW) * np.clip(ts_us - start_us, 0, job.end_us - start_us)
    return drawn / S


def _rows(node: int, ids: list[str], hours: int, hour_us: int) -> pa.Table:
    rng = np.random.default_rng([3, node, (hour_us - T0) // HOUR_US])
    grid = np.arange(hour_us, hour_us + HOUR_US, _STEP_US)
    if node % ODD == 1:
        grid = np.delete(grid, slice(1_200 * _PER_S, 1_230 * _PER_S))
    shape = (len(ids), len(grid))
    ts_us = grid + rng.integers(0, 3_000, shape)
    drawn = level([*jobs_of(node, hours)], grid) * (1 + 0.02 * rng.standard_normal(shape))
    power_mw = np.clip(drawn, 1_000, LIMIT_MW).astype(np.int32)
    energy_mj = 1.004 * _drawn_mj([*jobs_of(node, hours)], ts_us)
    read = np.arange(len(grid)) % _PER_S == 0
    read[-1] = True  # as the daemon does at the end of an hour
    counted = np.broadcast_to(read, shape) & (node % ODD != 2)
    rows = shape[0] * shape[1]
    columns = {
        "ts_us": pa.array(ts_us.reshape(-1)),
        "device_id": repeated(ids, shape[1]).dictionary_decode(),
        "power_mw": pa.array(power_mw.reshape(-1)),
        "sensor": repeated(["average_1s"], rows).dictionary_decode(),
        "energy_mj": pa.array(energy_mj.astype(np.int64).reshape(-1), mask=~counted.reshape(-1)),
        "epoch": pa.array(np.zeros(rows, np.int32)),
    }
    return pa.table({name: columns[name] for name in POWER.column_names})
