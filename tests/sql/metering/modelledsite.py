"""A hall of which no meter shows what comes in, with a known truth: IT, a UPS, cooling, lights.

The truth is worked out minute by minute, with coefficients, a UPS and meters that are each off by a
part of what the site file says they may be. The site file has what an operator knows.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.sql.metering.test_losses import CURVE
from tests.sql.metering.test_planted_site import again
from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_sql.cooling.classes import CLASSES
from tokenergy_sql.cooling.coefficients import DEFAULTS, Coefficients
from tokenergy_sql.cooling.moistair import standard_pressure_pa, wet_bulb_c
from tokenergy_sql.cooling.plant import Hall, Outdoors, cooling_of
from tokenergy_sql.places.units import BILLION

RATED_KW, LIGHTS_KW = 320.0, 4.0
MINUTES = 60

HALL = """
[[hall]]
name = "a"
cooling = "air"
[[rack]]
name = "a-r1"
hall = "a"
[[placed]]
nodes = ["a1", "a2"]
rack = "a-r1"
"""

METERS = """
[[meter]]
id = "it-a"
quantity = "energy"
unit = "kWh"
role = "ups_out"
place = "hall:a"
accuracy_percent = 0.5
resolution = 0.001
[[meter]]
id = "outdoor"
quantity = "temperature"
unit = "°C"
role = "outdoor_temp"
accuracy_percent = 0
accuracy_absolute = 0.3
resolution = 0.01
[[meter]]
id = "humidity"
quantity = "ratio"
unit = "%"
role = "humidity"
accuracy_percent = 0
accuracy_absolute = 3
resolution = 0.1
"""

LOSS = f"""
[[loss]]
name = "ups-a"
place = "hall:a"
points = {[list(point) for point in CURVE]}
between = ["it-a"]
accuracy_percent = 5
"""

COOLING = f"""
[[cooling]]
place = "hall:a"
class = "air"
rated_kw = {RATED_KW}
"""

MODEL = f"""
[[pue_model]]
place = "hall:a"
losses = "curves"
cooling = "modelled"
cooling_accuracy_percent = 15
other_kw = {LIGHTS_KW}
other_accuracy_percent = 10
"""

GRID = """
[[meter]]
id = "grid-a"
quantity = "energy"
unit = "kWh"
role = "utility"
place = "hall:a"
feeds = ["it-a"]
accuracy_percent = 0.5
resolution = 0.001
"""

TEXT = HALL + METERS + LOSS + COOLING + MODEL


@dataclass
class Truth:
    """Powers of each minute, kW, and the weather of each minute.

    Args:
        seed: of everything.
        hours: how many.
        mean_c: of the outdoor temperature.
        off: share of the declared errors that the truth may be off by.
    """

    seed: int
    hours: int = 24
    mean_c: float = 24.0
    off: float = 0.5
    parts: dict[str, np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        chance = random.Random(self.seed)

        def error(most: float) -> float:
            return chance.uniform(-most, most) * self.off

        minutes = np.arange(self.hours * MINUTES)
        it = 180 + 60 * np.sin(minutes / 210) + 25 * np.sin(minutes / 7 + self.seed)
        it += np.array([chance.uniform(-15, 15) for _ in minutes])
        self.dry_c = self.mean_c + 7 * np.sin((minutes / MINUTES - 9) * math.pi / 12)
        self.humidity = np.clip(0.6 - 0.015 * (self.dry_c - self.mean_c), 0.1, 1.0)
        pressure = np.full(len(minutes), standard_pressure_pa(0.0))
        wet_c = wet_bulb_c(self.dry_c, self.humidity, np.full(len(minutes), np.nan), pressure)
        k = DEFAULTS.with_values(
            {
                name: getattr(DEFAULTS, name) * (1 + error(0.1))
                for name in ("carnot_share", "fan_w_per_kw", "pump_w_per_kw", "tower_fan_w_per_kw")
            }
        )
        self.parts = {
            "it": it,
            "loss": np.interp(it, *zip(*CURVE, strict=True)) * (1 + error(0.05)),
            "cooling": _cooling(it, self.dry_c, wet_c, k),
            "lights": np.full(len(minutes), LIGHTS_KW * (1 + error(0.1))),
        }
        self.errors = {"it-a": error(0.005), "grid-a": error(0.005)}
        self.weather_off = error(0.3), error(3.0)

    @property
    def whole(self) -> np.ndarray:
        """All that the hall takes."""
        return np.sum([*self.parts.values()], axis=0)

    def pue(self, hour: int) -> float:
        """The true PUE of an hour."""
        at = slice(hour * MINUTES, (hour + 1) * MINUTES)
        return float(self.whole[at].sum() / self.parts["it"][at].sum())

    def kwh(self, part: str, hour: int) -> float:
        """The true energy of a part in an hour."""
        return float(self.parts[part][hour * MINUTES : (hour + 1) * MINUTES].mean())

    def write(self, builder: LakeBuilder, *lost: str) -> None:
        """Write what each meter shows, minute by minute, but those that are lost."""
        registers = {"it-a": self.parts["it"], "grid-a": self.whole}
        rows: dict[int, list[dict[str, object]]] = {}

        def add(meter_id: str, minute: int, value_n: int) -> None:
            row = {"ts_us": T0 + minute * MINUTES * S, "meter_id": meter_id, "node": "bms"}
            rows.setdefault(minute // MINUTES, []).append(
                {**row, "source": "modbus", "value_n": value_n}
            )

        for meter_id, kw in registers.items():
            counted = np.concatenate([[0.0], np.cumsum(kw) / 60]) * (1 + self.errors[meter_id])
            for minute, kwh in enumerate(counted.tolist()):
                add(meter_id, minute, int((1000 + kwh) * 1000) * BILLION // 1000)
        for meter_id, values, off, step in (
            ("outdoor", self.dry_c, self.weather_off[0], 100),
            ("humidity", self.humidity * 100, self.weather_off[1], 10),
        ):
            for minute, value in enumerate([*values.tolist(), float(values[-1])]):
                add(meter_id, minute, round((value + off) * step) * BILLION // step)
        for of_hour in rows.values():
            if kept := [row for row in of_hour if row["meter_id"] not in lost]:
                builder.add("meter", kept, "bms")


def _cooling(it: np.ndarray, dry_c: np.ndarray, wet_c: np.ndarray, k: Coefficients) -> np.ndarray:
    """The plant minute by minute."""
    hall = Hall(CLASSES["air"], "tower", 0.0, RATED_KW)
    found: np.ndarray = cooling_of(it, Outdoors(dry_c, wet_c), hall, k).total_kw
    return found


OTHER_HALL = """
[[hall]]
name = "b"
[[rack]]
name = "b-r1"
hall = "b"
[[placed]]
nodes = ["b1"]
rack = "b-r1"
"""

BOARDS = {"a1": 400, "a2": 300, "b1": 500}
"""A board of each node, and what it draws all hour, watts."""


def whole(root: Path, text: str, truth: Truth, *lost: str) -> Lake:
    """An indexed lake of two halls: a has the planted meters, b has none; a job in each."""
    builder = LakeBuilder(root / "lake")
    for node, watts in BOARDS.items():
        builder.device(f"GPU-{node}", node=node)
        end_us = T0 + truth.hours * HOUR_US
        builder.power(f"GPU-{node}", level(watts * 1000, T0, end_us, S), node=node)
        builder.job(f"job-{node}", f"GPU-{node}", T0, T0 + HOUR_US, node=node)
    truth.write(builder, *lost)
    (builder.lake.root / "site.toml").write_text(text, "utf-8")
    again(builder.lake)
    return builder.lake
