"""Feeds one CUDA device: reading, copying and integrating overlap, in bounded memory.

In: shards of a batch, one after the other. Out: their results, written into the whole result.

A slot is a stream with one buffer of device memory and one of page-locked host memory, both of the
same layout: the arrays of the shard's batch, then those of its result. While the shard of one slot
is integrated, the next one is being copied and the host fills the third. Arrays that are already
page-locked (see `kernel_cuda.pinned`) are copied directly.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import cycle
from typing import Any

import numpy as np

from tokenergy_transforms.batch import Batch, Result
from tokenergy_transforms.cuda.lanes import LANES, Lane, Launch, launches
from tokenergy_transforms.cuda.plan import Shard, aligned, cut, put
from tokenergy_transforms.cuda.source import OPTIONS, source

SLOTS = 3
_PIECE_BYTES = 4 << 20
_STAGING_THREADS = min(8, os.cpu_count() or 1)


@cache
def _kernels(_ordinal: int) -> dict[str, Any]:
    """Return the kernels on the current device; CuPy keeps the compiled text on disk."""
    import cupy

    module = cupy.RawModule(code=source(), options=OPTIONS)
    return {lane.kernel: module.get_function(lane.kernel) for lane in LANES}


@cache
def _turn(_ordinal: int) -> threading.Lock:
    return threading.Lock()


@cache
def _copiers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_STAGING_THREADS, thread_name_prefix="staging")


_staging: dict[tuple[int, int], Any] = {}
"""Page-locked memory by device and slot, kept between calls: locking pages is slow."""


def pinned_buffer(nbytes: int) -> Any:
    """Return page-locked memory as uint8[nbytes]; it is freed with the last view of it."""
    from cupy.cuda import pinned_memory

    memory = pinned_memory.PinnedMemoryPointer(pinned_memory.PinnedMemory(nbytes), 0)
    return np.frombuffer(memory, np.uint8, nbytes)


def run_kernel(ordinal: int, launch: Launch, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    """Launch a kernel on the current stream, on arrays in the memory of the current device."""
    part = slice(launch.begin, launch.end)
    _kernels(ordinal)[launch.lane.kernel](
        (launch.blocks,),
        (launch.lane.threads,),
        (
            *inputs[:8],
            *(a[part] for a in inputs[8:]),
            np.int64(launch.end - launch.begin),
            *(a[part] for a in outputs),
        ),
    )


def feed(
    batch: Batch,
    shards: Iterator[Shard],
    result: Result,
    ordinal: int,
    slot_bytes: int,
    memory_bytes: int,
    lane: Lane | None,
) -> None:
    """Integrate shards on a CUDA device until there are no more.

    Args:
        batch: the whole batch.
        shards: of the batch, each of at most `memory_bytes` / `SLOTS` bytes.
        result: receives the result of every shard in its place.
        ordinal: the CUDA device.
        slot_bytes: size of a slot at first; a larger shard makes its slot grow.
        memory_bytes: limit of the device memory, and of the page-locked memory, held at a time.
        lane: the lane of every segment; None chooses.
    """
    import cupy

    with _turn(ordinal), cupy.cuda.Device(ordinal):
        pool = cupy.cuda.MemoryPool()
        pool.set_limit(size=memory_bytes)
        for number in range(SLOTS):  # buffers of an earlier call with a higher limit
            if len(_staging.get((ordinal, number), ())) > memory_bytes // SLOTS:
                del _staging[ordinal, number]
        slots = [_Slot(ordinal, number, slot_bytes, pool, lane) for number in range(SLOTS)]
        try:
            for shard, slot in zip(shards, cycle(slots)):
                slot.collect(result)
                slot.start(cut(batch, shard), shard)
            for slot in slots:
                slot.collect(result)
        finally:
            for slot in slots:
                slot.free()


class _Slot:
    """Buffers for one shard on its way; see the head of the file."""

    def __init__(
        self, ordinal: int, number: int, least_bytes: int, pool: Any, lane: Lane | None
    ) -> None:
        import cupy

        self._key, self._ordinal, self._pool, self._lane = (ordinal, number), ordinal, pool, lane
        self._least_bytes = least_bytes
        self._stream = cupy.cuda.Stream(non_blocking=True)
        self._device: Any = None
        self._shard: Shard | None = None
        self._result: Result | None = None

    def start(self, batch: Batch, shard: Shard) -> None:
        """Begin to copy, integrate and copy back one shard; returns before it is done."""
        self._reserve(shard.bytes)
        arrays = batch.arrays()
        host_result = Result.empty(0).arrays()
        sizes = [(a.dtype, len(a)) for a in arrays]
        sizes += [(a.dtype, shard.end - shard.begin) for a in host_result]
        host, device = _carve(_staging[self._key], sizes), _carve(self._device, sizes)
        inputs = len(arrays)
        self._copy_in(arrays, host[:inputs], device[:inputs])
        with self._stream:
            for launch in launches(batch.offsets, batch.seg_device, self._lane):
                run_kernel(self._ordinal, launch, device[:inputs], device[inputs:])
        self._copy_out(device[inputs:], host[inputs:])
        self._shard, self._result = shard, Result(*host[inputs:])

    def collect(self, result: Result) -> None:
        """Wait for the shard in this slot, if there is one; write its result into the whole."""
        if self._shard is None or self._result is None:
            return
        self._stream.synchronize()
        put(result, self._shard, self._result)
        self._shard = self._result = None

    def free(self) -> None:
        """Free the device memory, after any copy that an error left unfinished."""
        self._stream.synchronize()
        self._device = None
        self._pool.free_all_blocks()

    def _reserve(self, nbytes: int) -> None:
        import cupy

        nbytes = max(nbytes, self._least_bytes)
        if self._device is None or len(self._device) < nbytes:
            self.free()
            self._device = cupy.ndarray(nbytes, np.uint8, memptr=self._pool.malloc(nbytes))
        if len(_staging.get(self._key, ())) < nbytes:
            _staging.pop(self._key, None)
            _staging[self._key] = pinned_buffer(nbytes)

    def _copy_in(self, arrays: Sequence[Any], host: Sequence[Any], device: Sequence[Any]) -> None:
        from cupy.cuda import pinned_memory, runtime

        for source_array, staged, target in zip(arrays, host, device, strict=True):
            if source_array.nbytes == 0:
                continue
            origin = source_array
            if not (
                origin.flags.c_contiguous and pinned_memory.is_memory_pinned(origin.ctypes.data)
            ):
                _stage(staged, source_array)
                origin = staged
            runtime.memcpyAsync(
                target.data.ptr,
                origin.ctypes.data,
                origin.nbytes,
                runtime.memcpyHostToDevice,
                self._stream.ptr,
            )

    def _copy_out(self, device: Sequence[Any], host: Sequence[Any]) -> None:
        """Copy the results in one call: both buffers hold them one after the other."""
        from cupy.cuda import runtime

        begin, end = host[0].ctypes.data, host[-1].ctypes.data + host[-1].nbytes
        runtime.memcpyAsync(
            begin, device[0].data.ptr, end - begin, runtime.memcpyDeviceToHost, self._stream.ptr
        )


def _carve(buffer: Any, sizes: Sequence[tuple[Any, int]]) -> list[Any]:
    """Return views of a buffer, one after the other, of some types and lengths."""
    arrays, at = [], 0
    for dtype, length in sizes:
        nbytes = length * dtype.itemsize
        arrays.append(buffer[at : at + nbytes].view(dtype))
        at += aligned(nbytes)
    return arrays


def _stage(target: Any, array: Any) -> None:
    """Copy an array, a large one by several threads: one thread is slower than the bus."""
    step = _PIECE_BYTES // array.itemsize
    if len(array) <= step:
        target[:] = array
        return
    pieces = [slice(at, at + step) for at in range(0, len(array), step)]
    list(_copiers().map(lambda piece: np.copyto(target[piece], array[piece]), pieces))
