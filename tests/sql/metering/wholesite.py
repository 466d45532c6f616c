"""A planted site of 3 halls x 4 modules x 8 racks: its file, its truth, what every meter shows.

Hall a is cooled by air, b by liquid, c by both. A node stands in each rack. The chillers serve all
halls. One rack moves from hall a to hall c within the hour, one meter rolls over, one is replaced,
and one stands still for ten minutes. Every meter is wrong by a part of what its class allows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tests.support.lakes import T0, LakeBuilder, S
from tokenergy_collectors.lake.contract import METER, POWER
from tokenergy_sql.places.units import BILLION

HALLS = {"a": "air", "b": "liquid", "c": "mixed"}
MODULES = [f"{hall}{number}" for hall in HALLS for number in range(1, 5)]
RACKS = [f"{module}-r{number}" for module in MODULES for number in range(1, 9)]
MOVED, FROM_S, UNTIL_S = "a4-r8", 1_200, 2_100
"""The rack that moves to module c4, and while it is on its way."""

WH = 3_600.0
ROLLED, REPLACED, STUCK = "pdu-a1", "pdu-b2", "hall-b"
REPLACED_S = 1_800
STUCK_S = (1_500, 2_100)
SECONDS = 3_600
EVERY_S = 10

Watts = npt.NDArray[np.float64]


def _meter(meter_id: str, role: str, *more: str, quantity: str = "energy", unit: str = "Wh") -> str:
    lines = [f'id = "{meter_id}"', f'role = "{role}"', f'quantity = "{quantity}"']
    return "\n".join(["[[meter]]", *lines, f'unit = "{unit}"', *more, ""])


def site_text(*, declared: str = "") -> str:
    """The site file."""
    # The node that moved was off for a quarter of the hour: too long for its host to be measured.
    parts = [f"[site]\n{declared}\n[nodes.n-{MOVED}]\nhost_w = 530"]
    parts += [f'[[hall]]\nname = "{hall}"\ncooling = "{how}"' for hall, how in HALLS.items()]
    parts += [f'[[module]]\nname = "{module}"\nhall = "{module[0]}"' for module in MODULES]
    for rack in RACKS:
        if rack != MOVED:
            parts.append(f'[[rack]]\nname = "{rack}"\nmodule = "{rack[:2]}"')
            parts.append(f'[[placed]]\nnode = "n-{rack}"\nrack = "{rack}"')
    for module, edge in (("a4", f"until = {_iso(FROM_S)}"), ("c4", f"from = {_iso(UNTIL_S)}")):
        parts.append(f'[[rack]]\nname = "{MOVED}"\nmodule = "{module}"\n{edge}')
        parts.append(f'[[placed]]\nnode = "n-{MOVED}"\nrack = "{MOVED}"\n{edge}')
    below = ", ".join(f'"hall-{h}", "cool-{h}"' for h in HALLS) + ', "chillers", "lights"'
    exact = "accuracy_percent = 0.5"
    for source, role in (("grid", "utility"), ("diesel", "generator")):
        parts.append(_meter(source, role, f"feeds = [{below}]", exact))
    parts.append(_meter("chillers", "chiller", "accuracy_percent = 1"))
    parts.append(_meter("lights", "lighting", "accuracy_percent = 1"))
    for hall in HALLS:
        pdus = ", ".join(f'"pdu-{module}"' for module in MODULES if module[0] == hall)
        place = f'place = "hall:{hall}"'
        parts.append(_meter(f"hall-{hall}", "ups_in", place, f"feeds = [{pdus}]", exact))
        role = {"air": "fan", "liquid": "cdu", "mixed": "cooling"}[HALLS[hall]]
        cooled = (place, "accuracy_percent = 1", "interval_s = 10", "resolution = 0.1")
        parts.append(_meter(f"cool-{hall}", role, *cooled, quantity="power", unit="W"))
    for module in MODULES:
        meter_id, place = f"pdu-{module}", f'place = "module:{module}"'
        nodes = [f"bmc-{rack}" for rack in RACKS if rack[:2] == module and rack != MOVED]
        for number, edge in enumerate(_entries(module)):
            held = [
                *nodes,
                *([f"bmc-{MOVED}"] if (module, number) in (("a4", 0), ("c4", 1)) else ()),
            ]
            feeds = "feeds = [" + ", ".join(f'"{one}"' for one in held) + "]"
            more = [place, exact, feeds, edge]
            if meter_id == REPLACED:
                last = f"register_last = {Site().register_last()}"
                more.append("register_first = 0" if number else last)
            elif number:
                more.append("continues = true")
            elif meter_id == ROLLED:
                more.append("rollover = 1_000_000\nmax_per_h = 200_000")
            parts.append(_meter(meter_id, "pdu_out", *more))
    for rack in RACKS:
        # A meter is there while its place is: on its way the moved node has none.
        edges = (f"until = {_iso(FROM_S)}", f"from = {_iso(UNTIL_S)}") if rack == MOVED else ("",)
        node = (f'place = "node:n-{rack}"', "accuracy_percent = 1", "interval_s = 10")
        for edge in edges:
            more = (*node, "resolution = 0.1", edge)
            parts.append(_meter(f"bmc-{rack}", "it", *more, quantity="power", unit="W"))
    return "\n\n".join(parts) + "\n"


def _entries(module: str) -> tuple[str, ...]:
    """The times of a PDU meter's entries: of those that get or lose a rack, and of the replaced."""
    edges = {"a4": FROM_S, "c4": UNTIL_S, REPLACED.removeprefix("pdu-"): REPLACED_S}
    if module not in edges:
        return ("",)
    return f"until = {_iso(edges[module])}", f"from = {_iso(edges[module])}"


def _iso(second: int) -> str:
    return f"2026-01-15T08:{second // 60:02}:{second % 60:02}Z"


@dataclass
class Site:
    """The truth of the hour.

    Attributes:
        seed: of the powers.
        errors: relative error of each meter; drawn within 0.6 of its class.
    """

    seed: int = 1
    errors: dict[str, float] = field(default_factory=dict)

    @cached_property
    def boards(self) -> dict[str, Watts]:
        """Power of the board in each rack, in each second: steps of a minute."""
        chance = np.random.default_rng(self.seed)
        found = {}
        for rack in RACKS:
            watts = np.repeat(chance.uniform(150.0, 650.0, SECONDS // 60), 60)
            if rack == MOVED:
                watts[FROM_S:UNTIL_S] = 0.0
            found[rack] = watts
        return found

    @cached_property
    def true(self) -> dict[str, Watts]:
        """Power behind each meter in each second."""
        found: dict[str, Watts] = {}
        modules = {module: np.zeros(SECONDS) for module in MODULES}
        for rack in RACKS:
            node = np.where(self.boards[rack] > 0, 480.0 + 1.12 * self.boards[rack], 0.0)
            found[f"bmc-{rack}"] = node
            rack_w = np.where(node > 0, node + 60.0, 0.0)
            if rack == MOVED:
                modules["a4"][:FROM_S] += rack_w[:FROM_S]
                modules["c4"][UNTIL_S:] += rack_w[UNTIL_S:]
            else:
                modules[rack[:2]] += rack_w
        found |= {f"pdu-{module}": watts for module, watts in modules.items()}
        for hall, how in HALLS.items():
            it = sum((modules[m] for m in MODULES if m[0] == hall), np.zeros(SECONDS))
            found[f"hall-{hall}"] = it * 1.045 + 400.0
            found[f"cool-{hall}"] = 200.0 + it * {"air": 0.09, "liquid": 0.02, "mixed": 0.05}[how]
        halls = sum((found[f"hall-{hall}"] for hall in HALLS), np.zeros(SECONDS))
        found["chillers"] = 900.0 + 0.14 * halls
        found["lights"] = np.full(SECONDS, 750.0)
        cooled = sum((found[f"cool-{hall}"] for hall in HALLS), np.zeros(SECONDS))
        whole = halls + cooled + found["chillers"] + found["lights"]
        found["diesel"] = np.where(np.arange(SECONDS) < 1_200, 0.2 * whole, 0.0)
        found["grid"] = whole - found["diesel"]
        return found

    def error(self, meter_id: str) -> float:
        """Relative error of a meter."""
        if meter_id in self.errors:
            return self.errors[meter_id]
        worst = 0.006 if meter_id.startswith(("bmc", "cool", "chillers", "lights")) else 0.003
        place = [*self.true].index(meter_id)
        return float(np.random.default_rng((self.seed, place)).uniform(-worst, worst))

    def nj(self, *names: str) -> float:
        """True energy of the hour."""
        return sum(float(self.true[name].sum()) for name in names) * BILLION

    def of_hall(self, hall: str) -> list[str]:
        """The PDU meters of a hall."""
        return [f"pdu-{module}" for module in MODULES if module[0] == hall]

    def register(self, meter_id: str, second: int) -> int:
        """What an energy register shows at a second, Wh."""
        watts = self.true[meter_id] * (1 + self.error(meter_id))
        reached = float(watts[:second].sum()) / WH
        if meter_id == ROLLED:
            return int(1_000_000 - 2_000 + reached) % 1_000_000
        if meter_id == REPLACED and second >= REPLACED_S:
            return int(reached - float(watts[:REPLACED_S].sum()) / WH)
        if meter_id == STUCK and STUCK_S[0] <= second < STUCK_S[1]:
            return self.register(meter_id, STUCK_S[0] - EVERY_S)
        return int(10_000 + reached)

    def register_last(self) -> int:
        """What the replaced meter showed when it was removed, Wh."""
        watts = self.true[REPLACED] * (1 + self.error(REPLACED))
        return int(10_000 + float(watts[:REPLACED_S].sum()) / WH)

    def shown(self, meter_id: str, second: int) -> int:
        """What a meter shows, in billionths of its unit."""
        if not meter_id.startswith(("bmc", "cool")):
            return self.register(meter_id, second) * BILLION
        watts = float(self.true[meter_id][min(second, SECONDS - 1)]) * (1 + self.error(meter_id))
        return round(watts * 10) * BILLION // 10

    def write(self, builder: LakeBuilder, lost: tuple[str, ...] = ()) -> None:
        """Write boards, jobs and readings of the meters, but those that are lost."""
        for rack, watts in self.boards.items():
            node, board = f"n-{rack}", f"GPU-{rack}"
            builder.device(board, node=node)
            seconds = np.arange(SECONDS + 1)
            seconds = seconds[np.append(watts, watts[-1]) > 0]
            power = np.append(watts, watts[-1])[seconds]
            columns = {
                "ts_us": T0 + seconds * S,
                "device_id": [board] * len(seconds),
                "power_mw": np.rint(power * 1000).astype(np.int64),
                "sensor": ["instant"] * len(seconds),
                "epoch": np.zeros(len(seconds), np.int64),
            }
            builder.lake.append("power", _table(columns, POWER.schema()), node)
        for hall in HALLS:
            # A job on the first two modules of each hall, and one on a rack of every hall.
            for rack in RACKS:
                if rack[0] == hall and rack[1] in "12" and not rack.endswith("r1"):
                    builder.job(f"in-{hall}", f"GPU-{rack}", T0, T0 + 3_600 * S, node=f"n-{rack}")
            rack = f"{hall}1-r1"
            builder.job("across", f"GPU-{rack}", T0 + 600 * S, T0 + 3_000 * S, node=f"n-{rack}")
        rows = [
            (T0 + second * S, meter_id, self.shown(meter_id, second))
            for meter_id in self.true
            if meter_id not in lost
            for second in range(0, SECONDS + 1, EVERY_S)
        ]
        stamps, ids, values = zip(*rows, strict=True)
        for chosen in (np.array(stamps) < T0 + 3_600 * S, np.array(stamps) >= T0 + 3_600 * S):
            where = np.flatnonzero(chosen)
            columns = {
                "ts_us": np.array(stamps)[where],
                "meter_id": [ids[i] for i in where],
                "node": ["bms"] * len(where),
                "source": ["modbus"] * len(where),
                "value_n": [values[i] for i in where],
            }
            builder.lake.append("meter", _table(columns, METER.schema()), "bms")


def _table(columns: dict[str, object], schema: pa.Schema) -> pa.Table:
    length = len(next(iter(columns.values())))  # type: ignore[arg-type]
    arrays = [
        pa.array(columns[name], schema.field(name).type)
        if name in columns
        else pa.nulls(length, schema.field(name).type)
        for name in schema.names
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
