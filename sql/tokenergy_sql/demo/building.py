"""The building around the demo's nodes: what its meters show while the boards draw their power.

In: the readings of `power` and `device` in a lake. Out: rows of `meter`, and the true energies.

Two halls, each with a UPS, a busway and one node. Hall h1 is cooled by air: fans in the server, a
chiller. Hall h2 is cooled by liquid: small fans, a pump, and most of the heat goes outside without
a chiller. Coefficients are round numbers of the size that data sheets show; they are no model of any
machine. A meter shows the truth times its own error, which stays within its class.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import METER

if TYPE_CHECKING:
    import numpy.typing as npt

    Watts = npt.NDArray[np.float64]

PROFILE = "demo"
"""The profile whose nodes stand in the building."""

HALL_OF = {"gpu-a": "h1", "gpu-b": "h2"}
"""The hall of each node."""

NODE = "bms"
"""Host that reads the meters."""

_EVERY_S = 10
_S = 1_000_000
_BILLION = 10**9
_WS_PER_KWH = 3.6e6
_WATER_L_PER_KWH = 1.6
"""Litres that a cooling tower evaporates and lets off for each kWh of heat."""


@dataclass(frozen=True, slots=True)
class Register:
    """How a meter shows an amount.

    Attributes:
        error: its own relative error, within the class that the site file declares.
        step: one step of the register, in its own unit.
        first: what it showed at the start; 0 of a power.
        rollover: where it begins again from 0; None: never.
    """

    error: float
    step: float
    first: float = 0.0
    rollover: float | None = None


_REGISTERS = {
    "grid": Register(0.0018, 0.01, 48_211.4),
    "ups-h1": Register(-0.0021, 0.01, 8_120.07),
    "ups-h2": Register(0.0009, 0.01, 7_644.3),
    "busway-h1": Register(0.0024, 0.01, 9_995.5, 10_000.0),
    "busway-h2": Register(-0.0013, 0.01, 6_230.11),
    "chiller-h1": Register(0.006, 1.0),
    "pump-h2": Register(-0.004, 1.0),
    "chiller-h2": Register(0.003, 1.0),
    "lighting": Register(0.002, 0.01, 911.2),
    "water": Register(-0.008, 0.1, 12_402.0),
    "bmc-gpu-a": Register(0.007, 1.0),
    "bmc-gpu-b": Register(-0.009, 1.0),
}


def add_building(lake: Lake, truth: Path) -> int:
    """Write what the meters showed while the nodes were recorded; return the number of readings.

    Args:
        lake: has `power` and `device`.
        truth: file for the true amounts behind each meter, JSON: nJ, litres of water.
    """
    import pyarrow as pa

    start_us, boards = _boards(lake)
    true = _truth(boards)
    seconds = len(next(iter(boards.values())))
    rows = []
    for meter_id, register in _REGISTERS.items():
        shows = _shows(meter_id, true, register)
        for second in range(0, seconds + 1, _EVERY_S):
            rows.append(
                {
                    "ts_us": start_us + second * _S,
                    "meter_id": meter_id,
                    "node": NODE,
                    "source": "emulated",
                    "value_n": shows(second),
                    "resolution_n": round(register.step * _BILLION),
                }
            )
    table = pa.Table.from_pylist(rows, schema=METER.schema())
    lake.append("meter", table, NODE)
    sums = {name: float(rates.sum()) for name, rates in true.items()}
    litres = sums.pop("water")
    energies = {name: round(joules * _BILLION) for name, joules in sums.items()}
    document = {"start_us": start_us, "seconds": seconds, "energy_nj": energies, "water_l": litres}
    truth.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    return len(rows)


def _boards(lake: Lake) -> tuple[int, dict[str, Watts]]:
    """Return the first whole second, and the power of each node's boards in each second from it."""
    devices = lake.read("device", columns=["device_id", "node"])
    node_of = dict(zip(*(devices[name].to_pylist() for name in ("device_id", "node")), strict=True))
    power = lake.read("power", columns=["ts_us", "device_id", "power_mw"])
    ids = np.asarray(power["device_id"].to_pylist())
    ts_us = power["ts_us"].to_numpy()
    watts = power["power_mw"].to_numpy() / 1e3
    start_us = int(ts_us.min()) // _S * _S
    length = int(ts_us.max() - start_us) // _S
    found: dict[str, Watts] = {}
    for device_id, node in node_of.items():
        own = (ids == device_id) & (ts_us < start_us + length * _S)
        second = (ts_us[own] - start_us) // _S
        sums = np.bincount(second, watts[own], length)
        counts = np.bincount(second, minlength=length)
        mean = np.interp(
            np.arange(length), np.flatnonzero(counts), sums[counts > 0] / counts[counts > 0]
        )
        found[node] = found.get(node, np.zeros(length)) + mean
    return start_us, found


def _truth(boards: Mapping[str, Watts]) -> dict[str, Watts]:
    """Return the true power behind each meter in each second, W; of water, L/s."""
    true: dict[str, Watts] = {}
    grid = lighting = np.full(len(next(iter(boards.values()))), 240.0)
    water = np.zeros(len(grid))
    for node, hall in HALL_OF.items():
        liquid = hall == "h2"
        node_w = boards[node] + _host(boards[node], liquid=liquid)
        it_w = node_w + 160.0  # a switch
        ups_w = it_w + 130.0 + 0.035 * it_w
        to_air = 0.25 if liquid else 1.0
        chiller_w = 90.0 + ups_w * to_air / 4.2
        pump_w = 110.0 + 0.01 * it_w if liquid else np.zeros(len(it_w))
        true |= {
            f"bmc-{node}": node_w,
            f"busway-{hall}": it_w,
            f"ups-{hall}": ups_w,
            f"chiller-{hall}": chiller_w,
        }
        if liquid:
            true[f"pump-{hall}"] = pump_w
        grid = grid + ups_w + chiller_w + pump_w
        heat_ws = ups_w + chiller_w
        water = water + heat_ws / _WS_PER_KWH * _WATER_L_PER_KWH
    return {**true, "lighting": lighting, "grid": grid, "water": water}


def _host(boards_w: Watts, *, liquid: bool) -> Watts:
    """Return the power of a node without its boards: mainboard, fans and loss of the supplies."""
    load = boards_w / 5600.0
    fans_w = 40.0 + 60.0 * load if liquid else 110.0 + 540.0 * load**3
    inside_w = 620.0 + 0.03 * boards_w + fans_w
    # Power supplies lose a part of all that goes through them.
    loss_w: Watts = 45.0 + 0.04 * (boards_w + inside_w)
    return inside_w + loss_w


def _shows(meter_id: str, true: Mapping[str, Watts], register: Register) -> Callable[[int], int]:
    """Return what a meter shows after some seconds, in billionths of its register's unit."""
    watts = true[meter_id] * (1 + register.error)
    noise = np.random.default_rng(zlib.crc32(meter_id.encode())).normal(size=len(watts))
    whole = round(register.step * _BILLION)

    def steps(value: float) -> int:
        return int(value / register.step) * whole

    if meter_id.startswith(("bmc", "chiller", "pump")):
        # A power: the mean since the reading before.
        # No sensor shows the same watt for minutes.
        watts = watts + 0.004 * watts * noise
        return lambda second: steps(float(watts[max(0, second - _EVERY_S) : max(1, second)].mean()))
    unit = 1.0 if meter_id == "water" else _WS_PER_KWH
    reached = np.concatenate(([0.0], np.cumsum(watts))) / unit + register.first
    rollover = register.rollover
    return lambda second: steps(reached[second] % rollover if rollover else reached[second])
