"""A fleet for the report: three nodes, 24 GPUs, 20 jobs, five hours, and some of what goes wrong.

In: a folder. Out: an indexed lake. It is made of plain numbers from a fixed seed, a reading every
10 s, so that it takes seconds where an emulated fleet takes minutes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.support.lakes import T0, LakeBuilder, S
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.site import Site

HOURS = 5
STEP = 10 * S
END = T0 + HOURS * 3600 * S
MINUTE = 60 * S

NODES = {
    "gpu-a": ("NVIDIA H100 80GB HBM3", 700_000),
    "gpu-b": ("NVIDIA H100 80GB HBM3", 700_000),
    "gpu-c": ("NVIDIA A100-SXM4-80GB", 400_000),
}


@dataclass(frozen=True)
class Job:
    """One job: its boards on one node, when (minutes), what it does, tokens a second, load."""

    job_id: str
    name: str
    user: str
    node: str
    devices: tuple[int, ...]
    start: float
    end: float | None
    kind: str
    model: str
    rate: float
    load: float


_JOBS = """
7001 pretrain      grace gpu-a 0,1,2,3   4 296 trained   tiny-7b       90000 0.93
7002 finetune      grace gpu-a 4,5      12 190 trained   tiny-1b      160000 0.85
7003 chat-eu       ada   gpu-a 6         0   - generated llama-3.1-8b   1900 0.70
7004 chat-us       ada   gpu-a 7         0 300 generated llama-3.1-8b   1500 0.64
7005 chat-large    ada   gpu-b 0,1,2,3   6 288 generated llama-3.1-70b  2600 0.78
7006 agents        mary  gpu-b 4,5      20 250 generated qwen3-32b       900 0.55
7007 summaries     mary  gpu-b 6        30  92 generated llama-3.1-8b   2100 0.80
7008 summaries     mary  gpu-b 6       110 171 generated llama-3.1-8b   2050 0.80
7009 eval-nightly  grace gpu-b 6       180 206 generated qwen3-32b       520 0.70
7010 notebook      alan  gpu-b 7        40 260 -         -                 0 0
7011 code          alan  gpu-c 0         2 299 generated llama-3.1-8b    900 0.72
7012 code-canary   alan  gpu-c 1        60 240 generated llama-3.1-8b    310 0.50
7013 embed         joan  gpu-c 2        15  75 generated qwen3-4b       2400 0.66
7014 embed         joan  gpu-c 2        85 160 generated qwen3-4b       2300 0.66
7015 distil        joan  gpu-c 3,4,5,6  25 275 trained   tiny-1b      110000 0.90
7016 lora-sweep-0  karen gpu-a 4       200 228 trained   tiny-1b       70000 0.80
7017 lora-sweep-1  karen gpu-a 5       200 231 trained   tiny-1b       72000 0.80
7018 lora-sweep-2  karen gpu-a 4       232 262 trained   tiny-1b       71000 0.80
7019 broken-loader karen gpu-c 7        50 130 generated qwen3-4b          0 0.10
7020 batch-translate-archive-2019-2024-again mary gpu-c 2 170 290 generated qwen3-4b 2200 0.68
"""


def _jobs() -> Iterator[Job]:
    for line in _JOBS.strip().splitlines():
        id_, name, user, node, devices, start, end, kind, model, rate, load = line.split()
        boards = tuple(int(index) for index in devices.split(","))
        kind, model = kind.strip("-"), model if kind != "-" else ""
        times = float(start), None if end == "-" else float(end)
        yield Job(id_, name, user, node, boards, *times, kind, model, float(rate), float(load))


JOBS = tuple(_jobs())


def device_id(node: str, index: int) -> str:
    return f"GPU-{node[-1]}{index}000000-0000-4000-8000-00000000000{index}"


def build_fleet(root: Path) -> Lake:
    """Return the lake, aggregated in windows of a minute and indexed."""
    builder = LakeBuilder(root)
    random_ = random.Random(20260115)
    for node in NODES:
        for index in range(8):
            _board(builder, random_, node, index)
    for job in JOBS:
        _allocate(builder, job)
        if job.kind:
            _count(builder, job)
    builder.add("event", _events())
    lake = builder.build(
        Site(pue_ppm=1_220_000, host_mw=1_500_000, node_host_mw={}), window_us=MINUTE
    )
    bad = lake.root / "quarantine" / "state" / "date=2026-01-15" / "hour=09"
    bad.mkdir(parents=True)
    (bad / "gpu-c-1768467600000000-000001.parquet").write_bytes(b"PAR1 cut short")
    (bad / "gpu-c-1768467600000000-000001.parquet.reason").write_text("no Parquet footer")
    return lake


def _power_mw(random_: random.Random, node: str, index: int, ts_us: int) -> int:
    """Return idle power, or what the job that holds the board draws."""
    limit = NODES[node][1]
    minute = (ts_us - T0) / MINUTE
    idle = 0.13 * limit + 800 * index
    for job in JOBS:
        held = job.node == node and index in job.devices
        if held and job.start <= minute < (300 if job.end is None else job.end):
            swing = 0.12 * math.sin(minute / 23 + index) if job.kind == "generated" else 0.0
            pause = 0.5 if job.kind == "trained" and minute % 45 < 0.7 else 1.0
            share = max(0.0, job.load * pause * (1 + swing) + random_.gauss(0, 0.015))
            return int(idle + share * (limit - idle)) if job.load else int(idle + 18_000)
    if node == "gpu-c" and index == 7 and minute > 200:
        return int(idle + 90_000)  # a process of nobody's job
    return int(idle + random_.gauss(0, 400))


def _board(builder: LakeBuilder, random_: random.Random, node: str, index: int) -> None:
    device = device_id(node, index)
    name, limit_mw = NODES[node]
    more = {"name": name, "limit_mw": limit_mw, "update_us": STEP, "driver": "580.1"}
    places = {"site": "north", "hall": "h1", "pod": "p1", "rack": f"r-{node[-1]}"}
    builder.device(device, node=node, index=index, **more, **places)
    readings = [(t, _power_mw(random_, node, index, t)) for t in range(T0, END + 1, STEP)]
    if (node, index) == ("gpu-c", 4):  # silent for 20 minutes
        readings = [(t, p) for t, p in readings if not 100 <= (t - T0) / MINUTE < 120]
    counters, total = {}, 0.0
    for (before, left), (ts, right) in pairwise(readings):
        total += (left + right) / 2 * (ts - before) / 1e6
        counters[ts] = int(total * (1.08 if (node, index) == ("gpu-b", 5) else 1.004))
    has_counter = node != "gpu-c"
    builder.power(device, readings, counters=counters if has_counter else None, node=node)
    busy = [(t, p > 0.13 * limit_mw + 800 * index + 30_000) for t, p in readings[::3]]
    stray = (node, index) == ("gpu-c", 7)
    gauges = [
        {
            "ts_us": t + 1,
            "device_id": device,
            "sm_util": 92 if b else 0,
            "pids": [9] if stray and b else [],
        }
        for t, b in busy
    ]
    builder.add("state", gauges, node)


def _allocate(builder: LakeBuilder, job: Job) -> None:
    common: dict[str, Any] = {
        "job_id": job.job_id,
        "node": job.node,
        "name": job.name,
        "user": job.user,
        "account": "research" if job.kind == "trained" else "assistants",
        "start_us": T0 + int(job.start * MINUTE),
        "end_us": None if job.end is None else T0 + int(job.end * MINUTE),
        "share_ppm": 1_000_000,
        "scheduler": "slurm",
        "method": "declared",
        "recorded_us": T0,
    }
    rows = [{**common, "device_id": device_id(job.node, index)} for index in job.devices]
    builder.add("jobs", rows, job.node)


def _count(builder: LakeBuilder, job: Job) -> None:
    """Counters read every 30 s; a server reads prompts too."""
    start = T0 + int(job.start * MINUTE)
    end = END if job.end is None else T0 + int(job.end * MINUTE)
    kinds = {job.kind: 1.0}
    if job.kind == "generated":
        kinds |= {"prompt_computed": 2.6, "prompt_cached": 1.4}
    rows = []
    for kind, ratio in kinds.items():
        value = 0.0
        for ts in range(start, end + 1, 30 * S):
            common = {"ts_us": ts, "source_id": job.job_id, "node": job.node, "engine": ""}
            given = {"job_id": job.job_id, "model": job.model, "kind": kind, "epoch": 0}
            rows.append({**common, **given, "value": int(value), "since_us": start})
            wave = 1 + 0.35 * math.sin((ts - T0) / MINUTE / 23)
            value += 30 * job.rate * ratio * (wave if job.kind == "generated" else 1.0)
    builder.add("tokens", rows, job.node)


def _events() -> list[dict[str, Any]]:
    lost = {"node": "gpu-c", "device_id": device_id("gpu-c", 4)}
    return [
        {"ts_us": T0, "node": "gpu-a", "kind": "start"},
        {"ts_us": T0 + 100 * MINUTE, **lost, "kind": "lost", "detail": "GPU is lost"},
        {"ts_us": T0 + 120 * MINUTE, **lost, "kind": "found", "detail": "opened again"},
    ]
