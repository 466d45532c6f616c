"""Two halls with two nodes each, an hour of them, and what every meter counts in it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.sql.metering.test_planted_site import again
from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.ledger import ask
from tokenergy_collectors.lake import Lake

KWH = 3_600 * 10**12
"""Nanojoules in a kWh."""

HALL = """
[[hall]]
name = "{hall}"
[[rack]]
name = "{hall}-r1"
hall = "{hall}"
[[placed]]
nodes = ["{hall}1", "{hall}2"]
rack = "{hall}-r1"
[[meter]]
id = "it-{hall}"
quantity = "energy"
unit = "kWh"
role = "ups_out"
place = "hall:{hall}"
accuracy_percent = 0.5
resolution = 0.000001
"""

IN_HALL = """
[[meter]]
id = "in-{hall}"
quantity = "energy"
unit = "kWh"
role = "utility"
place = "hall:{hall}"
feeds = ["it-{hall}"]
accuracy_percent = 0.5
resolution = 0.000001
"""

GRID = """
[[meter]]
id = "grid"
quantity = "energy"
unit = "kWh"
role = "utility"
feeds = [{feeds}]
accuracy_percent = 0.5
resolution = 0.000001
"""

KWH_OF = {"in-a": 130, "it-a": 100, "in-b": 220, "it-b": 200, "grid": 390}
"""What each meter counts in an hour: 40 kWh go into the site and into no hall."""

BOARDS = {"a1": 400, "a2": 300, "b1": 500, "b2": 200}
"""A board of each node, and what it draws all hour, watts."""

HOST_W = 100


def site_text(*, grid: bool = True, halls: str = "ab", declared: float | None = None) -> str:
    constants = f"[site]\nhost_w = {HOST_W}\n" + (f"pue = {declared}\n" if declared else "")
    text = constants + "".join(HALL.format(hall=hall) for hall in "ab")
    text += "".join(IN_HALL.format(hall=hall) for hall in halls)
    if grid:
        feeds = ", ".join(f'"{"in" if hall in halls else "it"}-{hall}"' for hall in "ab")
        text += GRID.format(feeds=feeds)
    return text


def booked(
    tmp_path: Path,
    text: str,
    *,
    lost: dict[str, tuple[int, int]] | None = None,
    kwh_of: dict[str, int] = KWH_OF,
    site_of: dict[str, str] | None = None,
    held: dict[str, str] | None = None,
) -> Lake:
    """A lake of four nodes.

    Args:
        tmp_path: where.
        text: the site file.
        lost: by meter, the minutes in which it was not read: first, after the last.
        kwh_of: what each meter counts in the hour.
        site_of: the label of each node's boards.
        held: by node, the job that held its board in the second half of the hour.
    """
    builder = LakeBuilder(tmp_path / "lake")
    for node, watts in BOARDS.items():
        of = {"site": site_of[node]} if site_of else {}
        builder.device(f"GPU-{node}", node=node, **of)
        builder.power(f"GPU-{node}", level(watts * 1000, T0, T0 + HOUR_US, S), node=node)
    for node, job in (held or {"a1": "one", "b1": "one", "b2": "two"}).items():
        builder.job(job, f"GPU-{node}", T0 + HOUR_US // 2, T0 + HOUR_US, node=node)
    shown = [
        reading(meter_id, kwh, minute)
        for meter_id, kwh in kwh_of.items()
        if f'"{meter_id}"' in text
        for minute in range(61)
        if not (lost or {}).get(meter_id, (99, 99))[0]
        <= minute
        < (lost or {}).get(meter_id, (99, 99))[1]
    ]
    for hour in (T0, T0 + HOUR_US):
        if rows := [row for row in shown if hour <= row["ts_us"] < hour + HOUR_US]:
            builder.add("meter", rows, "bms")
    (builder.lake.root / "site.toml").write_text(text, "utf-8")
    again(builder.lake)
    return builder.lake


def reading(meter_id: str, kwh: int, minute: int) -> dict[str, Any]:
    """A raw row of a meter that counts so many kWh in the hour."""
    return {
        "ts_us": T0 + minute * 60 * S,
        "meter_id": meter_id,
        "node": "bms",
        "source": "modbus",
        "value_n": 10**9 * 1000 + kwh * 10**9 * minute // 60,
    }


def add_late_grid(lake: Lake) -> None:
    """Add what the utility's meter showed after the first minute, and derive again."""
    late = [reading("grid", KWH_OF["grid"], minute) for minute in range(1, 60)]
    LakeBuilder(lake.root).add("meter", late, "bms")


def nodes_of(lake: Lake) -> dict[str, dict[str, Any]]:
    rows = ask(lake, f"FROM node_hour WHERE hour_us = {T0}")
    return {row["node"]: row for row in rows}


def jobs_of(lake: Lake) -> dict[str, dict[str, Any]]:
    return {row["job_id"]: row for row in ask(lake, f"FROM job_hour_index WHERE hour_us = {T0}")}


def borne_nj(lake: Lake) -> int:
    nodes, jobs = nodes_of(lake).values(), jobs_of(lake).values()
    return sum(int(row["unborne_facility_nj"]) for row in nodes) + sum(
        int(row["e_facility_burdened_nj"]) for row in jobs
    )


def assert_pue(row: dict[str, Any], place: str, pue: Fraction) -> None:
    """The PUE is that of the place, within a millionth, and inside its bounds."""
    assert row["pue_place"] == place
    assert row["facility_method"] == "measured"
    assert row["pue_low_ppb"] <= pue * 10**9 <= row["pue_high_ppb"]
    assert abs(Fraction(row["pue_ppb"], 10**9) / pue - 1) < Fraction(1, 10**6)
