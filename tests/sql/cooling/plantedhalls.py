"""Two halls with a known truth: what their meters show, and a lake of it.

Hall a is cooled by air: fans, and a chiller whose heat a tower gives away. Hall b is cooled by
liquid; what its loop does not carry goes to air. Everything is smooth, so straight lines between
readings are near enough to the truth; each formula is written out here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from tests.sql.cooling.sitefile import HALLS, loop, meter
from tests.support.lakes import HOUR_US, T0, LakeBuilder
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.site import load_site
from tokenergy_sql.metering.hour import hour_rows

S = 1_000_000
RATE = {"n1": 40, "n2": 50}
"""Tokens a second of each node's job."""
PAIR_RATE, PAIR_WATTS = 30, 200
"""Of a job with a board in each hall."""
WATTS = {"n1": 500, "n2": 450}

SHARE, STANDING, SUPPLY_C, RATED_KW = 0.6, 0.2, 19.0, 560.0
CONDENSER_K, TOWER_K, EVAPORATOR_K = 9.0, 6.0, 2.0
FAN_W_PER_KW, FAN_EXPONENT = 40.0, 2.7
PUMP_W_PER_KW, PUMP_EXPONENT, LIQUID_KW = 12.0, 2.9, 640.0
LIQUID_SHARE = 0.8
PUE_REST = 0.06
"""What the building needs besides IT and cooling, over IT."""

EXACT = {"accuracy_percent": 0.5, "resolution": 0.0001}
DEGREES = {"accuracy_percent": 0, "accuracy_absolute": 0.05, "resolution": 0.0001}

SITE_TOML = (
    "[site]\npue = 1.25\nhost_w = 100\n"
    + HALLS
    + """
[[rack]]
name = "ra"
hall = "a"
[[rack]]
name = "rb"
hall = "b"
[[placed]]
node = "n1"
rack = "ra"
[[placed]]
node = "n2"
rack = "rb"
[[cooling]]
place = "hall:a"
class = "air"
rated_kw = 560
[[cooling]]
place = "hall:b"
class = "W32"
rejection = "tower"
rated_kw = 800
"""
    + meter("grid", "power", "kW", "utility", "site", **EXACT)
    + meter("it-a", "power", "kW", "it", "hall:a", **EXACT)
    + meter("it-b", "power", "kW", "it", "hall:b", **EXACT)
    + meter("chiller-a", "power", "kW", "chiller", "hall:a", **EXACT)
    + meter("fans-a", "power", "kW", "fan", "hall:a", **EXACT)
    + meter("pumps-b", "power", "kW", "cdu", "hall:b", **EXACT)
    + meter("towers", "power", "kW", "tower", "site", **EXACT)
    + meter("chilled-a", "temperature", "°C", "supply_temp", "hall:a", **DEGREES)
    + meter("outdoor", "temperature", "°C", "outdoor_temp", "site", **DEGREES)
    + meter("humidity", "ratio", "%", "humidity", "site", resolution=0.0001)
    + loop("b", "hall:b", flow_keys=EXACT, degree_keys=DEGREES)
)


def wave(s: float, hours: float, least: float, most: float) -> float:
    return least + (most - least) * (1 + math.sin(2 * math.pi * s / 3_600 / hours)) / 2


def it_a(s: float) -> float:
    return wave(s, 17.0, 260.0, 550.0)


def it_b(s: float) -> float:
    return wave(s, 23.0, 400.0, 790.0)


def heat_b(s: float) -> float:
    return LIQUID_SHARE * it_b(s)


def outdoor(s: float) -> float:
    return wave(s, 24.0, 26.0, 38.0)


def wet_bulb(s: float) -> float:
    """Of air at 100 % humidity: the dry bulb."""
    return outdoor(s)


def chiller_a(s: float) -> float:
    evaporating = SUPPLY_C - EVAPORATOR_K
    lift = wet_bulb(s) + TOWER_K + CONDENSER_K - evaporating
    full = RATED_KW / (SHARE * (evaporating + 273.15) / lift)
    return full * (STANDING + (1 - STANDING) * it_a(s) / RATED_KW)


def fans_a(s: float) -> float:
    return FAN_W_PER_KW / 1000 * RATED_KW * (it_a(s) / RATED_KW) ** FAN_EXPONENT


def pumps_b(s: float) -> float:
    return PUMP_W_PER_KW / 1000 * LIQUID_KW * (heat_b(s) / LIQUID_KW) ** PUMP_EXPONENT


def towers(s: float) -> float:
    return 5.0 + it_a(s) / 100


def water_kj_per_l_k(celsius: float) -> float:
    """Of a loop from 30 to 40 °C."""
    assert celsius == 35.0
    return 0.994034 * 4.18


METERS: dict[str, Callable[[float], float]] = {
    "grid": lambda s: (
        (it_a(s) + it_b(s)) * (1 + PUE_REST) + chiller_a(s) + fans_a(s) + pumps_b(s) + towers(s)
    ),
    "it-a": it_a,
    "it-b": it_b,
    "chiller-a": chiller_a,
    "fans-a": fans_a,
    "pumps-b": pumps_b,
    "towers": towers,
    "chilled-a": lambda _: SUPPLY_C,
    "outdoor": outdoor,
    "humidity": lambda _: 100.0,
    "flow-b": lambda s: heat_b(s) / (10.0 * water_kj_per_l_k(35.0)),
    "supply-b": lambda _: 30.0,
    "return-b": lambda _: 40.0,
}


def mean(of: Callable[[float], float], begin_s: float, end_s: float) -> float:
    """Return the mean of a truth over an interval."""
    steps = 2_000
    return sum(of(begin_s + (end_s - begin_s) * (n + 0.5) / steps) for n in range(steps)) / steps


ENTERS = {"hall:a": ("it-a", "chiller-a", "fans-a"), "hall:b": ("it-b", "pumps-b")}
"""What enters each hall, its IT energy first."""


def pue_of(hall: str, hours: int) -> float:
    """Return the mean over some hours of the PUE that a hall's jobs have.

    It is what enters the hall, and its part by IT energy of what enters none, over its IT energy.
    """
    found = []
    for hour in range(hours):
        kwh = {one: mean(METERS[one], hour * 3_600, (hour + 1) * 3_600) for one in _POWERS}
        all_it = kwh["it-a"] + kwh["it-b"]
        shared = kwh["grid"] - sum(kwh[one] for of_hall in ENTERS.values() for one in of_hall)
        own = sum(kwh[one] for one in ENTERS[hall]) / kwh[ENTERS[hall][0]]
        found.append(own + shared / all_it)
    return sum(found) / hours


_POWERS = ("grid", *(one for of_hall in ENTERS.values() for one in of_hall))


def build_lake(root: Path, hours: int, every_s: int = 60, jobs: bool = True) -> Lake:
    """Write the site file, the readings and the index of some hours from T0 on.

    Without jobs only the building's figures are booked, which takes a hundredth of the time.
    """
    root.mkdir(parents=True, exist_ok=True)
    (root / "site.toml").write_text(SITE_TOML, "utf-8")
    builder = LakeBuilder(root)
    for node in WATTS if jobs else ():
        builder.device(f"GPU-{node}", node=node)
        builder.device(f"GPU-{node}-1", node=node, index=1)
        builder.job("pair", f"GPU-{node}-1", T0, T0 + hours * HOUR_US, node=node)
        builder.job(f"chat-{node}", f"GPU-{node}", T0, T0 + hours * HOUR_US, node=node)
    for hour in range(hours):
        seconds = range(hour * 3_600, (hour + 1) * 3_600 + (hour == hours - 1), every_s)
        rows = [
            {
                "ts_us": T0 + s * S,
                "meter_id": meter_id,
                "node": "n1",
                "source": "modbus",
                "value_n": round(shows(s) * 1e9),
            }
            for meter_id, shows in METERS.items()
            for s in seconds
        ]
        builder.add("meter", rows)
        for node, watts in WATTS.items() if jobs else ():
            stamps = range(T0 + hour * HOUR_US, T0 + (hour + 1) * HOUR_US, S)
            builder.power(f"GPU-{node}", [(at, watts * 1_000) for at in stamps], node=node)
            builder.power(f"GPU-{node}-1", [(at, PAIR_WATTS * 1_000) for at in stamps], node=node)
            read = (*stamps[::10], stamps[-1] + S)
            counts = [(at, (at - T0) // S * RATE[node]) for at in read]
            builder.tokens(f"chat-{node}", counts, source_id=f"source-{node}")
        if jobs:
            counts = [(at, (at - T0) // S * PAIR_RATE) for at in read]
            builder.tokens("pair", counts, source_id="pair")
    if jobs:
        return builder.build(load_site(None, root))
    places = load_site(None, root).places
    for hour in range(hours):
        hour_us = T0 + hour * HOUR_US
        booked = hour_rows(builder.lake, places, hour_us, "v")
        builder.lake.replace("meter_hour", booked.meters, hour_us, "meter_hour")
        builder.lake.replace("site_hour", booked.site, hour_us, "site_hour")
    return builder.lake
