"""What a step costs after a day, a week, a month, a year of history.

`make bench-history`, or `python -m benchmarks.history [--devices 64] [--hours 24,168,720,8760]
[--keep FOLDER]`. For each length a lake is made and all its hours are indexed; then one new hour
arrives, and each step is timed in a process of its own, some times: the median counts. Below the
seconds is how many times as long each step took as with the first length.

Of more than 1,000 hours only the last day is indexed: `past.py` says what the others are, and why
the step `nothing` is left out there. Before the first step the index is run once, so that it has
read the tokens of all hours, as it would have when each was new.
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
from benchmarks.history.past import add_past
from benchmarks.machine import line, machine
from benchmarks.scale.fleet import T0
from benchmarks.scale.measure import SITE
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.index.pipeline import index

LONGEST = 1_000
"""Hours of the longest history that is indexed hour by hour."""


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
    copied = hours - 24 if hours > LONGEST else 0
    if not root.exists():
        index(make_lake(root, devices, hours - copied), SITE, progress=lambda _: None)
        if copied:
            add_past(Lake(root), devices, copied)
            index(Lake(root), SITE, [T0], progress=lambda _: None)
    made_s = time.perf_counter() - begin
    steps = [step for step in STEPS if not (copied and step == "nothing")]
    found: dict[str, list[dict[str, Any]]] = {step: [] for step in steps}
    first = (Lake(root).hours("segment")[-1] - T0) // HOUR_US + 1
    for run in range(runs):
        add_hours(Lake(root), devices, range(first + run, first + run + 1))
        for step in steps:
            found[step].append(measure(step, root, T0 + (first + run) * HOUR_US))
    medians = {
        step: {key: statistics.median(one[key] for one in of_step) for key in of_step[0]}
        for step, of_step in found.items()
    }
    files = sum(1 for _ in root.rglob("*.parquet"))
    seconds = "".join(
        f"{medians[step]['cpu_s']:>10.2f}" if step in medians else f"{'-':>10}" for step in STEPS
    )
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
            f"{medians[step]['cpu_s'] / found[0][step]['cpu_s']:>9.2f}x"
            if step in medians and step in found[0]
            else f"{'-':>10}"
            for step in STEPS
        )
        print(f"{hours:>7}{times}  of {lengths[0]} hours")
    return 0


if __name__ == "__main__":
    sys.exit(main())
