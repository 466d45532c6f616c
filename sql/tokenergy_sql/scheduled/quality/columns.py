"""Compares the columns of new raw files with the contract.

In: a lake, a time. Out: what drifted, by table, column and kind, with the nodes. The newest file of
each node and table is looked at: a collector of another version writes all its files alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.absent import present
from tokenergy_collectors.lake.contract import TABLES, Table
from tokenergy_collectors.lake.paths import show_hour
from tokenergy_collectors.lake.quarantine import quarantined
from tokenergy_collectors.lake.reading import kind_of_type
from tokenergy_sql.scheduled.quality.newest import newest_files

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_NODES = 5

Drift = tuple[str, str, str, int, str]
"""Table, column, what is wrong, number of nodes, some of their names."""


def drifted(lake: Lake, since_us: int) -> tuple[list[Drift], list[Drift]]:
    """Return what breaks or exceeds the contract, and what differs and is read all the same.

    Args:
        lake: the lake.
        since_us: files of earlier hours are not looked at; microseconds UTC.
    """
    wrong: dict[tuple[str, str, str], set[str]] = {}
    lesser: dict[tuple[str, str, str], set[str]] = {}
    for table in (table for table in TABLES.values() if table.layer == "raw"):
        for node, paths in newest_files(lake, table.name, since_us).items():
            for column, what, is_wrong in _compare(paths[0], table):
                place = wrong if is_wrong else lesser
                place.setdefault((table.name, column, what), set()).add(node)
    return _rows(wrong), _rows(lesser)


def set_aside(lake: Lake, since_us: int) -> list[tuple[str, str, str, str]]:
    """Return the raw files in quarantine since a time: table, hour, file, reason."""
    return [
        (row["table"], show_hour(row["hour_us"]), row["file"], row["reason"])
        for row in quarantined(lake.root)
        if row["hour_us"] is not None and row["hour_us"] >= since_us and _is_raw(row["table"])
    ]


def _is_raw(name: str | None) -> bool:
    return name is not None and TABLES[name].layer == "raw"


def _compare(path: Path, table: Table) -> Iterator[tuple[str, str, bool]]:
    """Yield how a file differs from its table: column, what, whether it is wrong."""
    import pyarrow.parquet as pq

    present([path])
    try:
        found: pa.Schema = pq.read_schema(path)
    except FileNotFoundError:  # set aside or uploaded and removed meanwhile
        return
    except OSError as error:
        if error.errno is not None:
            raise
        yield "", "the file is damaged", True
        return
    expected = table.schema()
    for name in sorted({*found.names}.difference(expected.names)):
        yield name, f"is not in the contract: {found.field(name).type}", True
    for field in expected:
        if field.name not in found.names:
            yield field.name, "is missing", not field.nullable
        elif (kind := found.field(field.name).type) != field.type:
            # Integers of another width, and texts of another form, are read all the same.
            differs = kind_of_type(kind) != kind_of_type(field.type)
            yield field.name, f"is {kind}, not {field.type}", differs


def _rows(found: dict[tuple[str, str, str], set[str]]) -> list[Drift]:
    return [
        (table, column, what, len(nodes), ", ".join(sorted(nodes)[:_MOST_NODES]))
        for (table, column, what), nodes in sorted(found.items())
    ]
