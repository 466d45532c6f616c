"""Does one step on a lake in this process and prints one line of JSON.

`python -m benchmarks.scale.measure read_table|aggregate|index|check|ask LAKE RUNS`. A process of
its own, so that its peak memory and its processor time are its own. Compiled kernels are loaded, or
compiled, on a small lake before the clock starts.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.endtoend.measure import peak_mib, read_table
from benchmarks.scale.fleet import S, make_lake
from benchmarks.scale.questions import ask
from benchmarks.scale.readings import add_readings
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_transforms.aggregate import Aggregator, worklist

SITE = Site(1_250_000, 900_000, {})


def indexed(lake: Lake, _runs: int) -> dict[str, Any]:
    """Segments to ledger and index, all hours."""
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as folder:
        index(make_lake(Path(folder), 3, 1)[0], SITE, progress=lambda _: None)
    begin, used = time.perf_counter(), time.process_time()
    done = index(lake, SITE, progress=lambda _: None)
    return {
        "seconds": time.perf_counter() - begin,
        "cpu_seconds": time.process_time() - used,
        "jobs": done.jobs,
    }


def read(lake: Lake, _runs: int) -> dict[str, Any]:
    """pyarrow alone: the columns of the readings, file by file, into memory."""
    begin, used = time.perf_counter(), time.process_time()
    read_table(lake, "")
    return {"seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - used}


def aggregated(lake: Lake, _runs: int) -> dict[str, Any]:
    """Readings to segments of 1 s, all hours, on disk."""
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as folder:
        small = make_lake(Path(folder), 3, 1)[0]
        add_readings(small, 3, 1, 0)
        list(Aggregator(small, S, "cpu").run(worklist(small)))
    begin, used = time.perf_counter(), time.process_time()
    list(Aggregator(lake, S, "cpu").run(worklist(lake)))
    return {"seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - used}


def checked(lake: Lake, _runs: int) -> dict[str, Any]:
    """All checks; without readings, all but for what needs them."""
    read = bool(lake.hours("power"))
    begin, used = time.perf_counter(), time.process_time()
    found = run_checks(lake)
    return {
        "seconds": time.perf_counter() - begin,
        "cpu_seconds": time.process_time() - used,
        "breaches": [one.name for one in found if one.breach and (read or one.name != "law")],
    }


def asked(lake: Lake, runs: int) -> dict[str, Any]:
    """The ad-hoc questions."""
    return {"questions": ask(lake, runs)}


STEPS: dict[str, Callable[[Lake, int], dict[str, Any]]] = {
    "read_table": read,
    "aggregate": aggregated,
    "index": indexed,
    "check": checked,
    "ask": asked,
}


def main() -> None:
    """Do a step and print what it took."""
    step, root, runs = sys.argv[1:]
    found = STEPS[step](Lake(root), int(runs))
    print(json.dumps({**found, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    main()
