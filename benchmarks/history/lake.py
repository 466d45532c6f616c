"""Makes a lake that daemons filled for a long time, with small files as they leave them.

In: sizes. Out: `segment`, `state`, `tokens`, `jobs` and `device` of a lake. Segments of a minute:
what is measured grows with the history, and not with the readings of an hour.

Nodes of eight boards; about 16 jobs a month on each board's node. A daemon writes its boards once
a day (it was started again), the edges of each job in a file of its own, and tokens and states in
two files an hour. The same sizes give the same lake.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.scale import fleet
from benchmarks.scale.fleet import GPUS_A_NODE, T0, Job, S
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import DEVICE, HOUR_US, JOBS, TOKENS

_HELD_S = (8_000, 34_000)
_FREE_S = (30, 600)
_WINDOW_US = 60 * S


def add_hours(lake: Lake, devices: int, hours: range, *, whole_jobs: bool = False) -> None:
    """Add some hours (since `T0`) of a fleet to a lake.

    Args:
        lake: where.
        devices: number of boards; nodes are filled in turn.
        hours: the hours.
        whole_jobs: leave out the jobs that have not ended by the last of them.
    """
    until_us = T0 + hours.stop * HOUR_US
    for node in range(-(-devices // GPUS_A_NODE)):
        boards = range(min(GPUS_A_NODE, devices - node * GPUS_A_NODE))
        ids = sorted(fleet.device_id(node, board) for board in boards)
        jobs = [
            job
            for job in _jobs_of(node, until_us)
            if not whole_jobs or job.end_us < until_us - 60 * S
        ]
        for hour in hours:
            _add_hour(lake, node, ids, jobs, T0 + hour * HOUR_US)


def _jobs_of(node: int, until_us: int) -> Iterator[Job]:
    """Yield the jobs of a node that begin before a stamp, one after another."""
    rng = np.random.default_rng([3, node])
    at_us, number = T0, 0
    while at_us < until_us:
        end_us = at_us + int(rng.integers(*_HELD_S)) * S
        power_mw = int(rng.integers(350_000, 680_000))
        yield Job(f"job-{node:04d}-{number:05d}", node, at_us, end_us, power_mw)
        at_us = end_us + int(rng.integers(*_FREE_S)) * S
        number += 1


def _add_hour(lake: Lake, node: int, ids: list[str], jobs: list[Job], hour_us: int) -> None:
    name, until_us = fleet.name_of(node), hour_us + HOUR_US
    with lake.writer("segment", hour_us, name) as file:
        file.write(fleet.segments(node, ids, jobs, hour_us, _WINDOW_US))
    lake.append("state", fleet.states(node, ids, jobs, hour_us, 60), name)
    if (hour_us - T0) // HOUR_US % 24 == 0:
        _append(lake, DEVICE, [fleet.device_row(node, n, i, hour_us) for n, i in enumerate(ids)])
    for job in jobs:
        for at_us in (job.start_us, job.end_us):
            if hour_us <= at_us < until_us:
                end_us = job.end_us if at_us == job.end_us else None
                _append(lake, JOBS, fleet.job_rows(job, ids, end_us, at_us))
    read = [
        row
        for job in jobs
        if job.start_us < until_us and job.end_us >= hour_us
        for row in fleet.token_rows(job, name, 60)
        if hour_us <= row["ts_us"] < until_us
    ]
    middle_us = hour_us + HOUR_US // 2
    for half in (True, False):
        _append(lake, TOKENS, [row for row in read if (row["ts_us"] < middle_us) is half])


def _append(lake: Lake, table: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        full = [{name: row.get(name) for name in table.column_names} for row in rows]
        stored = pa.Table.from_pylist(full, schema=table.schema())
        lake.append(table.name, stored, rows[0]["node"])


def make_lake(root: Path, devices: int, hours: int) -> Lake:
    """Make a lake of a fleet's first hours."""
    lake = Lake(root, create=True)
    add_hours(lake, devices, range(hours))
    return lake
