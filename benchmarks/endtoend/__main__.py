"""From Parquet to segments, against reading the same files with pyarrow alone; and how both grow.

`make bench`, or `python -m benchmarks.endtoend [--readings 10000000,50000000] [--runs N]`.
Two stages are timed: from the files to segments in memory, and all the way to the file of
segments, as `tokenergy aggregate` does it. For comparison: reading the columns needed with
`pyarrow.parquet.read_table`, and as quickly as pyarrow can (names as dictionaries, a file on
each core). `make bench-large` does it for up to a thousand million readings, and shows that time
per reading and peak memory do not grow.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.endtoend.lakes import make_lake
from benchmarks.endtoend.measure import SIDES
from tokenergy_transforms.arrowmemory import take_from_system

OURS = ("segments", "written")
NAMES = {
    "segments": "Parquet to segments in memory",
    "written": "Parquet to segments in Parquet",
    "read_table": "pyarrow alone, read_table",
    "read_quickly": "pyarrow alone, fastest way",
}


def measure(side: str, root: Path, runs: int, memory: str) -> dict[str, Any]:
    """Run one side in a process of its own."""
    environ = dict(os.environ)
    if side in OURS:  # as `tokenergy aggregate` does
        take_from_system(environ)
    command = [sys.executable, "-m", "benchmarks.endtoend.measure", side, str(root)]
    command += [str(runs), memory]
    done = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def one_size(readings: int, runs: int, memory: str, sides: list[str]) -> dict[str, Any]:
    """Make a lake of a size, run all sides on it, remove it."""
    with tempfile.TemporaryDirectory(prefix="tokenergy-bench-") as folder:
        lake = make_lake(Path(folder) / "lake", readings)
        count = sum(_rows(path) for path in lake.files("power"))
        size = sum(path.stat().st_size for path in lake.files("power"))
        found = {side: measure(side, lake.root, runs, memory) for side in sides}
    return {"readings": count, "bytes": size, "sides": found}


def _rows(path: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def show(of_size: dict[str, Any]) -> None:
    """Print the table of one size."""
    count, sides = of_size["readings"], of_size["sides"]
    quickest, usual = quickest_s(of_size), median_s(sides["read_table"])
    print(f"\n{count:,} readings, {of_size['bytes'] / count:.2f} bytes per reading")
    heads = f"{'of quickest read':>18}{'of read_table':>15}{'peak MiB':>10}"
    print(f"{'':<34}{'M readings/s':>14}{heads}")
    for side, found in sides.items():
        seconds = median_s(found)
        print(
            f"{NAMES[side]:<34}{count / seconds / 1e6:>14.1f}"
            f"{quickest / seconds:>18.2f}{usual / seconds:>15.2f}{found['peak_mib']:>10.0f}"
        )


def median_s(found: dict[str, Any]) -> float:
    """Return the median time of a side."""
    return float(statistics.median(found["times_s"]))


def quickest_s(of_size: dict[str, Any]) -> float:
    """Return the time of the quicker of the two ways to read with pyarrow alone."""
    return min(median_s(of_size["sides"][side]) for side in ("read_table", "read_quickly"))


def growth_of(sizes: list[dict[str, Any]]) -> list[str]:
    """Return, a line a stage, how time a reading and peak memory change with the size."""
    first, last = sizes[0], sizes[-1]
    if first is last:
        return []
    lines = []
    for side in OURS:
        one, many = first["sides"][side], last["sides"][side]
        each = median_s(many) / last["readings"] / (median_s(one) / first["readings"])
        memory = many["peak_mib"] / one["peak_mib"]
        lines.append(
            f"{NAMES[side]}, {first['readings']:,} to {last['readings']:,} readings: "
            f"time per reading × {each:.2f}, peak memory × {memory:.2f}"
        )
    return lines


def main() -> None:
    """Run the comparison and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--readings",
        default="10000000,50000000",
        help="numbers of readings, ascending, joined by commas",
    )
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each side (5)")
    parser.add_argument(
        "--memory", default="2GiB", help="memory that the aggregation may use (2GiB)"
    )
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args()
    here = machine.machine()
    print(machine.line(here))
    one_size(1_000_000, 1, options.memory, list(OURS))  # compiles the kernels, once a machine
    sizes = []
    for readings in map(int, options.readings.split(",")):
        runs = max(1, min(options.runs, 200_000_000 // readings))
        sizes.append(one_size(readings, runs, options.memory, list(SIDES)))
        show(sizes[-1])
        sys.stdout.flush()
    print("", *growth_of(sizes), sep="\n")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        kind = "large" if sizes[-1]["readings"] > 500_000_000 else "end-to-end"
        report = {"kind": kind, "machine": here, "sizes": sizes}
        options.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
