"""Makes a lake of segments as a large fleet leaves them, hours by devices, without its readings.

In: sizes. Out: `segment`, `state`, `tokens`, `jobs` and `device` of a lake: what `index` takes.

Nodes of eight boards. A job holds one whole node for about 1.4 hours and leaves it free for some
minutes; with 125 nodes that are about 2,000 jobs a day. Segments last a second and are cut where
jobs begin and end. A board draws what its job draws, give or take 2 %; its counter agrees with
the samples to 1 %. On one node in 40 nothing reads the counter, on one in 40 half a minute an
hour is uncovered. The same sizes give the same lake.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import DEVICE, HOUR_US, JOBS, SEGMENT, STATE, TOKENS

T0 = 1_768_435_200_000_000
"""2026-01-15T00:00:00Z."""

S = 1_000_000
GPUS_A_NODE = 8
LIMIT_MW = 700_000
_HELD_S = (1_800, 8_400)
_FREE_S = (30, 600)
_BUSY_MW = (350_000, 680_000)
IDLE_MW = 75_000
_CYCLE_US, _STALL_US = 600 * S, 180 * S
"""In so much of every cycle a job holds its boards and does nothing."""

ODD = 40
"""One node in so many has no counter, and another has gaps."""


@dataclass(frozen=True)
class Job:
    """One job: it holds all boards of a node from start to end (microseconds UTC)."""

    job_id: str
    node: int
    start_us: int
    end_us: int
    power_mw: int


def make_lake(
    root: Path, devices: int, hours: int, state_s: int = 10, tokens_s: int = 60
) -> tuple[Lake, int]:
    """Make the lake; return it and how many segments it has.

    Args:
        root: where.
        devices: number of boards; nodes are filled in turn.
        hours: number of hours from `T0`.
        state_s: seconds between two rows of `state` of a board.
        tokens_s: seconds between two readings of a job's token counter.
    """
    lake = Lake(root, create=True)
    nodes = -(-devices // GPUS_A_NODE)
    count = 0
    for node in range(nodes):
        boards = range(min(GPUS_A_NODE, devices - node * GPUS_A_NODE))
        ids = sorted(device_id(node, board) for board in boards)
        jobs = list(jobs_of(node, hours))
        _add_facts(lake, node, ids, jobs, tokens_s)
        for hour in range(hours):
            start_us = T0 + hour * HOUR_US
            rows = segments(node, ids, jobs, start_us)
            count += len(rows)
            with lake.writer("segment", start_us, name_of(node)) as file:
                file.write(rows)
            lake.append("state", states(node, ids, jobs, start_us, state_s), name_of(node))
    return lake, count


def name_of(node: int) -> str:
    """Return a node's host name."""
    return f"gpu-{node:04d}"


def device_id(node: int, board: int) -> str:
    """Return a UUID as a driver gives it: in its order boards of all nodes are mixed."""
    return f"GPU-{uuid.uuid5(uuid.NAMESPACE_OID, f'{node}/{board}')}"


def jobs_of(node: int, hours: int) -> Iterator[Job]:
    """Yield the jobs of a node, one after another; the last may be running when the lake ends."""
    rng = np.random.default_rng([1, node])
    at_us = T0 - int(rng.integers(0, _HELD_S[1])) * S
    number = 0
    while at_us < T0 + hours * HOUR_US:
        end_us = at_us + int(rng.integers(_HELD_S[0] * S, _HELD_S[1] * S))
        if end_us > T0:
            yield Job(
                f"job-{node:04d}-{number:04d}", node, at_us, end_us, int(rng.integers(*_BUSY_MW))
            )
        at_us = end_us + int(rng.integers(_FREE_S[0] * S, _FREE_S[1] * S))
        number += 1


def segments(
    node: int, ids: list[str], jobs: list[Job], hour_us: int, window_us: int = S
) -> pa.Table:
    """Return one hour of segments of a node's boards, sorted; columns of `segment`."""
    rng = np.random.default_rng([2, node, (hour_us - T0) // HOUR_US])
    edges = [t for job in jobs for t in (job.start_us, job.end_us)]
    inside = [t for t in edges if hour_us < t < hour_us + HOUR_US]
    windows = np.arange(hour_us, hour_us + HOUR_US + 1, window_us)
    cuts = np.unique(np.concatenate([windows, inside])).astype(np.int64)
    start, end = cuts[:-1], cuts[1:]
    length, shape = end - start, (len(ids), len(start))
    mean = level(jobs, start) * (1 + 0.02 * rng.standard_normal(shape))
    mean = np.clip(mean, 1_000, LIMIT_MW).astype(np.int64)
    covered = np.broadcast_to(length, shape).copy()
    if node % ODD == 1:
        covered[:, 1_200:1_230] = 0
    energy = mean * covered
    # What the counter says beside the samples: off by up to 1 %, and by noise within a slot.
    off = rng.uniform(-0.009, 0.009, (len(ids), 1)) + 0.001 * rng.standard_normal(shape)
    counter = (mean * length * (1 + off)).astype(np.int64)
    off_us = np.where(np.isin(end, inside), 800, rng.integers(0, 90_000, shape))
    unread = np.full(shape, node % ODD == 2)
    empty = covered == 0
    values: dict[str, Any] = {
        "start_us": np.broadcast_to(start, shape),
        "end_us": np.broadcast_to(end, shape),
        "readings": np.maximum(covered // 100_000, 0).astype(np.int32),
        "covered_us": covered,
        "max_gap_us": np.where(empty, 30 * S, 100_000 + rng.integers(0, 3_000, shape)),
        "energy_nj": energy,
        "min_mw": ((mean * 0.97).astype(np.int32), empty),
        "mean_mw": (mean.astype(np.float64), empty),
        "max_mw": ((mean * 1.03).astype(np.int32), empty),
        "p50_mw": (mean.astype(np.int32), empty),
        "p95_mw": ((mean * 1.02).astype(np.int32), empty),
        "p99_mw": ((mean * 1.03).astype(np.int32), empty),
        "rise_mw_s": rng.integers(0, 300_000, shape),
        "fall_mw_s": rng.integers(0, 300_000, shape),
        "counter_nj": (counter, unread),
        "counter_off_us": (off_us, unread),
        "end_mw": ((mean * 1.01).astype(np.int32), empty),
    }
    columns = {name: _array(value) for name, value in values.items()}
    columns["device_id"] = repeated(ids, shape[1])
    columns["node"] = repeated([name_of(node)], shape[0] * shape[1])
    rows = shape[0] * shape[1]
    for field in SEGMENT.schema():  # nothing of this fleet is sparse, doubtful or out of place
        columns.setdefault(field.name, pa.nulls(rows, field.type))
    return pa.table({name: columns[name] for name in SEGMENT.column_names})


def level(jobs: list[Job], start: np.ndarray) -> np.ndarray:
    """Return the mean power of a board at some stamps, mW."""
    power_mw = np.full(len(start), IDLE_MW, np.float64)
    for job in jobs:
        power_mw[(start >= job.start_us) & (start < job.end_us)] = job.power_mw
    return power_mw


def _array(value: Any) -> pa.Array:
    values, mask = value if isinstance(value, tuple) else (value, None)
    return pa.array(values.reshape(-1), mask=None if mask is None else mask.reshape(-1))


def repeated(names: list[str], times: int) -> pa.Array:
    """Return each name some times, one after the other."""
    places = np.repeat(np.arange(len(names), dtype=np.int32), times)
    return pa.DictionaryArray.from_arrays(places, names)


def states(node: int, ids: list[str], jobs: list[Job], hour_us: int, every_s: int) -> pa.Table:
    """Return one hour of a node's states; columns of `state`."""
    stamps = np.arange(hour_us + 300_000, hour_us + HOUR_US, every_s * S)
    held = level(jobs, stamps) > IDLE_MW
    busy = held & (stamps % _CYCLE_US >= _STALL_US)
    count = len(ids) * len(stamps)
    columns = {name: pa.nulls(count, type_) for name, type_ in _types(STATE)}
    columns["ts_us"] = pa.array(np.tile(stamps, len(ids)))
    columns["device_id"] = repeated(ids, len(stamps)).dictionary_decode()
    columns["sm_util"] = pa.array(np.tile(np.where(busy, 93, 0).astype(np.int16), len(ids)))
    pids = [[4_000 + node] if one else [] for one in held]
    asked = [one if place % 3 == 0 else None for place, one in enumerate(pids)]
    columns["pids"] = pa.array(asked * len(ids), pa.list_(pa.int32()))
    return pa.table({name: columns[name] for name in STATE.column_names})


def _types(table: Any) -> list[tuple[str, pa.DataType]]:
    return [(field.name, field.type) for field in table.schema()]


def _add_facts(lake: Lake, node: int, ids: list[str], jobs: list[Job], tokens_s: int) -> None:
    """Add a node's devices, its jobs and their tokens."""
    name = name_of(node)
    _append(lake, DEVICE, [device_row(node, n, i, T0) for n, i in enumerate(ids)], name)
    end_us = max([job.end_us for job in jobs], default=T0)
    rows = [row for job in jobs for row in job_rows(job, ids, job.end_us, end_us)]
    _append(lake, JOBS, rows, name)
    for job in jobs:
        _append(lake, TOKENS, list(token_rows(job, name, tokens_s)), name)


def device_row(node: int, index: int, device_id: str, ts_us: int) -> dict[str, Any]:
    """Return what is recorded of a board."""
    return {
        "ts_us": ts_us, "node": name_of(node), "name": "NVIDIA H100 80GB HBM3",
        "limit_mw": LIMIT_MW, "update_us": 100_000, "sensor_kind": "average_1s",
        "learned_us": 100_000, "counter_us": 20_000, "site": "north", "rack": f"r{node // 4}",
        "emulated": True, "device_id": device_id, "index": index,
    }  # fmt: skip


def job_rows(
    job: Job, ids: list[str], end_us: int | None, recorded_us: int
) -> list[dict[str, Any]]:
    """Return what a list says of a job that holds all boards of its node."""
    return [
        {
            "job_id": job.job_id, "node": name_of(job.node), "device_id": device_id,
            "start_us": job.start_us, "end_us": end_us, "share_ppm": 1_000_000,
            "scheduler": "slurm", "user": f"user-{job.node % 50}",
            "account": f"group-{job.node % 9}",
            "name": "train" if job.node % 3 == 0 else "serve", "method": "declared",
            "recorded_us": recorded_us,
        }
        for device_id in ids
    ]  # fmt: skip


def token_rows(job: Job, node: str, every_s: int) -> Iterator[dict[str, Any]]:
    """Yield the readings of a job's counter to its end: 1,000 tokens a second while it works."""
    begin_us = _worked_us(job.start_us)
    for ts_us in [*range(job.start_us, job.end_us, every_s * S), job.end_us]:
        yield {
            "ts_us": ts_us, "source_id": f"{job.job_id}:0", "node": node, "job_id": job.job_id,
            "model": f"model-{job.node % 7}", "engine": "",
            "kind": "trained" if job.node % 3 == 0 else "generated",
            "value": (_worked_us(ts_us) - begin_us) // 1_000, "epoch": 0, "since_us": job.start_us,
        }  # fmt: skip


def _worked_us(ts_us: int) -> int:
    """Return the time up to a stamp in which jobs work."""
    cycles, rest_us = divmod(ts_us, _CYCLE_US)
    return cycles * (_CYCLE_US - _STALL_US) + max(0, rest_us - _STALL_US)


def _append(lake: Lake, table: Any, rows: list[dict[str, Any]], node: str) -> None:
    full = [{name: row.get(name) for name in table.column_names} for row in rows]
    lake.append(table.name, pa.Table.from_pylist(full, schema=table.schema()), node)
