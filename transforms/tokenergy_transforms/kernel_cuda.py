"""The segment kernels on CUDA devices: `segments.cu`, compiled by CuPy and fed shard by shard.

In: a `Batch` in host memory. Out: a `Result` in host memory, equal to the CPU's to the bit. The
batch may be larger than the memory of the device: see `cuda/plan.py` for how it is cut,
`cuda/feed.py` for how the shards get there, `cuda/lanes.py` for which kernel takes which segments.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import Any, TypeVar

from tokenergy_collectors.lake.contract import BOUNDS
from tokenergy_transforms.batch import Batch, Result
from tokenergy_transforms.cuda import feed, plan
from tokenergy_transforms.cuda.lanes import Lane

SHARD_BYTES = 64 << 20
"""Device memory that a shard is given: long enough to hide the start of a copy, short enough that
the first and the last, which nothing overlaps, cost little."""

FREE_SHARE = 0.5
"""Share of a device's free memory that is used at most, if the caller sets no limit."""

_T = TypeVar("_T")


def integrate(
    batch: Batch,
    *,
    memory_bytes: int | None = None,
    ordinals: Sequence[int] | None = None,
    lane: Lane | None = None,
) -> Result:
    """Integrate all segments of a batch on one or several CUDA devices.

    Args:
        batch: readings and segments; see `Batch` for shapes and units. The segments of a device
            ascend and do not overlap.
        memory_bytes: limit of the device memory, and of the page-locked host memory, used for
            each CUDA device. Default: half of what is free on the device.
        ordinals: the CUDA devices that share the work. Default: the current one. The caller
            leaves out those that are being metered.
        lane: the lane of every segment, for tests. Default: the one that fits.

    Returns:
        One value a segment; see `Result`.

    Raises:
        UserError: one segment needs more memory than the limit allows.
        ValueError: a gap limit is beyond the contract's bound, which the arithmetic relies on.
    """
    import cupy

    result = Result.empty(len(batch.seg_start_us))
    if len(batch.seg_start_us) == 0:
        return result
    _check_gap_limits(batch)
    devices = list(ordinals) if ordinals else [cupy.cuda.Device().id]
    limits = [memory_bytes or _half_of_free(ordinal) for ordinal in devices]
    most = min(limits) // feed.SLOTS // plan.ALIGN * plan.ALIGN
    wanted = min(SHARD_BYTES, most, plan.aligned(plan.whole(batch).bytes // len(devices)))
    shards = _Shared(plan.shards(batch, wanted, most))

    def work(ordinal: int, limit: int) -> None:
        feed.feed(batch, iter(shards), result, ordinal, wanted, limit, lane)

    if len(devices) == 1:
        work(devices[0], limits[0])
    else:
        with ThreadPoolExecutor(len(devices)) as pool:
            list(pool.map(work, devices, limits))
    return result


def pinned(batch: Batch) -> Batch:
    """Return a copy of a batch in page-locked memory, which `integrate` copies from directly."""
    return Batch(**{f.name: _pinned_copy(getattr(batch, f.name)) for f in fields(Batch)})


def _pinned_copy(array: Any) -> Any:
    copy = feed.pinned_buffer(max(array.nbytes, 1))[: array.nbytes].view(array.dtype)
    copy[:] = array
    return copy


def _check_gap_limits(batch: Batch) -> None:
    most = BOUNDS["gap_limit_us"][1]
    if batch.gap_limit_us.max() > most:
        raise ValueError(f"gap_limit_us {batch.gap_limit_us.max():,}: expected at most {most:,}")


def _half_of_free(ordinal: int) -> int:
    import cupy

    with cupy.cuda.Device(ordinal):
        free, _total = cupy.cuda.runtime.memGetInfo()
    return int(free * FREE_SHARE)


class _Shared(Iterator[_T]):
    """An iterator that several threads take from."""

    def __init__(self, items: Iterator[_T]) -> None:
        self._items, self._lock = items, threading.Lock()

    def __next__(self) -> _T:
        with self._lock:
            return next(self._items)
