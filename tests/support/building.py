"""A lake with three hours of the planted site: its meters, and a job on one board."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.sql.metering.planted import T0, S, registers, rows, site_toml, truth
from tests.support.lakes import HOUR_US, LakeBuilder
from tokenergy_sql.index.site import load_site

HOURS = 3
BEGIN = T0 - HOUR_US
"""The planted site has three hours; T0 is the start of the second."""

DARK = range(7_800, 9_600)
"""Seconds in which nobody read the chiller of hall a."""

RATE = 40
"""Tokens a second."""


def build(root: Path) -> None:
    builder = LakeBuilder(root)
    root.mkdir(exist_ok=True, parents=True)
    (root / "site.toml").write_text(
        f"[site]\npue = 1.25\nhost_w = 100\n{site_toml(1_000)}", "utf-8"
    )
    builder.device("GPU-a")
    builder.job("chat", "GPU-a", BEGIN, BEGIN + HOURS * HOUR_US)
    shown = registers(truth(1), 1_000)
    by_hour: dict[int, list[Any]] = {}
    for row in rows(shown, but=lambda meter_id, s: meter_id == "cool-a" and s in DARK):
        by_hour.setdefault(row["ts_us"] // HOUR_US, []).append(row)
    for of_hour in by_hour.values():
        builder.add("meter", of_hour)
    for hour in range(HOURS):
        begin = BEGIN + hour * HOUR_US
        stamps = range(begin, begin + HOUR_US + S, S)
        watts = 300 + 50 * hour
        builder.power("GPU-a", [(at, watts * 1_000) for at in stamps if at < begin + HOUR_US])
        counts = [(at, (at - BEGIN) // S * RATE) for at in stamps[::10]]
        builder.tokens("chat", counts)
    builder.build(load_site(None, root))
