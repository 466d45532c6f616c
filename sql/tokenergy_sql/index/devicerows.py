"""What was recorded of devices, without rows that only repeat the one before.

In: rows of `device`. Out: those that say something new.

A daemon that starts records each board again, so after a year most rows repeat what is known. What
models see of an hour does not depend on when, or how often, the same was recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenergy_collectors.lake import Lake

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_ORDER = ("device_id", "ts_us", "node")


def read_devices(lake: Lake) -> list[dict[str, Any]]:
    """Return the rows of `device` of a lake that do not repeat the device's row before them."""
    found: list[dict[str, Any]] = news(lake.read("device")).to_pylist()
    return found


def news(rows: pa.Table) -> pa.Table:
    """Return the rows that differ from the device's row before them, but for the stamp.

    Rows of one device and stamp all stay: which of them counts depends on the others.
    """
    import numpy as np

    if not len(rows):
        return rows
    rows = rows.sort_by([(name, "ascending") for name in _ORDER]).combine_chunks()
    facts = [name for name in rows.column_names if name != "ts_us"]
    differs = np.logical_or.reduce([_changes(rows[name]) for name in facts])
    together = ~(_changes(rows["device_id"]) | _changes(rows["ts_us"]))
    chosen = np.ones(len(rows), bool)
    chosen[1:] = differs | together
    chosen[:-1] |= together
    return rows.take(np.flatnonzero(chosen))


def _changes(column: pa.ChunkedArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return for each value but the first whether it differs from the one before."""
    import pyarrow.compute as pc

    one, before = column.slice(1), column.slice(0, len(column) - 1)
    unequal = pc.not_equal(one, before).fill_null(fill_value=False)
    either = pc.xor(one.is_valid(), before.is_valid())
    found: np.ndarray[tuple[int], np.dtype[np.bool_]] = pc.or_(unequal, either).to_numpy()
    return found
