"""From readings to checked books: what each step takes beside the integration, and that beside
pyarrow, which only reads the same files.

`python -m benchmarks.scale.fromreadings [--devices 1000] [--hours 2] [--runs 3]`, a part of
`make bench-scale`. Hours of a fleet at 10 Hz, each step in a process of its own, a fresh copy of
the lake for each run; medians, for one hour. The last lines multiply: what an hour of 100,000 GPUs
takes on this machine.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.scale.aims import aims, lines
from benchmarks.scale.fleet import make_lake
from benchmarks.scale.readings import add_readings

STEPS = ("read_table", "aggregate", "index", "check")
LARGE = 100_000
"""GPUs of the fleet that is spoken of at the end."""


def measure(step: str, root: Path) -> dict[str, Any]:
    """Do a step in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.scale.measure", step, str(root), "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def from_readings(folder: Path, devices: int, hours: int, runs: int) -> dict[str, Any]:
    """Measure all steps; return medians of seconds and CPU seconds an hour, and peaks, by step."""
    lake, _ = make_lake(folder / "made", devices, hours)
    shutil.rmtree(lake.root / "segment")
    for path in lake.files("tokens", lake.hours("tokens")[hours:]):
        path.unlink()  # jobs go on, and nobody reads them
    readings = sum(add_readings(lake, devices, hours, hour) for hour in range(hours))
    found: dict[str, list[dict[str, Any]]] = {step: [] for step in STEPS}
    for run in range(runs):
        root = folder / f"run{run}"
        shutil.copytree(lake.root, root)
        for step in STEPS:
            found[step].append(measure(step, root))
        shutil.rmtree(root)
    steps = {
        step: {
            "seconds": statistics.median(one["seconds"] for one in of_step) / hours,
            "cpu_seconds": statistics.median(one["cpu_seconds"] for one in of_step) / hours,
            "peak_mib": statistics.median(one["peak_mib"] for one in of_step),
        }
        for step, of_step in found.items()
    }
    breaches = sorted({name for one in found["check"] for name in one["breaches"]})
    return {
        "devices": devices, "hours": hours, "readings": readings // hours, "steps": steps,
        "breaches": breaches,
    }  # fmt: skip


def show(found: dict[str, Any]) -> None:
    """Print the table, the ratio and the multiplication."""
    devices, steps = found["devices"], found["steps"]
    print(f"\nan hour of {devices:,} devices at 10 Hz, {found['readings']:,} readings")
    print(f"{'step':<12}{'s':>8}{'CPU s':>8}{'of aggregate':>14}{'peak MiB':>10}")
    base_s = steps["aggregate"]["seconds"]
    for step, of_step in steps.items():
        print(
            f"{step:<12}{of_step['seconds']:>8.2f}{of_step['cpu_seconds']:>8.2f}"
            f"{of_step['seconds'] / base_s:>14.2f}{of_step['peak_mib']:>10.0f}"
        )
    print(*sentences(found), sep="\n")


def sentences(found: dict[str, Any]) -> list[str]:
    """Return the ratio and the multiplication, a line each."""
    devices, steps = found["devices"], found["steps"]
    base_s = steps["aggregate"]["seconds"]
    booked_s = steps["index"]["seconds"] + steps["check"]["seconds"]
    hour_s = (base_s + booked_s) * LARGE / devices
    return [
        f"index and check together: {booked_s / base_s:.2f} × aggregate",
        f"an hour of {LARGE:,} GPUs: {base_s + booked_s:.2f} s × {LARGE:,} ÷ {devices:,} = "
        f"{hour_s:,.0f} s, {hour_s / 3_600:.2f} of real time",
    ]


def main() -> int:
    """Measure and print; return the exit code: 1 if a check failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--devices", type=int, default=1_000, help="devices (1000)")
    parser.add_argument("--hours", type=int, default=2, help="hours of readings (2)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each step (3)")
    options = parser.parse_args()
    print(machine.line(machine.machine()))
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as name:
        found = from_readings(Path(name), options.devices, options.hours, options.runs)
    show(found)
    print(*lines(aims([], found)), sep="\n")
    print(*[f"check {name} failed" for name in found["breaches"]], sep="\n", end="")
    return 1 if found["breaches"] else 0


if __name__ == "__main__":
    sys.exit(main())
