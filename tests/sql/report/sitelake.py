"""A site of two halls with a PUE each, three jobs with tokens, and names that are hard to print."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.report_names import HOSTILE
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.site import load_site

HALLS = {"a": HOSTILE, "b": "b"}
"""The name of each hall."""

GRID = '<i>grid</i>"'
"""The id of the meter at the grid."""

KWH_OF = {"in-a": 130, "it-a": 100, "in-b": 220, "it-b": 200, GRID: 390}
"""What each meter counts in an hour: 40 kWh go into the site and into no hall."""

BOARDS = {"a1": 400, "a2": 300, "b1": 500, "b2": 200}
"""A board of each node, and what it draws all hour, watts."""

JOBS = {"one": ("a1",), "two": ("b1",), "both": ("a2", "b2")}
"""The nodes of each job."""

RATE = {"one": 10, "two": 30, "both": 7}
"""Tokens a second of each job."""

HOURS = 2


def site_text(*, host_w: int | None = 100) -> str:
    """Return the site file; without host power if that is None."""

    def table(kind: str, **keys: object) -> str:
        lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
        return "\n".join([f"[[{kind}]]", *lines, ""])

    def meter(meter_id: str, role: str, place: str, feeds: list[str]) -> str:
        kinds = {"quantity": "energy", "unit": "kWh", "accuracy_percent": 0.5, "resolution": 1e-6}
        return table("meter", id=meter_id, role=role, place=place, feeds=feeds, **kinds)

    text = "[site]\n" if host_w is None else f"[site]\nhost_w = {host_w}\n"
    text += meter(GRID, "utility", "site", ["in-a", "in-b"])
    for hall, name in HALLS.items():
        text += table("hall", name=name, cooling="air" if hall == "a" else "liquid")
        text += table("rack", name=f"{hall}-r1", hall=name)
        text += table("placed", nodes=[f"{hall}1", f"{hall}2"], rack=f"{hall}-r1")
        text += meter(f"in-{hall}", "utility", f"hall:{name}", [f"it-{hall}"])
        text += meter(f"it-{hall}", "ups_out", f"hall:{name}", [])
    return text


def build(root: Path, *, host_w: int | None = 100) -> Lake:
    """Build the lake: two hours."""
    builder = LakeBuilder(root)
    end = T0 + HOURS * HOUR_US
    for node, watts in BOARDS.items():
        builder.device(f"GPU-{node}", node=node, update_us=10 * S)
        for hour in range(T0, end, HOUR_US):
            builder.power(
                f"GPU-{node}", level(watts * 1000, hour, hour + HOUR_US, 10 * S), node=node
            )
    for job, nodes in JOBS.items():
        for node in nodes:
            builder.job(job, f"GPU-{node}", T0, end, node=node)
        counts = [(ts, (ts - T0) // S * RATE[job]) for ts in range(T0, end + 1, 10 * S)]
        builder.tokens(job, counts, source_id=job, node=nodes[0])
    for hour in range(HOURS + 1):
        shown = [
            {
                "ts_us": T0 + hour * HOUR_US + minute * 60 * S,
                "meter_id": meter_id,
                "node": "bms",
                "source": "modbus",
                "value_n": 10**12 + kwh * 10**9 * (60 * hour + minute) // 60,
            }
            for meter_id, kwh in KWH_OF.items()
            for minute in range(60 if hour < HOURS else 1)
        ]
        builder.add("meter", shown, "bms")
    (builder.lake.root / "site.toml").write_text(site_text(host_w=host_w), "utf-8")
    return builder.build(load_site(None, root), window_us=10 * S)
