"""Shows that CUDA and CPU give the same segments, to the bit, on millions of random readings.

Run on a machine with a CUDA device: `make gpu-check`. Prints the machine, both times and the
verdict; exit code 0 if every bit agrees, 1 if not, 2 if there is no device. With an argument the
figures are also written there as JSON.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from benchmarks.random_batch import random_batch
from tokenergy_transforms import choice, kernel_cpu
from tokenergy_transforms.batch import Batch, Result

CASES = {
    "10 readings a window": {"devices": 400, "readings": 30_000},
    "100 readings a window": {"devices": 8, "readings": 1_000_000, "period_us": 10_000},
    "1,000 readings a window": {"devices": 8, "readings": 1_000_000, "period_us": 1_000},
    "extreme powers": {"devices": 100, "readings": 30_000, "max_mw": 2**31 - 1},
}
_RUNS = 5


def main() -> int:
    """Compare the back ends and return the exit code."""
    why = choice.cuda_unusable()
    if why is not None:
        print(f"gpu-check: {why}", file=sys.stderr)
        return 2
    from tokenergy_transforms import kernel_cuda

    machine = _machine()
    print(f"machine: {machine}")
    cases: list[dict[str, object]] = []
    for seed, (name, sizes) in enumerate(CASES.items()):
        batch = random_batch(seed, **sizes)
        cpu, cpu_s = _timed(kernel_cpu.integrate, batch)
        cuda, cuda_s = _timed(kernel_cuda.integrate, batch)
        differing = [f.name for f in fields(Result) if _bits(cpu, f.name) != _bits(cuda, f.name)]
        case = {
            "case": name,
            "readings": len(batch.ts_us),
            "segments": len(batch.seg_start_us),
            "cpu_s": cpu_s,
            "cuda_with_transfers_s": cuda_s,
            "differing_columns": differing,
        }
        cases.append(case)
        verdict = "identical" if not differing else f"DIFFER in {', '.join(differing)}"
        print(
            f"{name}: {case['readings']:,} readings, {case['segments']:,} segments, "
            f"CPU {cpu_s:.3f} s, CUDA {cuda_s:.3f} s (with transfers): {verdict}"
        )
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(
            json.dumps({"machine": machine, "cases": cases}, indent=1) + "\n"
        )
    same = not any(case["differing_columns"] for case in cases)
    print("gpu-check: every bit agrees" if same else "gpu-check: FAILED")
    return 0 if same else 1


def _timed(integrate: Callable[[Batch], Result], batch: Batch) -> tuple[Result, float]:
    """Run once to compile, then take the median of some runs in seconds."""
    result = integrate(batch)
    times = []
    for _ in range(_RUNS):
        begin = time.perf_counter()
        integrate(batch)
        times.append(time.perf_counter() - begin)
    return result, statistics.median(times)


def _bits(result: Result, name: str) -> bytes:
    return bytes(getattr(result, name).tobytes())


def _machine() -> str:
    import os

    import cupy

    device = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    driver = cupy.cuda.runtime.driverGetVersion()
    name = device["name"].decode()
    return f"{name}, CUDA driver {driver}, CuPy {cupy.__version__}, {os.cpu_count()} CPU cores"


if __name__ == "__main__":
    sys.exit(main())
