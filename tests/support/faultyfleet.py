"""A lake of the last hours with one fault of each kind, each on a node of its own.

In: the time. Out: four hours of four nodes with books. `well` is well; the others are named by what
is wrong with them. And one nanojoule too much is in the ledger.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.support.lakes import HOUR_US, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.paths import partition, raw_name

SILENT, BROKEN, SET = "silent", "writes-texts", "clock-was-set"
NODES = ("well", SILENT, BROKEN, SET)
HOURS = 4


def faulty_fleet(root: Path, now_us: int) -> Lake:
    """Make the lake; its last hour is the last complete one."""
    builder = LakeBuilder(root)
    first_us = now_us // HOUR_US * HOUR_US - HOURS * HOUR_US
    for node in NODES:
        hours = 1 if node == SILENT else HOURS
        builder.device(f"{node} A", node=node, ts_us=first_us)
        end_us = first_us + hours * HOUR_US - S
        builder.power(f"{node} A", level(100_000, first_us, end_us, S), node=node)
        _clock(builder, node, range(first_us, end_us, 60 * S))
    lake = builder.build()
    last_us = first_us + (HOURS - 1) * HOUR_US
    _break_law(lake, last_us)
    _break_contract(lake, last_us)
    return lake


def _clock(builder: LakeBuilder, node: str, stamps: range) -> None:
    """Notes of a host's clock; that of `SET` jumps by five seconds after the first hour."""
    boot_us = stamps[0] - HOUR_US
    rows = [
        {
            **{"ts_us": ts, "node": node, "run": 1},
            **{"monotonic_us": ts - boot_us, "boottime_us": ts - boot_us},
            "realtime_us": ts + (5 * S if node == SET and ts >= stamps[0] + HOUR_US else 0),
        }
        for ts in stamps
    ]
    builder.add("clock", rows, node)


def _break_law(lake: Lake, hour_us: int) -> None:
    rows = lake.read("ledger", [hour_us])
    first = pa.array([number == 0 for number in range(rows.num_rows)])
    more = pc.if_else(first, pc.add(rows["energy_nj"], 1), rows["energy_nj"])
    place = rows.column_names.index("energy_nj")
    lake.replace("ledger", rows.set_column(place, "energy_nj", more), hour_us, "ledger")


def _break_contract(lake: Lake, hour_us: int) -> None:
    """Add a file of readings whose power is a text."""
    (path,) = lake.files("power", [hour_us], BROKEN)
    rows = pq.read_table(path, partitioning=None)
    place = rows.column_names.index("power_mw")
    wrong = rows.set_column(place, "power_mw", rows["power_mw"].cast(pa.string()))
    stamp_us = hour_us + HOUR_US - S
    pq.write_table(
        wrong, lake.root / "power" / partition(hour_us) / raw_name(BROKEN, stamp_us, "x")
    )
