"""A lake of four hours, whole or with something missing, and its derived files as bytes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_sql import steps

HOURS = [T0 + number * HOUR_US for number in range(4)]
NODES = ("n1", "n2")
ASKED = (
    *("load_span", "load_span_spectrum", "load_span_swing"),
    *("storage_study", "storage_sweep", "storage_course"),
)
"""Derived tables of which there are rows only after somebody asked for a span or a study."""
DERIVED = [
    name
    for name, table in TABLES.items()
    # Where nothing swings there is no file of load_swing: see tests of load profiles.
    if table.layer == "derived" and name not in (*ASKED, "load_swing")
]
RAW = [name for name, table in TABLES.items() if table.layer == "raw"]


def readings(builder: LakeBuilder, node: str, hour_us: int) -> None:
    """Two minutes of a node's board over the begin of an hour, and a minute later in it."""
    watts = 100_000 + 1_000 * HOURS.index(hour_us) + 10_000 * NODES.index(node)
    builder.power(f"{node} A", level(watts, hour_us, hour_us + 100 * S, S), node=node)
    builder.power(f"{node} A", level(watts, hour_us + 200 * S, hour_us + 260 * S, S), node=node)


def fleet(
    root: Path, without: Collection[tuple[str, int]] = (), hours: Sequence[int] = HOURS
) -> LakeBuilder:
    """Two nodes of a board each, with jobs that serve in all hours; a third in the first hour.

    Args:
        root: of the lake.
        without: (node, hour) pairs whose readings are not there yet.
        hours: those of the lake, the first of `HOURS`.
    """
    builder = LakeBuilder(root)
    for node in NODES:
        builder.device(f"{node} A", node=node)
        for hour_us in hours:
            if (node, hour_us) not in without:
                readings(builder, node, hour_us)
        builder.job(f"job {node}", f"{node} A", T0 + 10 * S, hours[-1] + 250 * S, node=node)
        for kind, step in (("generated", 7), ("prompt_computed", 30)):
            stamps = [h + s * S for h in hours for s in range(0, 101, 5)]
            values = [(ts, step * number) for number, ts in enumerate(stamps)]
            builder.tokens(f"job {node}", values, kind=kind, source_id=node, node=node)
    decoding(builder)
    return builder


def decoding(builder: LakeBuilder) -> None:
    """A server that only generates, for ten minutes of the first hour."""
    of = {"node": "n3", "source_id": "n3"}
    builder.device("n3 A", node="n3")
    builder.power("n3 A", level(400_000, T0, T0 + 600 * S, S), node="n3")
    builder.job("job n3", "n3 A", T0, T0 + 600 * S, node="n3")
    for kind, rate in (("prompt_external", 4_000), ("generated", 800)):
        values = [(T0 + s * S, rate * s) for s in range(0, 601, 5)]
        builder.tokens("job n3", values, kind=kind, **of)


def books(lake: Lake, hours: list[int] | None = None) -> None:
    """Make segments, books and load profiles."""
    steps.index_hours(lake.root, hours, None)
    steps.profile_hours(lake.root, hours, "job,node,rack,site", "auto", "cpu")


def derived(lake: Lake) -> dict[str, bytes]:
    """Return the derived files by name."""
    files = (path for table in DERIVED for path in lake.files(table))
    return {path.relative_to(lake.root).as_posix(): path.read_bytes() for path in files}


def identities(lake: Lake) -> dict[str, tuple[int, int]]:
    """Return what tells each derived file from another that took its place."""
    files = [path for table in DERIVED for path in lake.files(table)]
    return {
        path.relative_to(lake.root).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in files
    }


def cut(path: Path) -> None:
    """Truncate a file: its end is gone."""
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path) -> None:
    """Flip bits in the header of a page: the file's end still looks sound."""
    data = bytearray(path.read_bytes())
    page = pq.ParquetFile(path).metadata.row_group(0).column(0).data_page_offset
    for place in range(page, page + 12):
        data[place] ^= 0xFF
    path.write_bytes(data)


Damage = Callable[[Path], None]
