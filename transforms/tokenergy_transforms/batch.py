"""What the kernels take and return: flat arrays for the devices of one node and hour.

Both back ends (`kernel_cpu`, `kernel_cuda`) map a `Batch` to a `Result`; equal batches give equal
bits. All stamps are int64 microseconds UTC, powers int32 mW, counters int64 mJ.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]

NONE = -1
"""NULL in the integer results; no other result is negative."""

COUNTER_SPAN_US = 3_000_000_000
"""Longest time between two counter readings over which energy is interpolated. Its square fits 63
bits."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings, counter readings and segments of D devices.

    Attributes:
        ts_us: int64[n], strictly ascending inside a device.
        power_mw: int32[n].
        offsets: int64[D + 1]; readings of device d are offsets[d]:offsets[d + 1].
        counter_ts_us: int64[m], strictly ascending inside a device.
        counter_mj: int64[m].
        counter_epoch: int32[m]; inside an epoch the counter never falls.
        counter_offsets: int64[D + 1].
        gap_limit_us: int64[D]; neighbouring readings further apart leave their time uncovered.
        seg_device: int32[S], ascending.
        seg_start_us: int64[S].
        seg_end_us: int64[S], greater than seg_start_us.
    """

    ts_us: I64
    power_mw: I32
    offsets: I64
    counter_ts_us: I64
    counter_mj: I64
    counter_epoch: I32
    counter_offsets: I64
    gap_limit_us: I64
    seg_device: I32
    seg_start_us: I64
    seg_end_us: I64

    def arrays(self) -> list[np.ndarray]:
        """Return the arrays in the order of the fields, as the kernels take them."""
        return [getattr(self, f.name) for f in fields(self)]


@dataclass(frozen=True, slots=True)
class Anomalies:
    """Spans of time that something is wrong with, n each.

    Attributes:
        device: int32[n], places of the devices.
        from_us, to_us: int64[n], from the reading kept before to the one kept after; the stamp
            itself where there is none.
        bit: int32[n], the reason.
    """

    device: I32
    from_us: I64
    to_us: I64
    bit: I32


def no_anomalies() -> Anomalies:
    """Return no spans."""
    empty = np.empty(0, np.int64)
    return Anomalies(empty.astype(np.int32), empty, empty, empty.astype(np.int32))


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings and counter readings of D devices, in the order of `devices`; see `Batch`.

    Attributes:
        anomalies: where readings were left out or averaged.
        spread_mw: int32[n], how far each averaged reading may be off; None if none was averaged.
    """

    devices: list[str]
    ts_us: I64
    power_mw: I32
    offsets: I64
    counter_ts_us: I64
    counter_mj: I64
    counter_epoch: I32
    counter_offsets: I64
    anomalies: Anomalies = field(default_factory=no_anomalies)
    spread_mw: I32 | None = None

    def batch(self, gap_limit_us: I64, segments: tuple[I32, I64, I64]) -> Batch:
        """Return the batch of these readings, gap limits int64[D] and segments (see `cuts`)."""
        values = {name: getattr(self, name) for name in _OF_READINGS}
        device, start_us, end_us = segments
        return Batch(
            **values,
            gap_limit_us=gap_limit_us,
            seg_device=device,
            seg_start_us=start_us,
            seg_end_us=end_us,
        )


_OF_READINGS = tuple(f.name for f in fields(Batch) if f.name in Readings.__slots__)


@dataclass(frozen=True, slots=True)
class Result:
    """One value a segment, S each; NONE where the contract has NULL.

    `mean_mw` is NaN where nothing is covered. Percentiles are nearest rank: of n ascending
    readings the one at place ceil(q n / 100), counted from 1.
    """

    readings: I32
    covered_us: I64
    max_gap_us: I64
    energy_nj: I64
    min_mw: I32
    mean_mw: F64
    max_mw: I32
    p50_mw: I32
    p95_mw: I32
    p99_mw: I32
    rise_mw_s: I64
    fall_mw_s: I64
    counter_nj: I64
    counter_off_us: I64

    @classmethod
    def empty(cls, segments: int) -> Result:
        """Return uninitialised arrays for a number of segments, in the order of the fields.

        They share one allocation, which the system maps in large pages. The page faults of fourteen
        small arrays would take longer than the integration.
        """
        dtypes = {f.name: _dtype(f.name) for f in fields(cls)}
        wide_first = sorted(dtypes, key=lambda name: -dtypes[name].itemsize)
        block = np.empty(segments * sum(dtype.itemsize for dtype in dtypes.values()), np.uint8)
        arrays, begin = {}, 0
        for name in wide_first:
            end = begin + segments * dtypes[name].itemsize
            arrays[name] = block[begin:end].view(dtypes[name])
            begin = end
        return cls(**arrays)

    def arrays(self) -> list[np.ndarray]:
        """Return the arrays in the order of the fields, as the kernels take them."""
        return [getattr(self, f.name) for f in fields(self)]


def _dtype(name: str) -> np.dtype[Any]:
    """Return the type of a column of `Result`."""
    if name == "mean_mw":
        return np.dtype(np.float64)
    wide = name.endswith(("_us", "_nj", "_s"))
    return np.dtype(np.int64 if wide else np.int32)
