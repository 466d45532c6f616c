"""What a benchmark ran on, and how fast this machine reads memory.

In: nothing. Out: model of the processor, cores, versions; bytes a second that all cores read. Every
benchmark of the integration prints both, because figures of one machine say little about another.
"""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

_LIBRARIES = ("numpy", "numba", "pyarrow", "duckdb", "polars")


def machine() -> dict[str, Any]:
    """Return processor, cores, memory and versions of this machine, and the date."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _LIBRARIES},
    }


def line(of: dict[str, Any]) -> str:
    """Return the machine in one line."""
    versions = ", ".join(f"{name} {of[name]}" for name in ("python", *_LIBRARIES))
    return f"{of['cpu']}, {of['cores']} cores, {of['memory_gib']} GiB; {versions}; {of['date']}"


def cpu_model() -> str:
    """Return the processor's name as the kernel reports it."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = [row.partition(":")[2].strip() for row in text.splitlines() if "model name" in row]
    return names[0] if names else platform.machine()


def read_bandwidth(gib: float = 1.0, runs: int = 5) -> float:
    """Return how many bytes a second all cores read together, at best of some runs."""
    from numba import njit, prange

    @njit(parallel=True)
    def total(values, block):  # type: ignore[no-untyped-def]
        found = np.int64(0)
        for part in prange((len(values) + block - 1) // block):
            s = values[part * block : (part + 1) * block]
            one = np.int64(0)
            for i in range(len(s)):
                one += s[i]
            found += one
        return found

    values = np.ones(int(gib * 2**27), np.int64)
    best_s = float("inf")
    for _ in range(runs + 1):
        begin = time.perf_counter()
        if int(total(values, 1 << 16)) != len(values):
            raise AssertionError("the sum of ones is not their number")
        best_s = min(best_s, time.perf_counter() - begin)
    return values.nbytes / best_s
