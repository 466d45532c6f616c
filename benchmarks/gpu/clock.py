"""Times on the device and on the host, and the machine they belong to."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any


def on_device(work: Callable[[], Any], runs: int) -> float:
    """Return the median time of some runs in seconds, between two events on the current stream.

    One run before is not counted: it compiles and fills caches.
    """
    import cupy

    work()
    times = []
    for _ in range(runs):
        begin, end = cupy.cuda.Event(), cupy.cuda.Event()
        begin.record()
        work()
        end.record()
        end.synchronize()
        times.append(float(cupy.cuda.get_elapsed_time(begin, end)) / 1e3)
    return statistics.median(times)


def on_host(work: Callable[[], Any], runs: int) -> float:
    """Return the median time of some runs in seconds; one run before is not counted."""
    work()
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def machine() -> dict[str, Any]:
    """Return the device, its driver and runtime, the host and the date."""
    import cupy

    runtime = cupy.cuda.runtime
    device = runtime.getDeviceProperties(cupy.cuda.Device().id)
    return {
        "device": device["name"].decode(),
        "multiprocessors": device["multiProcessorCount"],
        "memory_bytes": runtime.memGetInfo()[1],
        "cuda_driver": runtime.driverGetVersion(),
        "cuda_runtime": runtime.runtimeGetVersion(),
        "cupy": cupy.__version__,
        "nvidia_driver": _driver(),
        "cpu": platform.processor() or platform.machine(),
        "cpu_cores": os.cpu_count(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _driver() -> str | None:
    """Return the driver's version from NVML; None where there is no NVML."""
    import pynvml

    from tokenergy_collectors.sources.nvml.calls import or_none

    or_none(pynvml.nvmlInit)
    version = or_none(pynvml.nvmlSystemGetDriverVersion)  # None too if NVML did not start
    return None if version is None else str(version)
