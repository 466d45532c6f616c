"""What an earlier process left behind: which logs are of use, and which of their rows are new.

In: the logs found at start. Out: those to be sealed, and an account of what was recovered, cut and
set aside. Nothing is changed but by moving what cannot be read: a crash while recovering is
recovered from in the same way.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.arrays import column, scalar
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.paths import hour_of
from tokenergy_collectors.spool.folder import LogFolder, table_of
from tokenergy_collectors.spool.wal import LogRows, UnreadableLogError, read_log

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(slots=True, eq=False)
class Segment:
    """A log that is written no more and waits to be sealed, as a unit.

    `closed` is False if it was interrupted. Then a part of it may be in the lake: somebody may have
    cut a log whose rows were sealed already.
    """

    path: Path
    table: str
    rows: int
    size: int
    closed: bool = True
    found: bool = False
    """Left by an earlier process."""


@dataclass(slots=True)
class Recovery:
    """What was found at start: rows, the time they span (s), and what is amiss, in words."""

    rows: int = 0
    span_s: float = 0.0
    torn: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def examine(folder: LogFolder) -> tuple[list[Segment], Recovery]:
    """Read the logs that earlier processes left; set aside what cannot be read."""
    segments, recovery = [], Recovery()
    first_us: list[int] = []
    last_us: list[int] = []
    for path in folder.left:
        table = table_of(path)
        try:
            log = _read(path, table)
        except UnreadableLogError as error:
            recovery.unreadable.append(set_aside(folder, path, str(error)))
            continue
        if log.cut_bytes:
            recovery.torn.append(f"{log.cut_bytes} bytes cut from {path.name}")
        segment = Segment(path, table, log.rows.num_rows, path.stat().st_size, log.closed, True)
        segments.append(segment)
        recovery.rows += segment.rows
        if segment.rows and table != "jobs":  # whose time is the allocation's start
            low_us, high_us = stamp_range(table, log.rows)
            first_us.append(low_us)
            last_us.append(high_us)
    if first_us:
        recovery.span_s = (max(last_us) - min(first_us)) / 1_000_000
    return segments, recovery


def _read(path: Path, table: str) -> LogRows:
    if table not in TABLES:
        raise UnreadableLogError(f"no table {table!r}")
    return read_log(path, TABLES[table].schema())


def set_aside(folder: LogFolder, path: Path, reason: str) -> str:
    """Move a log to quarantine; return what happened to it, in words."""
    try:
        return f"{path.name}: {reason}; moved to {folder.quarantine(path, reason)}"
    except OSError as error:
        return f"{path.name}: {reason}; cannot be moved to quarantine: {error.strerror}"


def stamp_range(table: str, rows: pa.Table) -> tuple[int, int]:
    """Return the first and the last stamp (us UTC) of some rows, at least one."""
    import pyarrow.compute as pc

    found = pc.min_max(rows[TABLES[table].time]).as_py()
    return found["min"], found["max"]


def hours_of(table: str, rows: pa.Table) -> set[int]:
    """Return the starts (us UTC) of the hours that some rows lie in."""
    import pyarrow.compute as pc

    hours = {hour_of(ts_us) for ts_us in stamp_range(table, rows)} if rows.num_rows else set()
    if len(hours) > 1:
        hours = {hour_of(ts_us) for ts_us in pc.unique(rows[TABLES[table].time]).to_pylist()}
    return hours


def unsealed(lake: Lake, node: str, table: str, rows: pa.Table, own: set[Path]) -> pa.Table:
    """Return the rows that no file of the lake holds yet.

    Args:
        lake: where to look.
        node: whose files.
        table: which table.
        rows: rows of a log.
        own: files that need not be looked into.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if not rows.num_rows:
        return rows
    first_us, last_us = (scalar(ts_us) for ts_us in stamp_range(table, rows))
    there: set[str] = set()
    for path in lake.files(table, hours_of(table, rows), node):
        if path in own:
            continue
        with suppress(OSError, KeyError, pa.ArrowException):  # unreadable: holds no rows
            with pq.ParquetFile(path) as file:  # `read_table` imports pandas
                part = file.read(columns=rows.column_names)
            stamp = part[TABLES[table].time]
            near = pc.and_(pc.greater_equal(stamp, first_us), pc.less_equal(stamp, last_us))
            there.update(_keys(part.filter(near)))
    if not there:
        return rows
    return rows.filter(column([key not in there for key in _keys(rows)], pa.bool_()))


def _keys(rows: pa.Table) -> list[str]:
    """Return each row as text: lists cannot be compared by Arrow's own joins."""
    return [repr(row) for row in rows.to_pylist()]
