"""Small fleets whose power is known: nodes with a board each, a power for every cell of 10 s."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.site import load_site

CELLS = 360
STEP_S = 10

Row = dict[str, Any]


def curve(seed: int, low_w: int = 100, high_w: int = 700) -> list[int]:
    """A power for each cell of an hour, mW."""
    return (np.random.default_rng(seed).integers(low_w, high_w, CELLS) * 1000).tolist()


def readings(cells_mw: Sequence[int], hour: int = 0) -> list[tuple[int, int]]:
    """A reading each second, constant in a cell; the last one ends the hour."""
    return [
        (T0 + hour * HOUR_US + s * S, cells_mw[min(s // STEP_S, len(cells_mw) - 1)])
        for s in range(len(cells_mw) * STEP_S + 1)
    ]


def integrated(cells_mw: Sequence[int]) -> list[int]:
    """The mean of each cell between straight lines from reading to reading, mW, and its energy."""
    shown = [value for _, value in readings(cells_mw)]
    means = [(a + b) / 2 for a, b in itertools.pairwise(shown)]
    return [
        round(sum(means[cell * STEP_S : (cell + 1) * STEP_S]) * S) for cell in range(len(cells_mw))
    ]


def fleet(
    root: Path, site: str, curves: Mapping[str, Sequence[int]], hours: int = 1
) -> LakeBuilder:
    """A lake with a board a node, not yet indexed."""
    builder = LakeBuilder(root)
    for node, cells in curves.items():
        builder.device(f"GPU-{node}", node=node)
        for hour in range(hours):
            builder.power(f"GPU-{node}", readings(cells, hour), node=node)
    (root / "site.toml").write_text(site, "utf-8")
    return builder


def indexed(root: Path, site: str, curves: Mapping[str, Sequence[int]], hours: int = 1) -> Lake:
    """A lake with a board a node, indexed."""
    return fleet(root, site, curves, hours).build(load_site(None, root))


def rows_of(lake: Lake, place: str, method: str = "boards", hour_us: int = T0) -> list[Row]:
    """The rows of a place."""
    return [
        {name: int(value) if isinstance(value, Decimal) else value for name, value in row.items()}
        for row in lake.read("place_hour", [hour_us]).to_pylist()
        if row["place"] == place and row["method"] == method
    ]


def row_of(lake: Lake, place: str, method: str = "boards", hour_us: int = T0) -> Row:
    """The one row of a place."""
    (row,) = rows_of(lake, place, method, hour_us)
    return row


RACKS = """
[[hall]]
name = "a"
rated_kw = 4
[[hall]]
name = "b"
[[module_type]]
name = "two"
racks = 2
rated_kw = 3
[[module]]
name = "a1"
hall = "a"
type = "two"
[[rack]]
names = ["r1", "r2"]
module = "a1"
rated_kw = 1.5
[[rack]]
name = "r3"
hall = "b"
"""


def placed(node: str, rack: str, since: str = "", until: str = "") -> str:
    """A table `[[placed]]`."""
    text = f'[[placed]]\nnode = "{node}"\nrack = "{rack}"\n'
    text += f"from = {since}\n" if since else ""
    return text + (f"until = {until}\n" if until else "")
