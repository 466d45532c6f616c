"""Lakes whose derived tables are given row by row: the truth of a test is what it stages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US, TABLES

Row = dict[str, Any]
_ZERO = {"string": "", "bool": False, "list<int32>": []}


def stage(lake: Lake, table: str, rows: Iterable[Row]) -> None:
    """Put rows into the books; columns that are not given are NULL, or 0 where they may not be."""
    spec = TABLES[table]
    by_hour: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        full = {c.name: None if c.nullable else _ZERO.get(c.type, 0) for c in spec.columns} | row
        by_hour[row[spec.time] // HOUR_US * HOUR_US].append(full)
    for hour_us, found in by_hour.items():
        batch = pa.Table.from_pylist(found, schema=spec.schema())
        order = [(name, "ascending") for name in spec.sort]
        lake.replace(table, batch.sort_by(order), hour_us, "staged")


def booked(
    board: str,
    from_us: int,
    until_us: int,
    kw: float | None,
    job: str | None = None,
    error: float = 0.0,
) -> Row:
    """One row of the ledger: a board that draws a constant power; None: no meter covered it."""
    length_us = until_us - from_us
    nj = None if kw is None else round(kw * 1e6 * length_us)
    known = nj or 0
    return {
        "device_id": board, "node": "n1", "start_us": from_us, "end_us": until_us,
        "account": "gap" if kw is None else "active", "job_id": job, "energy_nj": nj,
        "low_nj": round(known * (1 - error)), "high_nj": round(known * (1 + error)),
        "covered_us": 0 if kw is None else length_us, "device_us": length_us, "segments": 1,
    }  # fmt: skip
