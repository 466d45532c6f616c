"""Books an hour of a fleet in 1, 4 and 16 shards, by 1 and 2 workers.

`make bench-shards`, or `python -m benchmarks.shards [--boards 1000] [--shards 1,4,16]
[--workers 1,2]`. For each, the hour is indexed in a process of its own. Prints a digest of all
derived files, which must be one and the same; wall time, processor time of all processes, the peak
memory of the largest one, and how many times as fast it is as the first line.

Segments of 1 s are made directly; 10,000 boards take 1.3 GB of disk, and 4 GB while the hour is
booked.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.scale.fleet import make_lake


def measure(root: Path, shards: int, workers: int) -> dict[str, Any]:
    """Index the lake in a process of its own; return what it says."""
    command = [sys.executable, "-m", "benchmarks.shards.measure", str(root)]
    done = subprocess.run(
        [*command, str(shards), str(workers)], check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"shards": shards, "workers": workers, **found}


def show(found: dict[str, Any], first: dict[str, Any]) -> None:
    """Print one line of the table."""
    print(
        f"{found['shards']:>6}{found['groups']:>8}{found['workers']:>9}{found['digest']:>18}"
        f"{found['seconds']:>9.1f}{found['cpu_seconds']:>8.1f}{found['peak_mib']:>10.0f}"
        f"{first['seconds'] / found['seconds']:>10.2f}",
        flush=True,
    )


def main() -> int:
    """Run all; return the exit code: 1 if any file differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--boards", type=int, default=1_000, help="boards (1000)")
    parser.add_argument("--shards", default="1,4,16", help="numbers of shards, joined by commas")
    parser.add_argument("--workers", default="1,2", help="numbers of processes, joined by commas")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args()
    here = machine.machine()
    print(machine.line(here))
    heads = f"{'wall s':>9}{'CPU s':>8}{'peak MiB':>10}{'speed-up':>10}"
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="bench-shards-") as name:
        lake, segments = make_lake(Path(name) / "lake", options.boards, 1)
        print(f"{segments:,} segments of {options.boards:,} boards, one hour")
        print(f"{'shards':>6}{'groups':>8}{'workers':>9}{'digest':>18}{heads}", flush=True)
        for workers in map(int, options.workers.split(",")):
            for shards in map(int, options.shards.split(",")):
                rows.append(measure(lake.root, shards, workers))
                show(rows[-1], rows[0])
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        report = {"kind": "shards", "machine": here, "boards": options.boards, "runs": rows}
        options.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    if len({row["digest"] for row in rows}) > 1:
        print("bench-shards: the files differ")
        return 1
    print("every derived file has the same bytes in all runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
