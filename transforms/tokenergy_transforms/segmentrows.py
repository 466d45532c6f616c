"""Segments as rows of the lake's `segment` table.

In: a batch and its result. Out: an Arrow table in the order of the contract's columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tokenergy_collectors.lake.contract import SEGMENT
from tokenergy_transforms.anomalies import TEXTS
from tokenergy_transforms.batch import I32, NONE, Batch, Result
from tokenergy_transforms.doubts import Doubts

if TYPE_CHECKING:
    import pyarrow as pa

_NULLABLE = frozenset(column.name for column in SEGMENT.columns if column.nullable)


def to_table(
    batch: Batch, result: Result, doubts: Doubts, devices: list[str], node: str
) -> pa.Table:
    """Return segments as rows of the contract's `segment` table, texts as dictionaries.

    Args:
        batch: S segments of D devices.
        result: their figures.
        doubts: what is doubtful of them.
        devices: the D device_ids.
        node: the node's name.
    """
    import pyarrow as pa

    from tokenergy_transforms.cpu.edges import power_at_right_cuts

    count = len(batch.seg_start_us)
    end_mw = np.empty(count, np.int32)
    power_at_right_cuts(
        batch.ts_us,
        batch.power_mw,
        batch.offsets,
        batch.gap_limit_us,
        batch.seg_device,
        batch.seg_end_us,
        end_mw,
    )
    columns = {
        "device_id": _texts(devices, batch.seg_device),
        "node": _texts([node], np.zeros(count, np.int32)),
        "start_us": pa.array(batch.seg_start_us),
        "end_us": pa.array(batch.seg_end_us),
        "end_mw": _column("end_mw", end_mw),
        **{name: _column(name, getattr(result, name)) for name in Result.__slots__},
        "sparse_us": _rare(doubts.sparse_us, pa.int64(), count),
        "doubt_nj": _rare(doubts.doubt_nj, pa.int64(), count),
        "reasons": _reasons(doubts.reasons, count),
    }
    names = SEGMENT.column_names
    return pa.Table.from_arrays([columns[name] for name in names], names=names)


def _texts(texts: list[str], places: I32) -> pa.Array:
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(places), pa.array(texts, pa.string()))


def _rare(values: np.ndarray | None, type_: pa.DataType, count: int) -> pa.Array:
    """Return a column that is NULL where it would be 0."""
    import pyarrow as pa

    return pa.nulls(count, type_) if values is None else pa.array(values, mask=values == 0)


def _reasons(bits: I32 | None, count: int) -> pa.Array:
    import pyarrow as pa

    places = _rare(bits, pa.int32(), count)
    return pa.DictionaryArray.from_arrays(places, pa.array(TEXTS, pa.string()))


def _column(name: str, values: np.ndarray) -> pa.Array:
    """Return a column, NULL where the value is missing; without a copy where none is."""
    import pyarrow as pa

    if name not in _NULLABLE:
        return pa.array(values)
    missing = np.isnan(values) if values.dtype == np.float64 else values == NONE
    return pa.array(values, mask=missing if missing.any() else None)
