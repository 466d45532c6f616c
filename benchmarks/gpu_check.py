"""Verifies that CUDA and CPU give the same segments, to the bit, on millions of random readings.

Run on a machine with a CUDA device: `make gpu-check`. Every batch goes through the lanes that fit,
then through each lane alone, then in many small shards. Prints the machine, times and the verdict;
exit code 0 if every bit agrees, 1 if not, 2 if there is no device. With an argument the figures
are also written there as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from benchmarks.gpu import clock
from benchmarks.random_batch import random_batch
from tokenergy_transforms import choice, kernel_cpu
from tokenergy_transforms.batch import Batch, Result
from tokenergy_transforms.cuda.lanes import LANES

CASES: dict[str, dict[str, int]] = {
    "10 readings a window": {"devices": 400, "readings": 30_000},
    "100 readings a window": {"devices": 8, "readings": 1_000_000, "period_us": 10_000},
    "1,000 readings a window": {"devices": 8, "readings": 1_000_000, "period_us": 1_000},
    "extreme powers": {"devices": 100, "readings": 30_000, "max_mw": 2**31 - 1},
}
SHARDS = 20
_RUNS = 5


def main(arguments: list[str], cases: Mapping[str, dict[str, int]] | None = None) -> int:
    """Compare the back ends and return the exit code."""
    why = choice.cuda_unusable()
    if why is not None:
        print(f"gpu-check: {why}", file=sys.stderr)
        return 2
    machine = clock.machine()
    print(f"machine: {machine}")
    found = [
        _case(name, random_batch(seed, **sizes))
        for seed, (name, sizes) in enumerate((cases or CASES).items())
    ]
    if arguments:
        figures = {"machine": machine, "cases": found}
        Path(arguments[0]).write_text(json.dumps(figures, indent=1) + "\n")
    same = not any(case["differing_columns"] for case in found)
    print("gpu-check: every bit agrees" if same else "gpu-check: FAILED")
    return 0 if same else 1


def _case(name: str, batch: Batch) -> dict[str, Any]:
    """Integrate a batch on the CPU and in every way on CUDA; print and return what came out."""
    from tokenergy_transforms import kernel_cuda

    cpu = kernel_cpu.integrate(batch)
    nbytes = sum(a.nbytes for a in (*batch.arrays(), *cpu.arrays()))
    ways: dict[str, dict[str, Any]] = {
        "lanes that fit": {},
        **{lane.kernel: {"lane": lane} for lane in LANES},
        f"{SHARDS} shards": {"memory_bytes": max(nbytes // SHARDS * 3, 200_000)},
    }
    differing = {}
    for way, options in ways.items():
        columns = _differing(cpu, kernel_cuda.integrate(batch, **options))
        if columns:
            differing[way] = columns
    case = {
        "case": name,
        "readings": len(batch.ts_us),
        "segments": len(batch.seg_start_us),
        "ways": list(ways),
        "cpu_s": clock.on_host(lambda: kernel_cpu.integrate(batch), _RUNS),
        "cuda_with_transfers_s": clock.on_host(lambda: kernel_cuda.integrate(batch), _RUNS),
        "differing_columns": differing,
    }
    print(
        f"{name}: {case['readings']:,} readings, {case['segments']:,} segments, {len(ways)} ways, "
        f"CPU {case['cpu_s']:.3f} s, CUDA {case['cuda_with_transfers_s']:.3f} s (with transfers): "
        + (f"DIFFER: {differing}" if differing else "identical")
    )
    return case


def _differing(want: Result, got: Result) -> list[str]:
    return [
        f.name
        for f in fields(Result)
        if getattr(want, f.name).tobytes() != getattr(got, f.name).tobytes()
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
