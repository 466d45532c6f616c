"""Imports events of demand response from a CSV file.

In: lines with event_id, start and end, and at most one of reduce_kw, reduce_percent and target_kw.
Out: rows of `grid_event`. Lines of one event_id are its intervals, in order. What the lake says
already is not written again; a corrected line counts from then on, and the earlier one stays.
"""

from __future__ import annotations

import time
from collections import defaultdict
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.csvfile import BadValueError, CsvFile
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.timestamps import StampReader
from tokenergy_collectors.importers.result import ImportResult
from tokenergy_collectors.lake.contract import GRID_EVENT, GRID_EVENT_STATES
from tokenergy_collectors.lake.paths import escape_node

if TYPE_CHECKING:
    from tokenergy_collectors.lake import Lake

NEEDED = ("event_id", "start", "end")
REQUESTS = ("reduce_kw", "reduce_percent", "target_kw")
OTHERS = ("name", "program", "status")
_MW_PER_KW = 1_000_000
_PPM_PER_PERCENT = 10_000
_MOST_MW = 10**15

Row = dict[str, Any]


def import_events(lake: Lake, path: Path, node: str, tz: str = "UTC") -> ImportResult:
    """Read a list completely, then add the events that the lake does not say yet.

    Args:
        lake: where to write.
        path: the list.
        node: where it comes from, in the column `node`.
        tz: time zone of stamps without an offset.

    Raises:
        UserError: the file cannot be used, and nothing was written; or the lake cannot be written.
    """
    import pyarrow as pa

    escape_node(node)
    result = ImportResult()
    rows = _read(path, tz)
    last: dict[tuple[str, int], Row] = {}
    before = [row for row in lake.read("grid_event").to_pylist() if row["source"] == "csv"]
    for row in sorted(before, key=lambda one: one["recorded_us"]):
        last[row["event_id"], row["interval"]] = row
    recorded_us = max([time.time_ns() // 1000, *(row["recorded_us"] + 1 for row in before)])
    for row in rows:
        row |= {"source": "csv", "node": node, "modification": 0, "recorded_us": recorded_us}
    fresh = [row for row in rows if _said(row) != _said(last.get(_key(row), {}))]
    result.rows["grid_event"], result.devices = len(rows), len({row["event_id"] for row in rows})
    if rows:
        result.first_us = min(row["start_us"] for row in rows)
        result.last_us = max(row["end_us"] for row in rows)
    if fresh:
        full = [{name: row.get(name) for name in GRID_EVENT.column_names} for row in fresh]
        table = pa.Table.from_pylist(full, schema=GRID_EVENT.schema())
        result.files += lake.append("grid_event", table, node, tag=str(recorded_us))
        result.written["grid_event"] = len(fresh)
    return result


def _key(row: Row) -> tuple[str, int]:
    return (row["event_id"], row["interval"])


def _said(row: Row) -> Row:
    apart = ("recorded_us", "node")
    return {name: row.get(name) for name in GRID_EVENT.column_names if name not in apart}


def _read(path: Path, tz: str) -> list[Row]:
    stamps = StampReader(tz)
    intervals: defaultdict[str, int] = defaultdict(int)
    rows = []
    with CsvFile(path) as file:
        for name in NEEDED:
            if name not in file.header:
                raise BadValueError(
                    f"has no column {name!r}: expected {', '.join(NEEDED)} and at most one of "
                    f"{', '.join(REQUESTS)}"
                )
        unknown = [one for one in file.header if one not in (*NEEDED, *REQUESTS, *OTHERS)]
        if unknown:
            raise BadValueError(
                f"unknown column {unknown[0]!r}: expected "
                f"{', '.join((*NEEDED, *REQUESTS, *OTHERS))}"
            )
        for line in file.all_rows():
            file.check_width(line)
            cell = {name: one.strip() for name, one in zip(file.header, line, strict=True)}
            if not cell["event_id"]:
                raise BadValueError("event_id is empty: expected a name of the event")
            row = _row(cell, stamps)
            row["interval"] = intervals[row["event_id"]]
            intervals[row["event_id"]] += 1
            rows.append(row)
    if not rows:
        raise UserError(f"{path}: has no events: expected lines after the header")
    return rows


def _row(cell: dict[str, str], stamps: StampReader) -> Row:
    start_us, end_us = stamps.read(cell["start"]), stamps.read(cell["end"])
    if end_us <= start_us:
        raise BadValueError(f"event {cell['event_id']!r} does not end after it begins")
    given = [name for name in REQUESTS if cell.get(name)]
    if len(given) > 1:
        raise BadValueError(f"{' and '.join(given)}: expected one of them")
    row: Row = {"event_id": cell["event_id"], "start_us": start_us, "end_us": end_us}
    row |= {name: cell.get(name) or None for name in OTHERS}
    if row["status"] not in (None, *GRID_EVENT_STATES):
        raise BadValueError(f"status {row['status']!r}: expected {', '.join(GRID_EVENT_STATES)}")
    if given:
        name = given[0]
        row |= _request(name, cell[name])
    return row


def _request(name: str, text: str) -> Row:
    """Return what a line asks for.

    Raises:
        BadValueError: it is no number, or no such request can be.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise BadValueError(f"{name} {text!r}: expected a number") from None
    if not value.is_finite() or abs(value) * _MW_PER_KW > _MOST_MW:
        raise BadValueError(f"{name} {text!r}: expected a number")
    if name == "reduce_percent":
        if not 0 <= value <= 100:
            raise BadValueError(f"{name} {text!r}: expected 0 to 100")
        return {"reduce_ppm": round(value * _PPM_PER_PERCENT)}
    if value < 0:
        raise BadValueError(f"{name} {text!r}: expected 0 or more")
    return {"reduce_mw" if name == "reduce_kw" else "target_mw": round(value * _MW_PER_KW)}
