"""The logs that earlier processes left: which can be sealed, and which of their rows are new.

In: the logs found at start. Out: the logs to seal, and a summary of what was recovered, cut off and
quarantined. Recovery only moves logs that cannot be read, so a crash during recovery does no harm.
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
from tokenergy_collectors.spool.wal import LogRows, UnreadableLogError, read_log, with_columns

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(slots=True, eq=False)
class LogFile:
    """A log that is complete and waits to be sealed, as a unit.

    Attributes:
        path: the file.
        table: whose rows it holds.
        rows: how many.
        size: bytes.
        closed: False if writing was interrupted. Then some of its rows may be in the lake already:
            a sealed log may have lost its end before it was removed.
        recovered: whether an earlier process left it.
    """

    path: Path
    table: str
    rows: int
    size: int
    closed: bool = True
    recovered: bool = False


@dataclass(slots=True)
class Recovery:
    """What was found at start: rows, the time they span (s), and problems, in words."""

    rows: int = 0
    span_s: float = 0.0
    torn: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def recover_logs(folder: LogFolder) -> tuple[list[LogFile], Recovery]:
    """Read the logs that earlier processes left, and quarantine those that cannot be read."""
    logs, recovery = [], Recovery()
    stamps_us: list[int] = []
    for path in folder.left:
        table = table_of(path)
        try:
            content = _read(path, table)
        except UnreadableLogError as error:
            recovery.unreadable.append(quarantine_log(folder, path, str(error)))
            continue
        if content.cut_bytes:
            recovery.torn.append(f"{content.cut_bytes} bytes cut from {path.name}")
        rows = content.rows.num_rows
        logs.append(LogFile(path, table, rows, path.stat().st_size, content.closed, True))
        recovery.rows += rows
        # The stamp of `jobs` is an allocation's start: it does not say when the row was recorded.
        if rows and table != "jobs":
            stamps_us += stamp_range(table, content.rows)
    if stamps_us:
        recovery.span_s = (max(stamps_us) - min(stamps_us)) / 1_000_000
    return logs, recovery


def _read(path: Path, table: str) -> LogRows:
    if table not in TABLES:
        raise UnreadableLogError(f"unknown table {table!r}")
    return read_log(path, TABLES[table].schema())


def quarantine_log(folder: LogFolder, path: Path, reason: str) -> str:
    """Move a log to quarantine; return what happened to it, in words."""
    try:
        return f"{path.name}: {reason}; moved to {folder.quarantine(path, reason)}"
    except OSError as error:
        return f"{path.name}: {reason}; cannot be moved to quarantine: {error.strerror}"


def stamp_range(table: str, rows: pa.Table) -> tuple[int, int]:
    """Return the first and the last stamp (us UTC) of one or more rows."""
    import pyarrow.compute as pc

    found = pc.min_max(rows[TABLES[table].time]).as_py()
    return found["min"], found["max"]


def hours_of(table: str, rows: pa.Table) -> set[int]:
    """Return the starts (us UTC) of the hours that rows belong to."""
    import pyarrow.compute as pc

    hours = {hour_of(ts_us) for ts_us in stamp_range(table, rows)} if rows.num_rows else set()
    if len(hours) > 1:
        hours = {hour_of(ts_us) for ts_us in pc.unique(rows[TABLES[table].time]).to_pylist()}
    return hours


def rows_not_sealed(lake: Lake, node: str, table: str, rows: pa.Table, skip: set[Path]) -> pa.Table:
    """Return the rows that no file of the lake holds yet.

    Args:
        lake: where to look.
        node: whose files.
        table: which table.
        rows: rows of a log.
        skip: files that are known to hold none of them.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if not rows.num_rows:
        return rows
    first_us, last_us = (scalar(ts_us) for ts_us in stamp_range(table, rows))
    sealed: set[str] = set()
    for path in lake.files(table, hours_of(table, rows), node):
        if path in skip:
            continue
        with suppress(OSError, KeyError, pa.ArrowException):  # a damaged file holds no rows
            with pq.ParquetFile(path) as file:  # `read_table` imports pandas
                # A file that an earlier version sealed may lack columns that the log has now.
                part = with_columns(file.read(columns=rows.column_names), rows.schema)
            stamp = part[TABLES[table].time]
            near = pc.and_(pc.greater_equal(stamp, first_us), pc.less_equal(stamp, last_us))
            sealed.update(_keys(part.filter(near)))
    if not sealed:
        return rows
    return rows.filter(column([key not in sealed for key in _keys(rows)], pa.bool_()))


def _keys(rows: pa.Table) -> list[str]:
    """Return each row as text, since Arrow's joins cannot compare lists."""
    return [repr(row) for row in rows.to_pylist()]
