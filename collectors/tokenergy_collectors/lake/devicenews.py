"""What was recorded of devices, without rows that only repeat the one before.

In: rows of `device`. Out: those that say something new.

A daemon that starts records each board again, so after a year most rows repeat what is known. What
is derived of an hour, or checked, does not depend on when, or how often, the same was recorded.

`cache/devices/KEY.parquet` has them; KEY is a digest of the names of the raw files, which are never
rewritten. The folder may be removed at any time; a lake that cannot be written has none.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import DEVICE
from tokenergy_collectors.lake.folders import Day
from tokenergy_collectors.lake.paths import SUFFIX
from tokenergy_collectors.lake.reading import BrokenFileError, read_columns
from tokenergy_collectors.lake.writing import write_parquet

if TYPE_CHECKING:
    import pyarrow as pa

    from tokenergy_collectors.lake.lake import Lake

FOLDER = "cache/devices"

_ORDER = ("device_id", "ts_us", "node")

_MANY = 1_000
"""Fewer rows are read as fast as what is kept."""

_KEPT_S = 86_400.0
"""A file is kept so long after another one took its place."""


def read_news(lake: Lake) -> pa.Table:
    """Return the rows of `device` of a lake that do not repeat the device's row before them.

    They are sorted by device, stamp and node.
    """
    days = lake.days(DEVICE.name)
    path = _path(lake.root, days)
    with suppress(FileNotFoundError, NotADirectoryError, BrokenFileError, UserError):
        return read_columns(path, DEVICE, DEVICE.column_names)
    rows = lake.read(DEVICE.name)
    found = news(rows)
    # Files may have come meanwhile, or gone to quarantine.
    if len(rows) >= _MANY and lake.days(DEVICE.name, again=True) == days:
        with suppress(OSError, UserError):
            write_parquet(found, path, DEVICE)
            _remove_older(path)
    return found


def news(rows: pa.Table) -> pa.Table:
    """Return the rows that differ from the device's row before them, but for the stamp.

    Rows of one device and stamp all stay, and so does the row after them: which of them counts
    depends on the others.
    """
    if not len(rows):
        return rows
    rows = rows.sort_by([(name, "ascending") for name in _ORDER]).combine_chunks()
    facts = [name for name in rows.column_names if name != "ts_us"]
    differs = np.logical_or.reduce([_changes(rows[name]) for name in facts])
    together = ~(_changes(rows["device_id"]) | _changes(rows["ts_us"]))
    chosen = np.ones(len(rows), bool)
    chosen[1:] = differs | together
    chosen[:-1] |= together
    chosen[2:] |= together[:-1]
    return rows.take(np.flatnonzero(chosen))


def _changes(column: pa.ChunkedArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return for each value but the first whether it differs from the one before."""
    import pyarrow.compute as pc

    one, before = column.slice(1), column.slice(0, len(column) - 1)
    unequal = pc.not_equal(one, before).fill_null(fill_value=False)
    either = pc.xor(one.is_valid(), before.is_valid())
    found: np.ndarray[tuple[int], np.dtype[np.bool_]] = pc.or_(unequal, either).to_numpy()
    return found


def _path(root: Path, days: Sequence[Day]) -> Path:
    code = resources.files(__package__).joinpath("devicenews.py").read_text("utf-8")
    of_days = [(day.name, day.digest) for day in days]
    text = json.dumps([hashlib.sha256(code.encode()).hexdigest(), repr(DEVICE), of_days])
    return root / FOLDER / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}{SUFFIX}"


def _remove_older(path: Path) -> None:
    """Remove what was kept before; not what another process may just be reading."""
    for older in path.parent.glob(f"[!.]*{SUFFIX}"):
        if older != path and older.stat().st_mtime < time.time() - _KEPT_S:
            older.unlink(missing_ok=True)
