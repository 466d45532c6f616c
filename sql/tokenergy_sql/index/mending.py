"""Damaged derived files: set aside in the lake's quarantine, so that they are made again.

In: a lake, hours, a run of the index. Out: the run's result, although files that it met were
damaged. What cannot be made again, because its readings are gone, is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.absent import there
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.damage import damaged
from tokenergy_collectors.lake.paths import (
    hour_of_path,
    node_of,
    partition,
    show_hour,
    table_of,
)
from tokenergy_collectors.lake.quarantine import DamagedError, set_aside
from tokenergy_sql.index.segments import aggregate_outdated
from tokenergy_sql.revisions.revisions import REVISED_TABLES

T = TypeVar("T")

DERIVED = tuple(name for name, table in TABLES.items() if table.layer == "derived")

INDEXED = ("segment", *REVISED_TABLES)
"""The derived tables that a run of the index reads or writes."""


def set_aside_damaged(
    lake: Lake, hours: Iterable[int] | None, tables: Iterable[str] = DERIVED, *, rows: bool = False
) -> list[Path]:
    """Set the damaged files of some hours aside; return where they were.

    Args:
        lake: the lake.
        hours: starts of the hours, microseconds UTC; all if None.
        tables: names of derived tables.
        rows: read all rows, not only the footers.
    """
    found = list(damaged(lake, tables, hours, rows=rows))
    for path, reason in found:
        lake.set_aside(path, reason)
    return [path for path, _ in found if not there(path)]


def lost_nodes(lake: Lake, hour_us: int) -> list[str]:
    """Return the nodes whose damaged segments of an hour cannot be made again, sorted.

    Their readings were removed. What was booked of them stays as it is: to derive the hour again
    would drop it.
    """
    folder = lake.root / "segment" / partition(hour_us)
    gone = {node_of(folder / name) for name in set_aside(lake.root, folder)}
    if not gone:
        return []
    return sorted(gone.difference(lake.nodes("segment", hour_us), lake.nodes("power", hour_us)))


def lost_line(hour_us: int, nodes: Iterable[str]) -> str:
    """Return the line on an hour whose damaged segments cannot be made again."""
    return (
        f"hour {show_hour(hour_us)}: segments of {', '.join(nodes)} were damaged and cannot be "
        "derived again: the readings were removed. The books of the hour stay as they are. Bring "
        "the power files back and run `tokenergy heal`; or remove the damaged segments from the "
        "quarantine to book the hour without them"
    )


def mending(
    lake: Lake,
    hours: Iterable[int] | None,
    run: Callable[[set[int] | None], T],
    moved: list[Path],
) -> T:
    """Run the index; where it meets damaged derived files, set them aside and run it again.

    Args:
        lake: the lake.
        hours: that the run is to examine; all if None.
        run: takes them, and those of the damaged files.
        moved: gets where the damaged files were.

    Raises:
        DamagedError: a damaged file cannot be moved, or is damaged again: the disk fails.
    """
    chosen = None if hours is None else set(hours)
    met = {*moved}
    while True:
        try:
            return run(chosen)
        except DamagedError as error:
            if error.path in met:
                raise
            was_there = there(error.path)
            lake.set_aside(error.path, error.reason)
            if there(error.path):
                raise
            # Damage seldom comes alone, and every run has a price.
            found = [error.path, *set_aside_damaged(lake, None, INDEXED)]
            met |= {*found}
            moved += found if was_there else found[1:]
            damaged_us = {hour_of_path(path) for path in found}
            if any(table_of(path) == "segment" for path in found):
                aggregate_outdated(lake, sorted(damaged_us))
            if chosen is not None:
                chosen |= damaged_us
