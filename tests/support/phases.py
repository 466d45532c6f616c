"""Jobs that go through phases of power and tokens, and what is told of their efficiency."""

from __future__ import annotations

from typing import Any

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.ledger import ask
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.efficiency import PARTS

Phase = tuple[int, int, int, int, int]
"""Seconds, watts, generated and prompt tokens a second, SM utilization in percent."""

PHASES: tuple[Phase, ...] = (
    (100, 100, 0, 0, 50),  # loading
    (100, 600, 1, 1_000, 100),  # prefill
    (200, 500, 100, 50, 100),  # full rate
    (100, 400, 50, 20, 100),  # low batch
    (100, 80, 0, 0, 0),  # idle
)


def run(
    builder: LakeBuilder,
    phases: tuple[Phase, ...] = PHASES,
    *,
    start_us: int = T0,
    every_s: int = 1,
    kinds: tuple[str, ...] = ("generated", "prompt_computed"),
    name: str = "j",
) -> None:
    """One board that a job of one name holds through phases, its counters read every so often."""
    builder.device(name, node=name)
    readings: dict[int, int] = {}
    counts: dict[str, list[tuple[int, int]]] = {kind: [(start_us, 0)] for kind in kinds}
    gauges, at_us = [], start_us
    for seconds, watts, generated, prompt, busy in phases:
        end_us = at_us + seconds * S
        readings |= dict(level(watts * 1_000, at_us, end_us - 100_000))
        readings[end_us - 1] = watts * 1_000
        gauges += [
            {"ts_us": t, "device_id": name, "sm_util": busy} for t in range(at_us, end_us, S)
        ]
        for kind, rate in zip(kinds, (generated, prompt), strict=False):
            base = counts[kind][-1][1]
            counts[kind] += [
                (at_us + k * S, base + rate * k) for k in range(every_s, seconds + 1, every_s)
            ]
        at_us = end_us
    readings[at_us] = phases[-1][1] * 1_000
    builder.power(name, sorted(readings.items()), node=name)
    builder.add("state", gauges, name)
    builder.job(name, name, start_us, at_us, node=name)
    for kind in kinds:
        builder.tokens(name, counts[kind], kind=kind, source_id=name, node=name)


def hours(lake: Lake) -> list[dict[str, Any]]:
    rows = ask(lake, "SELECT * FROM job_efficiency ORDER BY hour_us, job_id")
    for row in rows:
        if row["e_gpu_nj"] is not None:
            assert sum(row[name] or 0 for name in PARTS) == row["e_gpu_nj"]
        if row["n_steady"]:
            at_full_rate = int(row["e_steady_nj"]) * row["n_low_batch"] // row["n_steady"]
            assert row["e_low_batch_excess_nj"] == row["e_low_batch_nj"] - at_full_rate
    return rows
