"""A small site with a known truth: what every meter of it shows when it is read.

Two halls with a UPS each; hall a is cooled by air, hall b by liquid. Energy goes from the utility
and from the roof's panels to the UPSes and to the cooling; the UPSes lose 4 %. All powers are
constant within a minute, so what a meter counted until a second is a plain sum.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tokenergy_sql.places.units import BILLION

T0 = 1_768_464_000_000_000
S = 1_000_000
MINUTES = 180

SITE_TOML = """
[[hall]]
name = "a"
cooling = "air"
[[hall]]
name = "b"
cooling = "liquid"

[[meter]]
id = "grid"
quantity = "energy"
unit = "kWh"
scale = 0.1
role = "utility"
accuracy_percent = 0.5
feeds = ["ups-a", "ups-b", "cool-a", "cool-b"]
[[meter]]
id = "roof"
quantity = "power"
unit = "kW"
role = "renewable"
resolution = 0.001
accuracy_percent = 1
interval_s = 10
"""

HALLS = ("a", "b")


def site_toml(rollover_kwh: int) -> str:
    """The site file; the register of UPS a rolls over."""
    text = SITE_TOML
    for hall, more in (("a", f"rollover = {rollover_kwh}\nmax_per_h = 400\n"), ("b", "")):
        text += f"""
[[meter]]
id = "ups-{hall}"
quantity = "energy"
unit = "kWh"
resolution = 0.01
role = "ups_in"
place = "hall:{hall}"
accuracy_percent = 0.5
feeds = ["it-{hall}"]
[[meter]]
id = "it-{hall}"
quantity = "energy"
unit = "kWh"
resolution = 0.01
role = "ups_out"
place = "hall:{hall}"
accuracy_percent = 0.5
{more}
[[meter]]
id = "cool-{hall}"
quantity = "power"
unit = "W"
role = "{"chiller" if hall == "a" else "cdu"}"
place = "hall:{hall}"
accuracy_percent = 1
interval_s = 10
"""
    return (
        text
        + """
[[meter]]
id = "water"
quantity = "volume"
unit = "L"
role = "water_in"
place = "hall:a"
accuracy_percent = 2
"""
    )


@dataclass(frozen=True)
class Truth:
    """Powers of each minute, watts, and litres a minute."""

    watts: dict[str, list[int]]
    litres: list[int]

    def used_ws(self, name: str, until_s: float) -> float:
        """What passed a place until a second, watt seconds."""
        whole, rest = divmod(until_s, 60)
        watts = self.watts[name]
        here = watts[int(whole)] * rest if whole < len(watts) else 0
        return sum(watts[: int(whole)]) * 60 + here

    def nj(self, name: str, from_s: float, until_s: float) -> float:
        """What passed a place in an interval, nanojoules."""
        return (self.used_ws(name, until_s) - self.used_ws(name, from_s)) * BILLION

    def water_l(self, until_s: float) -> float:
        """Litres taken in until a second."""
        whole, rest = divmod(until_s, 60)
        here = self.litres[int(whole)] * rest / 60 if whole < len(self.litres) else 0
        return sum(self.litres[: int(whole)]) + here


def truth(seed: int) -> Truth:
    """Draw the powers of three hours."""
    chance = random.Random(seed)

    def walk(mean: int) -> list[int]:
        return [round(mean * chance.uniform(0.7, 1.3)) for _ in range(MINUTES)]

    watts = {"it-a": walk(120_000), "it-b": walk(240_000), "roof": walk(20_000)}
    watts |= {"cool-a": walk(45_000), "cool-b": walk(20_000)}
    for hall in HALLS:
        watts[f"ups-{hall}"] = [round(w / 0.96) for w in watts[f"it-{hall}"]]
    fed = ("ups-a", "ups-b", "cool-a", "cool-b")
    watts["dc"] = [sum(of) for of in zip(*(watts[name] for name in fed), strict=True)]
    watts["grid"] = [dc - roof for dc, roof in zip(watts["dc"], watts["roof"], strict=True)]
    return Truth(watts, [chance.randrange(5, 15) for _ in range(MINUTES)])


def registers(found: Truth, rollover_kwh: int) -> dict[str, Callable[[float], int]]:
    """What each meter shows at a second after the start, in billionths of its register's unit."""

    def kwh(name: str, begin: float, step: float) -> Callable[[float], int]:
        return lambda s: (
            int((begin + found.used_ws(name, s) / 3.6e6) / step) * round(step * BILLION)
        )

    def watts(name: str, unit: float) -> Callable[[float], int]:
        return lambda s: round(found.watts[name][min(int(s // 60), MINUTES - 1)] / unit) * BILLION

    rolled = kwh("it-a", rollover_kwh - 50.0, 0.01)
    return {
        "grid": lambda s: int((5_000 + found.used_ws("grid", s) / 3.6e6) * 10) * BILLION,
        "roof": lambda s: (
            round(found.watts["roof"][min(int(s // 60), MINUTES - 1)]) * BILLION // 1000
        ),
        "ups-a": kwh("ups-a", 100.0, 0.01),
        "ups-b": kwh("ups-b", 7.0, 0.01),
        "it-a": lambda s: rolled(s) % (rollover_kwh * BILLION),
        "it-b": kwh("it-b", 3.0, 0.01),
        "cool-a": watts("cool-a", 1),
        "cool-b": watts("cool-b", 1),
        "water": lambda s: int(90 + found.water_l(s)) * BILLION,
    }


def rows(
    registers_: dict[str, Callable[[float], int]],
    every_s: int = 10,
    but: Callable[[str, int], bool] = lambda _id, _s: False,
) -> Iterable[dict[str, object]]:
    """The raw rows of the three hours, without those that `but` says."""
    for meter_id, shows in registers_.items():
        for s in range(0, MINUTES * 60 + 1, every_s):
            if not but(meter_id, s):
                yield {
                    "ts_us": T0 - 3_600 * S + s * S,
                    "meter_id": meter_id,
                    "node": "n1",
                    "source": "modbus",
                    "value_n": shows(s),
                }
