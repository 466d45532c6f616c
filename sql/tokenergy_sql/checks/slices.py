"""Some devices of a large hour at a time, for checks that look at one device after the other.

In: a connection for the checks of an hour. Out: the same, on which the hour's ledger, segments and
readings are those of some devices alone, again and again until all had their turn. So such a check
takes as much memory for a large fleet as for a small one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.reading import rows_of
from tokenergy_sql.catalog.duck import literal

if TYPE_CHECKING:
    import duckdb

SLICE_ROWS = 1 << 22
"""Segments of a slice, about, and readings that are integrated again: those of 1,160 boards of 1 s
segments with a counter, or of 100 boards without one at 10 Hz."""

_TABLES = (
    *("ledger", "segment", "power"),
    *("board_span", "board_reading", "odd_board", "odd_segment"),
    *("booked_run", "known_limit", "run_edge", "unread_time", "doubtful_power"),
)


def slices(con: duckdb.DuckDBPyConnection, lake: Lake, hours: Sequence[int]) -> Iterator[None]:
    """Yield as often as there are slices; each time the connection sees the devices of the next.

    Args:
        con: has some of the tables of single boards.
        lake: the lake.
        hours: starts of the hours that are checked, microseconds UTC.
    """
    rows = sum(rows_of(path) for path in lake.files("segment", hours)) + _sampled(con)
    count = -(-rows // SLICE_ROWS)
    if count < 2:
        yield
        return
    there = [name for name in _TABLES if _is_there(con, name)]
    try:
        for chosen in _ranges(_bounds(lake, hours, count)):
            for name in there:
                con.execute(
                    f"CREATE OR REPLACE TEMP VIEW {name} AS FROM memory.main.{name} WHERE {chosen}"
                )
            yield
    finally:
        for name in there:
            con.execute(f"DROP VIEW IF EXISTS temp.{name}")


def _sampled(con: duckdb.DuckDBPyConnection) -> int:
    """Return the number of readings of boards that the ledger books by samples alone."""
    if not (_is_there(con, "board_reading") and _is_there(con, "ledger")):
        return 0
    text = (
        "SELECT coalesce(sum(readings), 0)::BIGINT FROM board_reading "
        "WHERE device_id IN (SELECT device_id FROM ledger WHERE meter = 'samples')"
    )
    return int(con.execute(text).fetchall()[0][0])


def _is_there(con: duckdb.DuckDBPyConnection, name: str) -> bool:
    text = (
        "SELECT count(*) FROM information_schema.tables "
        "WHERE table_catalog = 'memory' AND table_schema = 'main' AND table_name = $1"
    )
    return con.execute(text, [name]).fetchall() != [(0,)]


def _bounds(lake: Lake, hours: Sequence[int], count: int) -> list[str]:
    """Return the first devices of all slices but the first: neighbours in the ledger's order."""
    # As many rows as devices, accounts and jobs, where the ledger has millions.
    rows = lake.read("ledger_hour", hours, columns=["device_id"])
    devices = sorted(rows["device_id"].unique().to_pylist())
    places = {len(devices) * place // count for place in range(1, count)}
    return [devices[place] for place in sorted(places) if devices]


def _ranges(bounds: Sequence[str]) -> Iterator[str]:
    """Yield conditions of which every device meets one, whether it is in the ledger or not."""
    for first, end in itertools.pairwise([None, *bounds, None]):
        least = "true" if first is None else f"device_id >= {literal(first)}"
        yield least if end is None else f"{least} AND device_id < {literal(end)}"
