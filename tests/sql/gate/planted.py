"""Sides of a comparison with a planted energy per token, and the same as tables of a lake."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.sql.flexibility.staged import stage
from tests.support.lakes import HOUR_US, T0, LakeBuilder
from tokenergy_collectors.lake import Lake
from tokenergy_sql.gate.side import BLOCK_US, Side

Row = dict[str, Any]


@dataclass(frozen=True)
class Runs:
    """One job that serves: energy = base_w x time + prefill_j x prompt + decode_j x generated.

    Attributes:
        blocks: how many times five minutes.
        rate: generated tokens a second, and its standard deviation as a share.
        mix: prompt tokens per generated token, and its standard deviation as a share.
        cost: what all energy is multiplied by.
        noise: standard deviation of a block's energy, as a share.
        from_h: in which hour it begins.
    """

    job: str = "base"
    blocks: int = 24
    rate: float = 500.0
    spread: float = 0.04
    mix: float = 5.0
    mix_spread: float = 0.03
    base_w: float = 120.0
    prefill_j: float = 0.02
    decode_j: float = 0.1
    cost: float = 1.0
    noise: float = 0.0
    seed: int = 1
    from_h: int = 0
    board: str = "GPU-1"
    gpu: str = "NVIDIA H100 80GB HBM3"
    limit_mw: int | None = 700_000
    workload: str = "inference"
    model: str = "m"


def blocks_of(runs: Runs) -> list[Row]:
    """Return the rows of five minutes."""
    rng = np.random.default_rng(runs.seed)
    rows = []
    for k in range(runs.blocks):
        tokens = round(300 * runs.rate * (1 + runs.spread * rng.standard_normal()))
        prompt = round(tokens * runs.mix * (1 + runs.mix_spread * rng.standard_normal()))
        energy_j = runs.base_w * 300 + runs.prefill_j * prompt + runs.decode_j * tokens
        energy_j *= runs.cost * (1 + runs.noise * rng.standard_normal())
        rows.append({
            "job_id": runs.job, "start_us": T0 + runs.from_h * HOUR_US + k * BLOCK_US,
            "device_us": BLOCK_US, "prompt": prompt, "tokens": tokens,
            "energy_nj": round(energy_j * 1e9), "quantum": 1,
        })  # fmt: skip
    return rows


def hours_of(runs: Runs) -> list[Row]:
    """Return the rows of hours: the sums of their five minutes."""
    rows: dict[int, Row] = {}
    for block in blocks_of(runs):
        hour_us = block["start_us"] - block["start_us"] % HOUR_US
        row = rows.setdefault(hour_us, {
            "job_id": runs.job, "hour_us": hour_us, "model": runs.model, "gpu": runs.gpu,
            "workload": runs.workload, "boards": 1, "limit_low_mw": runs.limit_mw,
            "limit_high_mw": runs.limit_mw, "device_us": 0, "prompt": 0, "tokens": 0,
            "energy_nj": 0, "left_out": None, "emulated": True,
        })  # fmt: skip
        for name in ("device_us", "prompt", "tokens", "energy_nj"):
            row[name] += block[name]
    return [
        row | {"tokens_low": row["tokens"], "tokens_high": row["tokens"]} for row in rows.values()
    ]


def cards_of(runs: Runs, gain: float = 0.05) -> list[Row]:
    """Return the rows of its one board, whose counter may be off by a gain."""
    return [
        {
            "job_id": runs.job, "hour_us": row["hour_us"], "device_id": runs.board,
            "meter": "counter", "energy_nj": row["energy_nj"], "device_us": row["device_us"],
            "plain_nj": row["energy_nj"], "plain_us": row["device_us"],
            "low_nj": round(row["energy_nj"] / (1 + gain)),
            "high_nj": round(row["energy_nj"] / (1 - gain)), "other_nj": 0,
            "gain_low_ppm": round(1e6 / (1 + gain)), "gain_high_ppm": round(1e6 / (1 - gain)),
            "offset_low_mw": 0, "offset_high_mw": 0,
        }
        for row in hours_of(runs)
    ]  # fmt: skip


def side_of(*many: Runs) -> Side:
    """Return a side of some jobs."""
    lists = [[*make(one)] for make in (hours_of, blocks_of, cards_of) for one in many]
    count = len(many)
    hours, blocks, cards = (
        [row for rows in lists[k * count : (k + 1) * count] for row in rows] for k in range(3)
    )
    return Side("+".join(one.job for one in many), hours, blocks, cards)


def scaled(side: Side, factor: int) -> Side:
    """Return a side that used a whole number of times as much."""
    return replace(
        side, blocks=[row | {"energy_nj": row["energy_nj"] * factor} for row in side.blocks]
    )


def staged_lake(root: Path, *many: Runs) -> Lake:
    """Return a lake whose books say the same."""
    builder = LakeBuilder(root)
    lake = builder.lake
    for one in many:
        builder.device(one.board, name=one.gpu, limit_mw=one.limit_mw, ts_us=T0)
    hours = [(one, row) for one in many for row in hours_of(one)]
    stage(lake, "job_index", (
        {
            "job_id": one.job, "model": one.model, "gpu": one.gpu, "workload": one.workload,
            "start_us": T0 + one.from_h * HOUR_US, "devices": 1, "emulated": True,
        }
        for one in many
    ))  # fmt: skip
    stage(lake, "job_hour_index", (
        {
            "job_id": one.job, "hour_us": row["hour_us"], "device_us": row["device_us"],
            "joint_us": row["device_us"], "joint_coverage": 1.0, "n_joint": row["tokens"],
            "n_joint_low": row["tokens"], "n_joint_high": row["tokens"],
            "n_joint_prompt_computed": row["prompt"], "e_joint_nj": row["energy_nj"],
            "emulated": True,
        }
        for one, row in hours
    ))  # fmt: skip
    if any(one.workload == "inference" for one in many):
        stage(lake, "phase_block", (
            {
                "job_id": row["job_id"], "start_us": row["start_us"], "windows": 10,
                "device_us": row["device_us"], "n_prompt": row["prompt"],
                "n_generated": row["tokens"], "e_uj": row["energy_nj"] // 1000, "quantum": 1,
            }
            for one in many if one.workload == "inference" for row in blocks_of(one)
        ))  # fmt: skip
    booked = [
        {
            "device_id": one.board, "node": "n1", "account": "active", "job_id": one.job,
            "energy_nj": row["energy_nj"], "low_nj": row["energy_nj"] * 95 // 100,
            "high_nj": row["energy_nj"] * 106 // 100, "device_us": row["device_us"],
        }
        for one, row in hours
    ]  # fmt: skip
    times = [row["hour_us"] for _, row in hours]
    stage(lake, "ledger_hour", (
        row | {"hour_us": at, "method": "counter"} for row, at in zip(booked, times, strict=True)
    ))  # fmt: skip
    stage(lake, "ledger", (
        row | {
            "start_us": at, "end_us": at + row["device_us"], "method": "counter",
            "meter": "counter", "attribution": "exclusive", "covered_us": row["device_us"],
        }
        for row, at in zip(booked, times, strict=True)
    ))  # fmt: skip
    return lake
