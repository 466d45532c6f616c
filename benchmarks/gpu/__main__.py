"""`make bench-gpu` or `python -m benchmarks.gpu [JSON]`: what CUDA gains, medians of one run.

Prints the machine and device copy bandwidth; the resident kernels at 10, 100 and 1,000 readings
per window against that bandwidth and against chains of array calls; the feeder against the bus; and
CUDA against the CPU by size. With an argument the figures are also written there as JSON. Exit
code 0 if all results agree to the bit, 1 if not, 2 if there is no device.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu import clock, feeding, resident
from benchmarks.integration import workload
from tokenergy_transforms import choice

WINDOWS_US = [1_000_000, 10_000_000, 100_000_000]


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    devices: int = 1_000
    readings: int = 50_000_000
    copy_bytes: int = 1 << 30
    break_even: tuple[int, ...] = (10**5, 10**6, 10**7, 10**8)
    runs: int = 5


def main(arguments: list[str], sizes: Sizes | None = None) -> int:
    """Measure, print and return the exit code."""
    sizes = sizes or Sizes()
    why = choice.cuda_unusable()
    if why is not None:
        print(f"bench-gpu: {why}", file=sys.stderr)
        return 2
    figures = measure(sizes)
    for line in table(figures):
        print(line)
    if arguments:
        Path(arguments[0]).write_text(json.dumps(figures, indent=1) + "\n")
    wrong = [
        f"{row['readings_a_window']} readings a window, {name}: {text}"
        for row in figures["resident"]
        for name, texts in row["differing"].items()
        for text in texts
    ]
    print("\n".join(["bench-gpu: FAILED", *wrong]) if wrong else "bench-gpu: every bit agrees")
    return 1 if wrong else 0


def measure(sizes: Sizes) -> dict[str, Any]:
    """Return all figures, in the order in which they are measured."""
    work = workload.make(sizes.devices, sizes.readings)
    copy = resident.copy_bytes_s(sizes.copy_bytes, sizes.runs)
    return {
        "machine": clock.machine(),
        "runs": sizes.runs,
        "copy_bytes_s": copy,
        "resident": resident.rows(work, WINDOWS_US, copy, sizes.runs),
        "pipeline": feeding.pipeline(work, WINDOWS_US, sizes.runs),
        "break_even": feeding.break_even(list(sizes.break_even), WINDOWS_US[0], sizes.runs),
    }


def table(figures: dict[str, Any]) -> list[str]:
    """Return the lines that are printed."""
    lines = [f"{key}: {value}" for key, value in figures["machine"].items()]
    lines += [f"copy bandwidth, read and written: {figures['copy_bytes_s'] / 1e9:,.0f} GB/s", ""]
    lines.append("resident       readings/s   of copy   CuPy chain   cuDF")
    for row in figures["resident"]:
        rate = row["readings"] / row["kernel_s"] / 1e9
        cudf = f"{row['times_cudf']:.1f} x" if "times_cudf" in row else "not installed"
        lines.append(
            f"{row['readings_a_window']:>6} a window {rate:>8.2f} G {row['share_of_copy']:>8.0%} "
            f"{row['times_cupy_chain']:>10.1f} x   {cudf}"
        )
    lines += ["", "from the host  readings/s   of the bus (page-locked)   of the bus (ordinary)"]
    for row in figures["pipeline"]:
        rate = row["readings"] / row["pinned_s"] / 1e9
        lines.append(
            f"{row['readings_a_window']:>6} a window {rate:>8.2f} G "
            f"{row['pinned_share_of_bus']:>18.0%} {row['ordinary_share_of_bus']:>24.0%}"
        )
    lines += ["", "readings, CUDA with copies, CPU (how many times CUDA's time)"]
    for row in figures["break_even"]:
        cpu = [
            f"{key.removeprefix('times_cpu_').removesuffix('_cores')} cores {value:.2f} x"
            for key, value in row.items()
            if key.startswith("times_cpu_")
        ]
        lines.append(f"{row['readings']:>13,}   {row['cuda_s'] * 1e3:>9.2f} ms   {', '.join(cpu)}")
    return lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
