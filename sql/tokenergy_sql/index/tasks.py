"""What the booking of a group of nodes needs, by value: any process can do it and get the same.

In: a connection on which the hour's booking is prepared (see `hour.prepared`), the hour's groups.
Out: a `Task` for each group, named by a digest of all that its rows follow from.

What lies beyond the hour is left out, so that a job that goes on, or a reading of the next hour,
changes no task.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.paths import node_of, parse_raw_name, show_hour
from tokenergy_sql.catalog.sqlfile import read_sql
from tokenergy_sql.index.groups import Group
from tokenergy_sql.index.inputs import FileDigests, around
from tokenergy_sql.index.modelrun import index_version

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

TABLES = ("allocation", "job_edge", "job_activity", "job_cut", "device", "calibration")
"""What a task has of each: the rows of its devices and their jobs."""

_LAYOUT = 2
"""Of what is kept of a booked group: another number, other names."""

_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Task:
    """The booking of one group of an hour.

    Attributes:
        hour_us: start of the hour, microseconds UTC.
        segments, states: the files to read.
        told: what `FileDigests` tells of the segments.
        tables: rows of `TABLES`.
        name: tells the hour, and a digest of everything else.
    """

    hour_us: int
    segments: tuple[Path, ...]
    states: tuple[Path, ...]
    told: tuple[str, ...]
    tables: dict[str, pa.Table]
    name: str


def tasks_of(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    hour_us: int,
    groups: Sequence[Group],
    digests: FileDigests,
) -> Iterator[Task]:
    """Yield a task for each group.

    Args:
        con: has `allocation`, `job_edge`, `job_activity`, `job_cut`, `device`, `calibration` and
            `parameters`.
        lake: the lake.
        hour_us: start of the hour, microseconds UTC.
        groups: of the hour.
        digests: of files of segments.
    """
    import pyarrow as pa

    near = lake.files("state", around(hour_us))
    states = [path for path in near if _first_us(path) <= hour_us + HOUR_US]
    seen = _nodes_by_device(con)
    known = {node for nodes in seen.values() for node in nodes}
    for group in groups:
        con.register("group_device", pa.table({"device_id": pa.array(group.devices, pa.string())}))
        tables = {name: con.sql(_select(name)).to_arrow_table() for name in TABLES}
        con.unregister("group_device")
        # A board's gauges are on the nodes where it was seen. What is known of no board may be on
        # any node that is known by its gauges alone.
        nodes = {node_of(path) for path in group.files}.union(
            *(seen.get(device, ()) for device in group.devices)
        )
        of_group = tuple(
            path for path in states if (node := node_of(path)) in nodes or node not in known
        )
        told = tuple(digests.told_of(path) for path in group.files)
        name = f"{show_hour(hour_us)}-{_digest(lake, told, of_group, tables)}"
        yield Task(hour_us, group.files, of_group, told, tables, name)


def _select(table: str) -> str:
    """Return the statement for the rows of a table that a group's booking needs."""
    return read_sql("tokenergy_sql.index.grouped", table)


def _first_us(path: Path) -> int:
    """Return the first stamp of a raw file by its name; 0 if the name has none."""
    parsed = parse_raw_name(path.name)
    return parsed.first_us if parsed else 0


def _nodes_by_device(con: duckdb.DuckDBPyConnection) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for device, node in con.execute("SELECT DISTINCT device_id, node FROM device").fetchall():
        found.setdefault(device, set()).add(node)
    return found


def _digest(
    lake: Lake, segments: Sequence[str], states: Sequence[Path], tables: dict[str, pa.Table]
) -> str:
    rows = {name: sorted(map(json.dumps, rows.to_pylist())) for name, rows in tables.items()}
    names = [path.relative_to(lake.root).as_posix() for path in states]
    source = [_LAYOUT, index_version(), [*segments], names, rows]
    return hashlib.sha256(json.dumps(source).encode()).hexdigest()[:_DIGITS]
