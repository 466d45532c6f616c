"""What the readings of each board say, added up: as DuckDB finds it from the same files."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.hourreadings import Readings

HOUR = T0 - T0 % HOUR_US

BOARDS = """
WITH stamp AS (
    SELECT
        device_id, ts_us, count(*) AS n, min(power_mw) AS low, max(power_mw) AS high,
        bool_and(power_mw % 1000 = 0) AS watts
    FROM power WHERE power_mw IS NOT NULL GROUP BY ALL
),
board AS (
    SELECT
        device_id, sum(n)::BIGINT AS readings, count(*) AS stamps, min(ts_us) AS first_us,
        max(ts_us) AS last_us, max(apart_us) AS widest_us, max(high)::BIGINT AS highest_mw,
        count(*) FILTER (WHERE low < high) AS unequal, max(high - low)::BIGINT AS unequal_mw,
        bool_and(ts_us % 1000000 = 0) AS whole_seconds, bool_and(watts) AS watts
    FROM (
        SELECT *, ts_us - lag(ts_us) OVER (PARTITION BY device_id ORDER BY ts_us) AS apart_us
        FROM stamp
    )
    GROUP BY device_id
),
value AS (
    SELECT device_id, count(DISTINCT power_mw) > 10 AS many FROM power GROUP BY device_id
),
marked AS (
    SELECT device_id, count(*) FILTER (WHERE sensor = 'implausible') AS implausible
    FROM power GROUP BY device_id
)
SELECT
    device_id, coalesce(readings, 0) AS readings, coalesce(stamps, 0) AS stamps, first_us, last_us,
    widest_us, highest_mw, coalesce(unequal, 0) AS unequal, unequal_mw, whole_seconds,
    watts AND many AS whole_watts, implausible
FROM marked LEFT JOIN board USING (device_id) LEFT JOIN value USING (device_id)
WHERE readings > 0 OR implausible > 0
ORDER BY device_id
"""


def fill(builder: LakeBuilder, rng: random.Random) -> None:
    """Write overlapping files of two nodes: equal stamps, whole watts and seconds, NULL."""
    for number in range(rng.randrange(1, 9)):
        node = rng.choice(("n1", "n2"))
        step_us = rng.choice((1, 1_000, S))
        unit_mw = rng.choice((1, 1_000))
        rows = [
            {
                "ts_us": T0 + rng.randrange(60 * S // step_us) * step_us,
                "device_id": rng.choice(("A", "B", "both nodes", f"of {number}")),
                "power_mw": None if rng.random() < 0.1 else rng.randrange(20) * unit_mw,
                "sensor": "implausible" if rng.random() < 0.05 else "instant",
                "energy_mj": None,
                "epoch": 0,
            }
            for _ in range(rng.randrange(1, 200))
        ]
        builder.add("power", sorted(rows, key=lambda r: (r["device_id"], r["ts_us"])), node)


def without_hour(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "hour_us"} for row in rows]


@pytest.mark.parametrize("seed", range(40))
def test_they_are_those_of_all_rows(seed: int, tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    fill(builder, random.Random(seed))
    lake = builder.lake
    found = Readings(lake, []).tables([HOUR])
    with duckdb.connect() as con:
        power = lake.read("power", [T0])
        con.register("power", power)
        expected = con.sql(BOARDS).to_arrow_table().to_pylist()
        spans = "SELECT min(ts_us), max(ts_us) FROM power WHERE device_id = $1"
        for device in {row["device_id"] for row in found["file_span"].to_pylist()}:
            of_device = [r for r in found["file_span"].to_pylist() if r["device_id"] == device]
            edges = min(r["first_us"] for r in of_device), max(r["last_us"] for r in of_device)
            assert [edges] == con.execute(f"{spans} AND power_mw IS NOT NULL", [device]).fetchall()
    rows = sorted(found["board_reading"].to_pylist(), key=lambda row: row["device_id"])
    assert {row["hour_us"] for row in rows} == {HOUR}
    assert without_hour(rows) == expected


def test_a_damaged_file_goes_to_quarantine(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    fill(builder, random.Random(1))
    path = builder.lake.files("power", [T0])[0]
    content = bytearray(path.read_bytes())
    content[8:40] = bytes(32)
    path.write_bytes(content)
    Readings(builder.lake, []).tables([HOUR])
    assert path not in Lake(builder.lake.root).files("power", [T0])
