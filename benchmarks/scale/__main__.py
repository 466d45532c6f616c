"""Time and memory of a large fleet's ledger and index, and of queries on the result.

`make bench-scale`, or `python -m benchmarks.scale [--devices 1000] [--hours 1,24,48] [--keep
FOLDER]`. For each number of hours a lake of 1 s segments is made and indexed in a process of its
own. On the largest one queries run in SQL and in polars, and the checks run. Then an hour is taken
from 10 Hz readings to checked books, see `fromreadings.py`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.scale.aims import aims, lines
from benchmarks.scale.fleet import make_lake
from benchmarks.scale.fromreadings import from_readings, show

READ_HOURS = 2
"""Hours that are taken from readings to checked books."""


def measure(step: str, root: Path, runs: int = 1) -> dict[str, Any]:
    """Do a step in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.scale.measure", step, str(root), str(runs)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def one_size(folder: Path, devices: int, hours: int) -> dict[str, Any]:
    """Make a lake and index it; print a line."""
    lake, segments = make_lake(folder / f"{hours}h", devices, hours)
    found = measure("index", lake.root)
    size = sum(path.stat().st_size for path in lake.files("ledger"))
    print(
        f"{hours:>6}{segments:>13,}{found['jobs']:>8,}{found['seconds']:>10.1f}"
        f"{found['seconds'] / hours:>10.2f}{found['cpu_seconds'] / hours:>13.2f}"
        f"{found['peak_mib']:>10.0f}{size / segments:>16.1f}",
        flush=True,
    )
    return {"hours": hours, "segments": segments, "ledger_bytes": size, **found}


def growth_of(sizes: list[dict[str, Any]]) -> list[str]:
    """Return, a line each, how many times as long as half of it a lake takes."""
    by_hours = {size["hours"]: size for size in sizes}
    return [
        f"{hours} hours take {by_hours[hours]['seconds'] / by_hours[hours // 2]['seconds']:.2f} × "
        f"as long as {hours // 2}"
        for hours in by_hours
        if hours % 2 == 0 and hours // 2 in by_hours
    ]


def show_answers(found: list[dict[str, Any]]) -> None:
    """Print the table of questions."""
    print(f"\n{'question':<70}{'SQL s':>8}{'polars s':>10}{'agree':>7}")
    for row in found:
        polars = f"{row['polars_s']:.2f}" if "polars_s" in row else "-"
        agree = {True: "yes", False: "NO", None: "-"}[row.get("agree")]
        print(f"{row['title']:<70}{row['sql_s']:>8.2f}{polars:>10}{agree:>7}")
    print(f"median of the SQL times: {statistics.median(r['sql_s'] for r in found):.2f} s")


def main() -> int:
    """Run all sizes, print the tables, return the exit code: 1 if two sides disagree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=1_000, help="devices (1000)")
    parser.add_argument(
        "--hours", default="1,24,48", help="sizes of the lakes, ascending, joined by commas"
    )
    parser.add_argument("--runs", type=int, default=3, help="runs of each query (3)")
    parser.add_argument("--keep", type=Path, help="make the lakes in this folder and keep them")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args()
    here = machine.machine()
    print(machine.line(here))
    print(f"{options.devices:,} devices, segments of 1 s, to ledger and index")
    heads = f"{'s':>10}{'s/hour':>10}{'CPU s/hour':>13}{'peak MiB':>10}{'bytes/segment':>16}"
    print(f"{'hours':>6}{'segments':>13}{'jobs':>8}{heads}", flush=True)
    hours = [int(text) for text in options.hours.split(",")]
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as name:
        folder = options.keep or Path(name)
        sizes = [one_size(folder, options.devices, count) for count in hours]
        print(*growth_of(sizes), sep="\n")
        largest = folder / f"{hours[-1]}h"
        answers = measure("ask", largest, options.runs)
        show_answers(answers["questions"])
        checks = measure("check", largest)
    print(f"checks: {checks['seconds']:.1f} s, peak {checks['peak_mib']:.0f} MiB")
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as name:
        whole = from_readings(Path(name), options.devices, READ_HOURS, options.runs)
    show(whole)
    print(*lines(aims(sizes, whole)), sep="\n")
    print(*[f"check {name} failed" for name in checks["breaches"]], sep="\n", end="")
    report = {
        "kind": "scale",
        "machine": here,
        "sizes": sizes,
        "answers": answers,
        "checks": checks,
        "from_readings": whole,
    }
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    wrong = [row for row in answers["questions"] if row.get("agree") is False]
    return 1 if wrong or checks["breaches"] or whole["breaches"] else 0


if __name__ == "__main__":
    sys.exit(main())
