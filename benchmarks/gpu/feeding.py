"""Readings in host memory: the feeder against the bus, and from what size it beats the CPU.

In: readings. Out: bandwidth of a copy from page-locked memory and the feeder's share of it; times
of CUDA (copies included) and of the CPU on 2 and on all cores, by number of readings.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.gpu import clock
from benchmarks.integration import workload
from tokenergy_transforms import kernel_cpu, kernel_cuda
from tokenergy_transforms.batch import Batch
from tokenergy_transforms.cuda import feed


def bus_bytes_s(nbytes: int, runs: int) -> float:
    """Return the bandwidth of a copy from page-locked host memory to the device."""
    import cupy

    runtime = cupy.cuda.runtime
    origin, target = feed.pinned_buffer(nbytes), cupy.empty(nbytes, "u1")
    stream = cupy.cuda.Stream()

    def copy() -> None:
        kind = runtime.memcpyHostToDevice
        runtime.memcpyAsync(target.data.ptr, origin.ctypes.data, nbytes, kind, stream.ptr)

    with stream:
        seconds = clock.on_device(copy, runs)
    return nbytes / seconds


def pipeline(work: workload.Workload, windows_us: list[int], runs: int) -> list[dict[str, Any]]:
    """Return the feeder's rate by window size, from page-locked and from ordinary memory."""
    found = []
    for window_us in windows_us:
        batch = work.batch(window_us)
        nbytes = sum(a.nbytes for a in batch.arrays())
        bus = bus_bytes_s(nbytes, runs)
        locked = kernel_cuda.pinned(batch)
        pinned_s = clock.on_host(partial(kernel_cuda.integrate, locked), runs)
        ordinary_s = clock.on_host(partial(kernel_cuda.integrate, batch), runs)
        found.append(
            {
                "readings": len(batch.ts_us),
                "readings_a_window": round(len(batch.ts_us) / len(batch.seg_start_us)),
                "bytes_in": nbytes,
                "bus_bytes_s": bus,
                "pinned_s": pinned_s,
                "pinned_share_of_bus": nbytes / pinned_s / bus,
                "ordinary_s": ordinary_s,
                "ordinary_share_of_bus": nbytes / ordinary_s / bus,
            }
        )
    return found


def break_even(sizes: list[int], window_us: int, runs: int) -> list[dict[str, Any]]:
    """Return times of CUDA and of the CPU by number of readings, from ordinary memory."""
    found = []
    for size in sizes:
        batch = workload.make(max(1, size // 36_000), size).batch(window_us)
        cuda_s = clock.on_host(partial(kernel_cuda.integrate, batch), runs)
        row: dict[str, Any] = {"readings": len(batch.ts_us), "cuda_s": cuda_s}
        for cores in sorted({min(2, _cores()), min(16, _cores()), _cores()}):
            seconds = clock.on_host(_on_cores(cores, batch), runs)
            row[f"cpu_{cores}_cores_s"] = seconds
            row[f"times_cpu_{cores}_cores"] = seconds / cuda_s
        found.append(row)
    return found


def _cores() -> int:
    import numba

    # numba sets it when it is imported, so types do not know it.
    # numba sets this name when it is imported, so its types do not have it.
    return min(os.cpu_count() or 1, int(numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]


def _on_cores(cores: int, batch: Batch) -> Callable[[], None]:
    import numba

    def work() -> None:
        before = numba.get_num_threads()
        numba.set_num_threads(cores)
        try:
            kernel_cpu.integrate(batch)
        finally:
            numba.set_num_threads(before)

    return work
