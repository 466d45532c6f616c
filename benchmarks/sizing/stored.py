"""Bytes and files of an hour of a lake, table by table.

In: a lake and an hour. Out: what `Lake` finds of each table, so books that were replaced do not
count; and all that is no table's: lists, revisions, caches and the catalog.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES


@dataclass(frozen=True, slots=True)
class Stored:
    """What an hour of a table takes.

    Attributes:
        bytes: of its files.
        files: how many.
        nodes: whether each node has files of its own; if not, the hour has one for all.
    """

    bytes: int
    files: int
    nodes: bool


def stored_of(lake: Lake, hour_us: int) -> dict[str, Stored]:
    """Return bytes and files of each table that has any in an hour.

    Args:
        lake: the lake.
        hour_us: start of the hour, microseconds UTC.
    """
    found = {}
    for name, table in TABLES.items():
        files = lake.files(name, [hour_us])
        if files:
            size = sum(path.stat().st_size for path in files)
            found[name] = Stored(size, len(files), table.layer == "raw" or name == "segment")
    return found


def others_of(lake: Lake) -> tuple[int, int]:
    """Return bytes and number of the files of a lake that belong to no table."""
    tables = {path for name in TABLES for path in lake.files(name)}
    found = [
        path.stat().st_size
        for path in lake.root.rglob("*")
        if path.is_file() and path not in tables
    ]
    return sum(found), len(found)
