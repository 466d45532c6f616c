"""One hour of segments as flat arrays in the order of devices.

In: the `segment` files of an hour, one a node. Out: the columns that booking needs, each device's
rows next to one another and ascending. The devices of a node are not neighbours in that order, so
the hour is held whole: about 100 bytes a segment.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import SEGMENT
from tokenergy_collectors.lake.reading import BrokenFileError, RawFile
from tokenergy_transforms.anomalies import TEXTS
from tokenergy_transforms.batch import I32, I64, NONE

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBERS = (
    "start_us", "end_us", "covered_us", "max_gap_us", "energy_nj", "counter_nj", "counter_off_us",
    "min_mw", "max_mw", "end_mw", "sparse_us", "doubt_nj",
)  # fmt: skip
_TEXTS = ("device_id", "node")
_COLUMNS = (*_NUMBERS, "reasons")
_DOUBTS = ("sparse_us", "doubt_nj")
_RARE = (*_DOUBTS, "reasons")
"""Columns that few files have a value in: where one has none, the column is not read."""

_THREADS = os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Hour:
    """n segments of D devices; of a nullable column `NONE` means NULL.

    Attributes:
        devices: the D device_ids, sorted.
        nodes: names of nodes.
        offsets: int64[D + 1]; segments of device d are offsets[d]:offsets[d + 1].
        node: int32[n], places in `nodes`.
        start_us, end_us, covered_us, max_gap_us, energy_nj: int64[n].
        counter_nj, counter_off_us: int64[n], nullable.
        min_mw, max_mw, end_mw: int32[n], nullable.
        sparse_us, doubt_nj: int64[n], 0 where there is none.
        reasons: int32[n], bits of `anomalies.REASONS`.
    """

    devices: list[str]
    nodes: list[str]
    offsets: I64
    node: I32
    start_us: I64
    end_us: I64
    covered_us: I64
    max_gap_us: I64
    energy_nj: I64
    counter_nj: I64
    counter_off_us: I64
    min_mw: I32
    max_mw: I32
    end_mw: I32
    sparse_us: I64
    doubt_nj: I64
    reasons: I32


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring rows of one device and node in one piece."""

    device: str
    node: str
    piece: int
    first: int
    last: int


def read_hour(lake: Lake, hour_us: int) -> Hour:
    """Read the segments of an hour.

    Raises:
        UserError: a file is damaged or cannot be reached.
    """

    def read(path: Path) -> list[pa.Table]:
        try:
            with RawFile(path, SEGMENT, (*_TEXTS, "reasons")) as file:
                names = (*_TEXTS, *_COLUMNS)
                return [
                    file.read(group.number, [name for name in names if name not in group.empty])
                    for group in file.groups(_RARE)
                ]
        except BrokenFileError as error:
            lake.quarantine(path, SEGMENT, str(error))
            return []

    paths = lake.files("segment", [hour_us])
    with ThreadPoolExecutor(_THREADS) as pool:
        pieces = [piece for found in pool.map(read, paths) for piece in found if len(piece)]
    runs = [run for number, piece in enumerate(pieces) for run in _runs(number, piece)]
    return _ordered(_gather(pieces, sorted(runs, key=lambda run: run.device)))


def each_device(hour: Hour, task: Callable[[int], None]) -> None:
    """Run a task that the interpreter's lock does not hold for each device, on all cores."""
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(task, range(len(hour.devices))):
            pass


def _runs(number: int, piece: pa.Table) -> list[_Run]:
    """Return where the device or the node changes inside a piece."""
    places, texts = [], []
    for name in _TEXTS:
        column = piece[name].combine_chunks()
        places.append(column.indices.to_numpy())
        texts.append(column.dictionary.to_pylist())
    device, node = places
    changes = np.flatnonzero((np.diff(device) != 0) | (np.diff(node) != 0)) + 1
    bounds = [0, *changes.tolist(), len(piece)]
    return [
        _Run(texts[0][device[first]], texts[1][node[first]], number, first, last)
        for first, last in itertools.pairwise(bounds)
    ]


def _gather(pieces: list[pa.Table], runs: list[_Run]) -> Hour:
    """Return the rows of the runs, in their order."""
    devices = sorted({run.device for run in runs})
    nodes = sorted({run.node for run in runs})
    sizes = np.array([run.last - run.first for run in runs], np.int64)
    ends = np.cumsum(sizes)
    place = {device: number for number, device in enumerate(devices)}
    counts = np.zeros(len(devices) + 1, np.int64)
    np.add.at(counts, [place[run.device] + 1 for run in runs], sizes)

    def gathered(name: str) -> np.ndarray:
        parts = [
            _values(piece[name], name) if name in piece.schema.names else None for piece in pieces
        ]
        whole = (np.zeros if name in _RARE else np.empty)(sizes.sum(), _dtype(name))
        for run, end in zip(runs, ends.tolist(), strict=True):
            if (part := parts[run.piece]) is not None:
                whole[end - (run.last - run.first) : end] = part[run.first : run.last]
        return whole

    with ThreadPoolExecutor(_THREADS) as pool:
        columns = dict(zip(_COLUMNS, pool.map(gathered, _COLUMNS), strict=True))
    codes = np.array([nodes.index(run.node) for run in runs], np.int32)
    return Hour(devices, nodes, np.cumsum(counts), np.repeat(codes, sizes), **columns)


def _dtype(name: str) -> np.dtype[Any]:
    if name == "reasons":
        return np.dtype(np.int32)
    found: np.dtype[Any] = np.dtype(SEGMENT.schema().field(name).type.to_pandas_dtype())
    return found


def _values(column: pa.ChunkedArray, name: str) -> np.ndarray:
    if name == "reasons":
        return _bits(column)
    missing = 0 if name in _DOUBTS else NONE
    values: np.ndarray = column.combine_chunks().fill_null(missing).to_numpy(zero_copy_only=False)
    return values


def _bits(column: pa.ChunkedArray) -> I32:
    """Return reason codes as bits."""
    codes = column.combine_chunks()
    texts = [TEXTS.index(text) for text in codes.dictionary.to_pylist()]
    found: I32 = np.array([*texts, 0], np.int32)[codes.indices.fill_null(-1).to_numpy()]
    return found


def _ordered(hour: Hour) -> Hour:
    """Return the hour with ascending starts in each device: a device may have been on two nodes."""
    device = np.repeat(np.arange(len(hour.devices)), np.diff(hour.offsets))
    falls = (np.diff(hour.start_us) < 0) & (np.diff(device) == 0)
    if not falls.any():
        return hour
    order = np.lexsort((hour.start_us, device))
    columns = {name: getattr(hour, name)[order] for name in ("node", *_COLUMNS)}
    return Hour(hour.devices, hour.nodes, hour.offsets, **columns)
