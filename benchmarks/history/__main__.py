"""What a step costs after a day, a week, a month of history.

`make bench-history`, or `python -m benchmarks.history [--devices 64] [--hours 24,168,720]
[--keep FOLDER]`. For each length a lake is made and all its hours are indexed; then one new hour
arrives, and each step is timed in a process of its own, some times: the median counts. Below the
seconds stand the times of the first length.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.history.lake import add_hours, make_lake
from benchmarks.history.measure import STEPS
from benchmarks.machine import line, machine
from benchmarks.scale.fleet import T0
from benchmarks.scale.measure import SITE
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.index.pipeline import index


def measure(step: str, root: Path, hour_us: int) -> dict[str, Any]:
    """Do a step in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.history.measure", step, str(root), str(hour_us)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def history(folder: Path, devices: int, hours: int, runs: int) -> dict[str, dict[str, Any]]:
    """Make a lake and measure the steps on it; print a line."""
    root = folder / f"{hours}h"
    begin = time.perf_counter()
    if not root.exists():
        index(make_lake(root, devices, hours), SITE, progress=lambda _: None)
    made_s = time.perf_counter() - begin
    found: dict[str, list[dict[str, Any]]] = {step: [] for step in STEPS}
    first = len(Lake(root).hours("segment"))
    for run in range(runs):
        add_hours(Lake(root), devices, range(first + run, first + run + 1))
        for step in STEPS:
            found[step].append(measure(step, root, T0 + (first + run) * HOUR_US))
    medians = {
        step: {key: statistics.median(one[key] for one in of_step) for key in of_step[0]}
        for step, of_step in found.items()
    }
    files = sum(1 for _ in root.rglob("*.parquet"))
    seconds = "".join(f"{medians[step]['cpu_s']:>10.2f}" for step in STEPS)
    peak = max(of_step["peak_mib"] for of_step in medians.values())
    print(f"{hours:>7}{seconds}{peak:>10.0f}{files:>10,}{made_s:>10.0f}", flush=True)
    return medians


def main() -> int:
    """Measure all lengths and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--devices", type=int, default=64, help="devices (64)")
    parser.add_argument("--hours", default="24,168,720", help="lengths, joined by commas")
    parser.add_argument("--runs", type=int, default=3, help="new hours of each (3)")
    parser.add_argument("--keep", type=Path, help="make the lakes in this folder and keep them")
    options = parser.parse_args()
    print(line(machine()))
    print(f"{options.devices:,} devices; CPU seconds of each step after so many hours of history")
    heads = "".join(f"{step:>10}" for step in STEPS)
    print(f"{'hours':>7}{heads}{'peak MiB':>10}{'files':>10}{'made in s':>10}")
    lengths = [int(hours) for hours in options.hours.split(",")]
    with tempfile.TemporaryDirectory(prefix="bench-history-") as scratch:
        folder = options.keep or Path(scratch)
        found = [history(folder, options.devices, hours, options.runs) for hours in lengths]
    for hours, medians in zip(lengths[1:], found[1:], strict=True):
        times = "".join(
            f"{medians[step]['cpu_s'] / found[0][step]['cpu_s']:>9.1f}x" for step in STEPS
        )
        print(f"{hours:>7}{times}  of {lengths[0]} hours")
    return 0


if __name__ == "__main__":
    sys.exit(main())
