"""Emulated servers without boards and meters: what they drew and made, five minutes at a time.

In: a profile and a job's id. Out: a side of a comparison, whose one meter is exact.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.emulate.workloads.inference import Inference
from tokenergy_collectors.emulate.workloads.request_log import load_log
from tokenergy_collectors.emulate.workloads.timeline import CELL_US
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.gate.side import BLOCK_US, Side


def side(one: Profile, job_id: str) -> Side:
    """Run a job's server from the beginning of an hour and return what it would show."""
    job = next(job for job in one.jobs if job.id == job_id)
    spec: Any = job.workload
    length_us = job.end_us - job.start_us
    server = Inference(spec, load_log(spec.log, one.folder), one.seed, job.id, 0, length_us)
    server.advance(length_us)
    power_mw = server.cells(0, length_us // CELL_US).power_mw
    start_us = job.start_us - job.start_us % HOUR_US
    blocks = []
    for begin_us in range(0, length_us - BLOCK_US + 1, BLOCK_US):
        first, last = (server.totals_at(at_us) for at_us in (begin_us, begin_us + BLOCK_US))
        cells = power_mw[begin_us // CELL_US : (begin_us + BLOCK_US) // CELL_US]
        blocks.append({
            "job_id": job_id, "start_us": start_us + begin_us, "device_us": BLOCK_US,
            "prompt": (last[0] - last[1]) - (first[0] - first[1]), "tokens": last[2] - first[2],
            "energy_nj": int(cells.sum()) * CELL_US, "quantum": 1,
        })  # fmt: skip
    hours = [{
        "job_id": job_id, "hour_us": start_us, "model": "m", "gpu": None, "workload": "inference",
        "boards": 1, "limit_low_mw": None, "limit_high_mw": None, "left_out": None,
        "emulated": True, **_sums(blocks), "tokens_low": None, "tokens_high": None,
    }]  # fmt: skip
    return Side(job_id, hours, blocks, [_exact(hours[0])])


def _sums(blocks: list[dict[str, Any]]) -> dict[str, int]:
    names = ("device_us", "prompt", "tokens", "energy_nj")
    return {name: sum(row[name] for row in blocks) for name in names}


def _exact(hour: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a card that shows what is true."""
    energy_nj, device_us = hour["energy_nj"], hour["device_us"]
    return {
        "job_id": hour["job_id"], "hour_us": hour["hour_us"], "device_id": "exact",
        "meter": "counter", "energy_nj": energy_nj, "device_us": device_us, "plain_nj": energy_nj,
        "plain_us": device_us, "low_nj": energy_nj, "high_nj": energy_nj, "other_nj": 0,
        "gain_low_ppm": 1_000_000, "gain_high_ppm": 1_000_000, "offset_low_mw": 0,
        "offset_high_mw": 0,
    }  # fmt: skip


def scaled(head: Side, factor: float) -> Side:
    """Return a side that used so much more."""
    blocks = [row | {"energy_nj": round(row["energy_nj"] * factor)} for row in head.blocks]
    return replace(head, blocks=blocks)
