"""Looking at single rows only where sums leave something open finds what looking at all finds."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.support.lakes import HOUR_US, LakeBuilder, S
from tests.support.lawfleets import fleets
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.paths import node_of
from tokenergy_sql.checks import connections
from tokenergy_sql.checks.checking import Finding, run_checks
from tokenergy_sql.checks.hourreadings import Readings
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_transforms.aggregate import Aggregator, worklist

NAMES = (
    "hosts_of_all_boards",
    "law",
    "ledger_is_complete",
    "readings_are_booked",
    "readings_are_plausible",
    "records_take_turns",
    "segments_do_not_overlap",
    "sparse_bounds",
)
Row = dict[str, Any]


def wide(readings: Readings, hours: Sequence[int]) -> Mapping[str, pa.Table]:
    """Return the readings of boards as if they were of more time than any book has.

    Nothing is told of the counter at the edges of hours.
    """
    found = dict(tables(readings, hours))
    rows = [
        {
            **row,
            "first_us": row["first_us"] and row["first_us"] - HOUR_US,
            "last_us": row["last_us"] and row["last_us"] + HOUR_US,
            "highest_mw": 2**40,
            "widest_us": HOUR_US,
        }
        for row in found["board_reading"].to_pylist()
    ]
    schema = found["board_reading"].schema
    edges = found["board_edge"].schema.empty_table()
    boards = pa.Table.from_pylist(rows, schema=schema)
    return {**found, "board_reading": boards, "board_edge": edges}


def everywhere(con: Any) -> None:
    """Look at the segments of all boards."""
    create_spans(con)
    con.execute("UPDATE board_span SET chained = false")
    con.execute("CREATE OR REPLACE TABLE odd_board AS SELECT DISTINCT device_id FROM board_span")
    con.execute("INSERT INTO odd_board SELECT DISTINCT device_id FROM ledger")
    con.execute("CREATE OR REPLACE VIEW odd_segment AS FROM segment")


create_spans = connections._create_spans
tables = Readings.tables


def looked(lake: Lake) -> list[Finding]:
    return run_checks(lake, only=NAMES)


def spoil(lake: Lake, rng: random.Random) -> None:
    """Change some rows of the ledger and of the segments."""
    for hour in lake.hours("segment"):
        parts = {("ledger", None)} | {
            ("segment", node_of(p)) for p in lake.files("segment", [hour])
        }
        for table, node in sorted(parts, key=str):
            change = _wrong_row if table == "ledger" else _wrong_segment
            own = lake.read(table, [hour], node=node)
            rows = [
                out
                for row in own.to_pylist()
                for out in (change(row, rng) if rng.random() < 0.03 else [row])
            ]
            lake.replace(table, pa.Table.from_pylist(rows, own.schema), hour, node or table)


def _wrong_row(row: Row, rng: random.Random) -> list[Row]:
    if row["energy_nj"] is None:
        return [row]
    return rng.choice(
        [
            [],
            [row, row],
            [{**row, "energy_nj": row["energy_nj"] + 1}],
            [{**row, "device_us": row["device_us"] + 1}],
            [{**row, "start_us": row["start_us"] + 1}],
            [{**row, "end_us": row["end_us"] + 1}],
            [{**row, "high_nj": row["low_nj"]}],
            [{**row, "meter": "samples" if row["meter"] == "counter" else "counter"}],
        ]
    )


def _wrong_segment(row: Row, rng: random.Random) -> list[Row]:
    return rng.choice(
        [
            [],
            [{**row, "end_us": row["end_us"] + S // 2}],
            [{**row, "start_us": row["start_us"] + S // 2}],
            [{**row, "readings": row["readings"] + 1}],
            [{**row, "end_us": row["start_us"]}],
        ]
    )


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_the_same(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    builder = LakeBuilder(tmp_path / "lake")
    raw = fleets(range(seed * 40, seed * 40 + 40))
    raw.write(builder)
    lake = builder.lake
    list(Aggregator(lake, 5 * S, "cpu").run(worklist(lake)))
    index(lake, Site(1_250_000, 900_000, {}), progress=lambda _: None, catalog=False)
    raw.write_late(builder)
    spoil(lake, rng)
    found = looked(lake)
    assert {one.name for one in found if one.rows} >= {"law", "ledger_is_complete"}
    others = {"segments_do_not_overlap", "readings_are_booked", "sparse_bounds"}
    assert others <= {one.name for one in found if one.rows}
    with monkeypatch.context() as patched:
        patched.setattr(connections, "_create_spans", everywhere)
        patched.setattr(Readings, "tables", wide)
        assert looked(lake) == found
