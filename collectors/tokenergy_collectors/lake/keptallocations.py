"""Allocations as they were worked out before, kept in the lake's cache.

In: a lake, and the function that works its allocations out. Out: their rows.

To work them out takes the rows of all jobs and devices of all time. `cache/allocations/KEY.parquet`
has the result; KEY is a digest of the names of the raw files, which are never rewritten, and of the
code. The folder may be removed at any time; a lake that cannot be written has none.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import JOBS, Column, Table
from tokenergy_collectors.lake.folders import days
from tokenergy_collectors.lake.paths import SUFFIX
from tokenergy_collectors.lake.reading import BrokenFileError, read_columns
from tokenergy_collectors.lake.writing import write_parquet

if TYPE_CHECKING:
    import pyarrow as pa

    from tokenergy_collectors.lake.lake import Lake

FOLDER = "cache/allocations"

ALLOCATION = Table(
    name="allocation",
    layer="derived",
    row="one allocation of one board to one job",
    sort=("device_id", "start_us", "job_id"),
    time="start_us",
    columns=(
        *JOBS.columns,
        Column("mig_id", "string", "the MIG instance that the job held", nullable=True),
        Column("share_estimated", "bool", "the instance's share was not recorded"),
    ),
)

_MANY = 1_000
"""Fewer rows are worked out as fast as they are read."""

_KEPT_S = 86_400.0
"""A file is kept so long after another one took its place."""

_SOURCES = (
    "allocations.py",
    "corrections.py",
    "devicehistory.py",
    "devicenames.py",
    "jobkey.py",
    "keptallocations.py",
    "nodenames.py",
)
"""The code that the rows depend on."""


def kept(
    lake: Lake, work_out: Callable[[Lake], pa.Table], columns: Sequence[str] | None = None
) -> pa.Table:
    """Return the allocations of a lake: those that are kept if they are of the same raw files.

    Args:
        lake: the lake.
        work_out: returns its allocations; columns and order as in `ALLOCATION`.
        columns: only these columns.
    """
    names = [*(columns or ALLOCATION.column_names)]
    path = _path(lake)
    try:
        return read_columns(path, ALLOCATION, names)
    except (FileNotFoundError, NotADirectoryError, UserError):
        pass
    except BrokenFileError:
        with suppress(OSError):
            path.unlink(missing_ok=True)
    rows = work_out(lake)
    # Files may have come meanwhile, or gone to quarantine.
    if len(rows) >= _MANY and _path(lake) == path:
        with suppress(UserError, OSError):
            write_parquet(rows, path, ALLOCATION)
            _remove_older(path)
    return rows.select(names)


def _path(lake: Lake) -> Path:
    files = [[(day.name, day.digest) for day in days(lake.root, name)] for name in _TABLES]
    key = hashlib.sha256(json.dumps([_version(), files]).encode()).hexdigest()[:32]
    return lake.root / FOLDER / f"{key}{SUFFIX}"


_TABLES = ("jobs", "device")


@cache
def _version() -> str:
    """Return a digest of what the rows depend on besides the files."""
    digest = hashlib.sha256(repr(ALLOCATION).encode())
    folder = resources.files(__package__)
    for name in _SOURCES:
        digest.update(folder.joinpath(name).read_bytes())
    return digest.hexdigest()


def _remove_older(path: Path) -> None:
    """Remove what was kept before; not what another process may just be reading."""
    for older in path.parent.glob(f"*{SUFFIX}"):
        if older != path and older.stat().st_mtime < time.time() - _KEPT_S:
            older.unlink(missing_ok=True)
