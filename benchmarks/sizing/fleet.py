"""Makes a lake of a fleet as its collectors leave it: two emulated nodes, copied.

In: sizes. Out: the raw tables of a lake. The collector itself records the two nodes on a virtual
clock, sealing every five minutes: one serves two models, the other trains. The other nodes are
copies under other names, whose readings come some microseconds later. So sizes and numbers of
files are those that collectors write, and jobs end and begin as on a busy fleet: a job of four to
eight boards every hour or two.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.scale.fleet import GPUS_A_NODE, T0
from benchmarks.sizing.collecting import HZ
from benchmarks.storage.data import late
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.emulate.run.fleet import collect_fleet
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.sealed import RAW_TABLES
from tokenergy_collectors.settings.config import Config

HOUR = T0 + HOUR_US
"""The hour that is measured, microseconds UTC; the one before it makes the lake a warm one."""

ROLL_S = 300.0
NODES = ("serve", "train")

_OFF_S = 97
"""Daemons do not start on the hour: so an hour has 13 seals, not 12."""

_REST_S = 60
"""The last window of an hour needs the first reading of the next."""

_NAMED = ("node", "job_id", "source_id")


def covered_hours(minutes: int) -> float:
    """Return how much of the measured hour a lake of so many minutes covers, in hours."""
    return min(60, minutes + _REST_S // 60) / 60


def profile_of(minutes: int) -> Profile:
    """Return the two nodes: so many minutes before the measured hour, and as many of it.

    Args:
        minutes: 2 to 60; with 60 the whole hour.
    """
    start_us = HOUR - (minutes * 60 - _OFF_S) * 1_000_000
    length_s = 2 * minutes * 60 - _OFF_S + _REST_S

    def job(name: str, node: str, boards: range, of: tuple[float, float], work: Any) -> Any:
        # Begin and end are shares of the time; a job does not begin or end on a whole second.
        start_s, end_s = (round(share * length_s) + 0.123456 for share in of)
        return {
            "id": name, "name": work["type"], "user": f"user-{node}", "account": "research",
            "devices": {node: [*boards]}, "start_s": start_s, "end_s": end_s, "workload": work,
        }  # fmt: skip

    serve = {
        "type": "inference", "log": "azure_conv", "max_batched_tokens": 8192, "rate": 2.0,
        "step_us": 14_000, "per_sequence_us": 80, "per_prompt_token_us": 55,
    }  # fmt: skip
    train = {"type": "training", "model": "tiny-7b", "tokens_per_step": 1_048_576}
    return Profile.model_validate(
        {
            "name": "sizing",
            "start": datetime.fromtimestamp(start_us / 1e6, UTC),
            "duration_s": length_s,
            "seed": 1,
            "nodes": {
                node: {"boards": "h100", "count": GPUS_A_NODE, "site": "emulated", "rack": "r1"}
                for node in NODES
            },
            "jobs": [
                job("chat", "serve", range(4), (0.02, 0.98), {**serve, "model": "llama-70b"}),
                job("code", "serve", range(4, 8), (0.03, 0.60), {**serve, "model": "llama-8b"}),
                job("code-2", "serve", range(4, 8), (0.62, 0.97), {**serve, "model": "llama-8b"}),
                job("pretrain", "train", range(8), (0.01, 0.70), train),
                job("pretrain-2", "train", range(8), (0.72, 0.99), train),
            ],
        }
    )


def collect(root: Path, minutes: int) -> Lake:
    """Record the two nodes as their collectors do; return their lake.

    Args:
        root: where.
        minutes: see `profile_of`.
    """

    def config(node: str) -> Config:
        keys = {"lake": str(root), "node": node, "rate_hz": HZ, "roll_s": ROLL_S}
        return Config.model_validate(keys)

    collect_fleet(profile_of(minutes), config, Control(), truth=root.parent / f"{root.name}-truth")
    return Lake(root)


def copy_fleet(two: Lake, root: Path, nodes: int) -> Lake:
    """Make a lake of so many nodes out of that of two; return it."""
    lake = Lake(root, create=True)
    for number in range(nodes):
        rng = np.random.default_rng(number)
        of = NODES[number % len(NODES)]
        for table in RAW_TABLES:
            for path in two.files(table, node=of):
                rows = pq.ParquetFile(path).read()
                if table == "power":
                    rows = late(rows, rng)
                lake.append(table, _renamed(rows, number), f"{of}-{number:04d}")
    return lake


def _renamed(rows: pa.Table, number: int) -> pa.Table:
    """Return rows of another node, of its boards and of its jobs."""
    for place, name in enumerate(rows.column_names):
        if name in _NAMED:
            text = rows[name].cast(pa.string())
            named = pc.binary_join_element_wise(text, f"{number:04d}", "-")
            rows = rows.set_column(place, name, named)
        elif name == "device_id":
            rows = rows.set_column(place, name, _other_boards(rows[name], number))
    return rows


def _other_boards(ids: pa.ChunkedArray, number: int) -> pa.ChunkedArray:
    """Return the identifiers of the same boards on another node."""
    old = [one for one in pc.unique(ids).to_pylist() if one is not None]
    new = [f"GPU-{uuid.uuid5(uuid.NAMESPACE_OID, f'{one}/{number}')}" for one in old]
    places = pc.index_in(ids.cast(pa.string()), value_set=pa.array(old, pa.string()))
    return pc.take(pa.chunked_array([pa.array(new, pa.string())]), places)
