"""Measures what a GPU-hour costs on this machine, and says what fleets of 1,000 to 100,000 need.

`make bench-sizing`, or `python -m benchmarks.sizing [--devices 256] [--json FILE] [--page FILE]`.
The collector runs on eight emulated boards in real time. A lake of a fleet is made for two hours;
the first one is derived, then each step of the second one is measured in a process of its own, on
that fleet and on one of two nodes. The largest group that `index` books at once is measured
without readings. The needs are these figures, multiplied: docs/sizing.md says where that is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.performance_page import into_page
from benchmarks.scale.fleet import GPUS_A_NODE, make_lake
from benchmarks.shards.__main__ import measure as measure_group
from benchmarks.sizing import fleet, tables
from benchmarks.sizing.needs import CHECK
from benchmarks.sizing.steps import COMPACT, DERIVING
from benchmarks.sizing.stored import others_of, stored_of
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog.duck import MEMORY_VARIABLE
from tokenergy_transforms.arrowmemory import take_from_system

TRIAL_MINUTES = 2

LIMIT = "2GiB"
"""Memory that DuckDB may take when the checks are measured again."""


def say(what: str) -> None:
    """Print what is next to standard error."""
    print(f"{what} ...", file=sys.stderr, flush=True)


def ask(module: str, words: Sequence[str], environ: Mapping[str, str]) -> dict[str, Any]:
    """Run a module of this package in a process of its own; return what it says."""
    command = [sys.executable, "-m", f"benchmarks.sizing.{module}", *words]
    done = subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(step: str, *lakes: Lake, memory: str | None = None) -> dict[str, Any]:
    """Do a step in a process of its own; return what it took.

    Args:
        step: see `measure.py`.
        lakes: the three that it takes.
        memory: how much DuckDB may take, as `TOKENERGY_SQL_MEMORY` says it; not bounded if None.
    """
    environ = {name: text for name, text in os.environ.items() if name != MEMORY_VARIABLE}
    take_from_system(environ)  # as the tasks do
    if memory:
        environ[MEMORY_VARIABLE] = memory
    return ask("measure", [step, *(str(lake.root) for lake in lakes)], environ)


def pipeline(folder: Path, devices: int, minutes: int, bounded: bool) -> dict[str, Any]:
    """Make the lakes and measure all steps.

    Args:
        folder: where.
        devices: boards of the large fleet, in whole nodes of eight.
        minutes: how much of an hour is collected: 2 to 60.
        bounded: run the checks only with at most `LIMIT`, not without a bound too.
    """
    nodes = -(-devices // GPUS_A_NODE)
    say("two nodes, emulated")
    small = fleet.collect(folder / "small", minutes)
    if minutes > TRIAL_MINUTES:
        trial = fleet.collect(folder / "trial", TRIAL_MINUTES)
    else:
        trial = Lake(shutil.copytree(small.root, folder / "trial"))
    say(f"{nodes} nodes, copies of these two")
    large = fleet.copy_fleet(small, folder / "large", nodes)
    say("the hour before")
    lakes = (trial, small, large)
    measure("before", *lakes)
    steps: dict[str, Any] = {}
    limited: dict[str, Any] = {}
    for step in DERIVING:
        if step != CHECK or not bounded:
            say(step)
            steps[step] = measure(step, *lakes)
        if step == CHECK:
            say(f"{CHECK} with at most {LIMIT}")
            limited = measure(CHECK, *lakes, memory=LIMIT)
            steps.setdefault(CHECK, limited)
    stored, others = stored_of(large, fleet.HOUR), others_of(large)
    say(COMPACT)
    steps[COMPACT] = measure(COMPACT, *lakes)
    compacted = stored_of(Lake(large.root), fleet.HOUR)
    return {
        "devices": nodes * GPUS_A_NODE,
        "nodes": nodes,
        "small_devices": len(fleet.NODES) * GPUS_A_NODE,
        "hours": fleet.covered_hours(minutes),
        "steps": steps,
        "limited": {"memory": LIMIT, **limited},
        "bounded": bounded,
        "stored": {name: asdict(of) for name, of in stored.items()},
        "compacted": {name: asdict(of) for name, of in compacted.items()},
        "others": {"bytes": others[0], "files": others[1]},
    }


def group(folder: Path, gpus: int) -> dict[str, Any]:
    """Book an hour of as many GPUs as are booked at once; segments are made directly."""
    say(f"index of {gpus:,} GPUs at once")
    lake, segments = make_lake(folder / "group", gpus, 1)
    return {"gpus": gpus, "segments": segments, **measure_group(lake.root, 1, 1)}


def main() -> int:
    """Measure all, print the tables, return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--devices", type=int, default=256, help="emulated GPUs (256)")
    parser.add_argument("--minutes", type=int, default=60, help="of each hour, 2 to 60 (60)")
    parser.add_argument("--group", type=int, default=1_160, help="GPUs booked at once (1160)")
    parser.add_argument("--collect", type=float, default=30.0, help="seconds of the daemon (30)")
    parser.add_argument(
        "--bounded", action="store_true", help=f"run the checks with at most {LIMIT} alone"
    )
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    parser.add_argument("--page", type=Path, help="also write the tables into this page")
    options = parser.parse_args()
    if not 2 <= options.minutes <= 60:
        parser.error("--minutes: expected 2 to 60")
    report: dict[str, Any] = {"kind": "sizing", "machine": machine.machine()}
    say("collector")
    report["collector"] = ask("collecting", [str(options.collect)], os.environ)
    with tempfile.TemporaryDirectory(prefix="bench-sizing-") as name:
        report |= pipeline(Path(name), options.devices, options.minutes, options.bounded)
        report["group"] = group(Path(name), options.group)
    text = tables.markdown(report)
    print(text)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    if options.page:
        page = options.page.read_text("utf-8")
        options.page.write_text(into_page(page, "sizing", text), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
