"""Nodes with a known truth: boards, processors, and what a meter at the node's input shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.ledger import ask
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.pipeline import Indexed, index
from tokenergy_sql.index.site import load_site
from tokenergy_transforms.aggregate import aggregate, worklist

Row = dict[str, Any]

BILLION = 10**9
W = 1_000
"""A watt in mW; mW x us = nJ."""

EVERY_S = 10
"""Seconds between two readings of a meter."""

BOARD_W, CPU_W, DRAM_W, HOST_W = 300, 150, 30, 520

SITE = """
[[hall]]
name = "a"
[[rack]]
name = "r1"
hall = "a"
[[rack]]
name = "alone"
hall = "a"
[[placed]]
nodes = ["n1", "n2"]
rack = "r1"
[[placed]]
nodes = ["n3"]
rack = "alone"
"""


def meter(place: str, meter_id: str = "bmc", **more: Any) -> str:
    """An entry of a meter of power in watts, of 1 %."""
    keys = {
        "id": f'"{meter_id}"',
        "quantity": '"power"',
        "unit": '"W"',
        "role": '"it"',
        "place": f'"{place}"',
        "accuracy_percent": "1",
        **more,
    }
    return "[[meter]]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items() if v is not None)


@dataclass(frozen=True)
class Node:
    """A node for some seconds of an hour; all powers are constant, W.

    Attributes:
        boards: how many.
        meter_w: what its meter shows; None: boards and host.
    """

    name: str = "n1"
    boards: int = 2
    host_w: int = HOST_W
    meter_w: int | None = None
    from_s: int = 0
    until_s: int = 3_600

    @property
    def input_w(self) -> int:
        return self.boards * BOARD_W + self.host_w if self.meter_w is None else self.meter_w

    def board(self, number: int) -> str:
        return f"{self.name}-{number}"


def add_boards(builder: LakeBuilder, node: Node) -> None:
    """The first half of its boards has a job `j-NODE`, the rest none."""
    start_us, end_us = T0 + node.from_s * S, T0 + node.until_s * S
    for number in range(node.boards):
        board = node.board(number)
        builder.device(board, node=node.name, index=number, update_us=S)
        readings = level(BOARD_W * W, start_us, end_us, S)
        builder.power(board, readings, node=node.name)
        if number < (node.boards + 1) // 2:
            builder.job(f"j-{node.name}", board, start_us, end_us, node=node.name)


def add_meter(
    builder: LakeBuilder,
    node: Node,
    meter_id: str = "bmc",
    but: Callable[[int], bool] = lambda _: False,
) -> None:
    """What the node's meter shows, from before the hour until after it."""
    rows = [
        {
            "ts_us": T0 + s * S,
            "meter_id": meter_id,
            "node": node.name,
            "source": "redfish",
            "value_n": node.input_w * BILLION,
        }
        for s in range(-60, 3_661, EVERY_S)
        if not but(s)
    ]
    _by_hour(builder, "meter", rows, node.name)


def processors(
    node: str = "n1",
    powers_w: dict[str, int] | None = None,
    seconds: Iterable[int] = range(-5, 3_606),
    run: int = 1,
) -> list[Row]:
    """Readings of RAPL counters, once a second."""
    powers_w = powers_w or {"package-0": CPU_W, "dram-0": DRAM_W, "core-0": CPU_W // 2}
    return [
        {
            "ts_us": T0 + s * S,
            "node": node,
            "domain": domain,
            "energy_uj": (s + 5) * watts * S,
            "epoch": 0,
            "run": run,
            "counter_uj": (s + 5) * watts * S,
            "range_uj": 2**50,
        }
        for domain, watts in powers_w.items()
        for s in seconds
    ]


def add_processors(builder: LakeBuilder, rows: list[Row]) -> None:
    _by_hour(builder, "host", rows, rows[0]["node"])


def _by_hour(builder: LakeBuilder, table: str, rows: Iterable[Row], node: str) -> None:
    by_hour: dict[int, list[Row]] = {}
    for row in rows:
        by_hour.setdefault(row["ts_us"] // HOUR_US, []).append(row)
    for of_hour in by_hour.values():
        builder.add(table, of_hour, node)


def build(builder: LakeBuilder, site: str) -> Lake:
    """Index with a site file."""
    (builder.lake.root / "site.toml").write_text(site, "utf-8")
    for hour, node in worklist(builder.lake):
        aggregate(builder.lake, hour, node, S, "cpu")
    again(builder.lake)
    return builder.lake


def again(lake: Lake) -> Indexed:
    return index(lake, load_site(None, lake.root), progress=lambda _: None, catalog=False)


def lake_of(root: Path, site: str, *nodes: Node) -> LakeBuilder:
    """A lake with the boards of nodes, and a site file; not indexed."""
    builder = LakeBuilder(root / "lake")
    for node in nodes or (Node(),):
        add_boards(builder, node)
    (builder.lake.root / "site.toml").write_text(site, "utf-8")
    return builder


def host(lake: Lake, node: str = "n1", hour_us: int = T0) -> Row:
    (row,) = [r for r in lake.read("host_hour", [hour_us]).to_pylist() if r["node"] == node]
    return {k: int(v) if k.endswith("_nj") and v is not None else v for k, v in row.items()}


def job(lake: Lake, node: str = "n1") -> Row:
    (row,) = ask(lake, f"FROM job_index WHERE job_id = 'j-{node}'")
    return row
