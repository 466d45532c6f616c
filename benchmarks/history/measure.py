"""Does one step on a lake in this process and prints its seconds as a line of JSON.

`python -m benchmarks.history.measure STEP LAKE HOUR_US`. A process of its own, as a scheduled task
is; its imports and compiled kernels are loaded before the clock starts.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.endtoend.measure import peak_mib
from benchmarks.history.lake import make_lake
from benchmarks.scale.measure import SITE
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog.asking import ask
from tokenergy_sql.catalog.file import write_catalog
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.report import build_report, last_hours

_QUERY = "SELECT sum(e_gpu_nj) FROM job_index"

STEPS: dict[str, Callable[[Lake, int], object]] = {
    "index": lambda lake, hour_us: index(lake, SITE, [hour_us], lambda _: None),
    "nothing": lambda lake, _: index(lake, SITE, None, lambda _: None),
    "check": lambda lake, hour_us: run_checks(lake, [hour_us]),
    "report": lambda lake, hour_us: _report(lake, hour_us),
    "catalog": lambda lake, _: write_catalog(lake),
    "query": lambda lake, _: ask(lake, "query", lambda con: con.sql(_QUERY).fetchall(), _QUERY),
}
"""One new hour; all hours with nothing to do; the checks of an hour; the report of the last 24, as
the hourly DAG writes it; `catalog.duckdb`; a query."""


def _report(lake: Lake, hour_us: int) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-history-") as folder:
        out = Path(folder) / "index.html"
        build_report(lake, out, hours=last_hours(lake, 24), check_hours=[hour_us])


def main() -> None:
    """Do the step."""
    step, root, hour_us = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    with tempfile.TemporaryDirectory(prefix="bench-history-") as folder:
        small = make_lake(Path(folder), 8, 1)
        index(small, SITE, progress=lambda _: None)
        STEPS[step](small, small.hours("segment")[0])
    begin, used = time.perf_counter(), time.process_time()
    STEPS[step](Lake(root), hour_us)
    took = {"s": time.perf_counter() - begin, "cpu_s": time.process_time() - used}
    print(json.dumps({**took, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    main()
