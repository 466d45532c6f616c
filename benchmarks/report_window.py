"""Does the report of the last 24 hours cost the same whatever the age of the lake?

`python -m benchmarks.report_window [DAYS ...]`, by default 1 7 30. One lake of 64 boards grows day
by day; after so many days the report of the last 24 hours and that of the whole lake are written.
Printed: files of the lake, CPU seconds and seconds of each, and the ratios to the first lake.
The checks of the latest hour, which the hourly run makes, are apart. Those of the whole lake are
not run: they take several times as long as its report.

Four hours are made from readings by the pipeline, with seven jobs; all others are copies of their
files, with other stamps and other names of jobs. One job runs all the time: it is the same job in
every copy, and its row of `job_index` is in the first hour of the lake, as far back as can be.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.paths import hour_of_path, partition
from tokenergy_sql.checks.checking import hourly_names, run_checks
from tokenergy_sql.index.site import Site
from tokenergy_sql.report import build_report, last_hours

NODES, BOARDS = 8, 8
BLOCK_HOURS = 4
STEP_S = 30
WINDOW_HOURS = 24
ALWAYS = "serve-always"

_STAMPS = ("ts_us", "start_us", "end_us", "hour_us", "as_of_us", "since_us", "recorded_us")


def make_block(root: Path) -> Lake:
    """Make the lake's first four hours: a job a node, of which the first one never ends."""
    builder = LakeBuilder(root)
    end_us = T0 + BLOCK_HOURS * HOUR_US
    for node in range(NODES):
        name = f"node-{node}"
        for board in range(BOARDS):
            device = f"GPU-{node}{board}"
            builder.device(device, node=name, index=board, update_us=STEP_S * S)
            readings = level(300_000 + 5_000 * (8 * node + board), T0, end_us, STEP_S * S)
            builder.power(device, readings, node=name)
            if node < NODES - 1:
                job, until_us = _job(node), None if node == 0 else end_us - 60 * S
                builder.job(job, device, T0 + node * 60 * S, until_us, node=name)
        if node < NODES - 1:
            counts = [(t, (t - T0) // S) for t in range(T0, end_us, 15 * S)]
            builder.tokens(_job(node), counts, source_id=name, node=name, since_us=T0)
    return builder.build(Site(1_250_000, 900_000, {}), window_us=STEP_S * S)


def _job(node: int) -> str:
    return ALWAYS if node == 0 else f"job-{node}"


def add_copy(lake: Lake, block: list[Path], number: int) -> None:
    """Add the block's files once more, `number` blocks later."""
    shift_us = number * BLOCK_HOURS * HOUR_US
    for path in block:
        table = path.relative_to(lake.root).parts[0]
        rows = pq.read_table(path, partitioning=None)
        if table == "job_index":
            rows = rows.filter(pc.not_equal(rows["job_id"], ALWAYS))
        target = lake.root / table / partition(hour_of_path(path) + shift_us) / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(_moved(rows, shift_us, number), target, compression="zstd")


def _moved(rows: pa.Table, shift_us: int, number: int) -> pa.Table:
    for place, name in enumerate(rows.column_names):
        column = rows[name]
        if name in _STAMPS:
            column = pc.add(column, pa.scalar(shift_us, pa.int64()))
        elif name == "job_id":
            later = pc.binary_join_element_wise(column, f"{number}", "@")
            column = pc.if_else(pc.equal(column, ALWAYS), column, later)
        rows = rows.set_column(place, rows.schema.field(name), column)
    return rows


def timed(task: Callable[[], object]) -> tuple[float, float]:
    """Return the CPU seconds and the seconds that a task takes."""
    began, used = time.perf_counter(), time.process_time()
    task()
    return time.process_time() - used, time.perf_counter() - began


def measure(root: Path, page: Path) -> dict[str, tuple[float, float]]:
    """Return the times of each report, and of the checks."""
    window = last_hours(Lake(root), WINDOW_HOURS)
    # A lake that is indexed every hour has all but the latest files in its cache.
    run_checks(Lake(root), window[-1:], hourly_names())
    return {
        "24 h": timed(lambda: build_report(Lake(root), page, findings=[], hours=window)),
        "checks of 1 h": timed(lambda: run_checks(Lake(root), window[-1:], hourly_names())),
        "whole lake": timed(lambda: build_report(Lake(root), page, findings=[])),
    }


def _warm_up() -> None:
    """Import what a report imports, and make the program that draws its charts."""
    with tempfile.TemporaryDirectory(prefix="bench-report-") as name:
        builder = LakeBuilder(Path(name) / "lake")
        builder.device("GPU", update_us=S)
        builder.power("GPU", level(300_000, T0, T0 + 60 * S, S))
        builder.job("job", "GPU", T0, T0 + 60 * S)
        build_report(builder.build(), Path(name) / "report.html")


def main() -> int:
    """Run and print."""
    days = sorted({int(text) for text in sys.argv[1:]} or {1, 7, 30})
    _warm_up()
    with tempfile.TemporaryDirectory(prefix="bench-report-") as name:
        root, page = Path(name) / "lake", Path(name) / "report.html"
        lake = make_block(root)
        block = [path for table in TABLES for path in lake.files(table)]
        blocks = 1
        first: dict[str, tuple[float, float]] = {}
        print(f"{NODES * BOARDS} boards; CPU s (seconds), and x the first lake's CPU s")
        for day in days:
            for number in range(blocks, day * 24 // BLOCK_HOURS):
                add_copy(lake, block, number)
            blocks = day * 24 // BLOCK_HOURS
            found = measure(root, page)
            first = first or found
            files = sum(len(lake.files(table)) for table in TABLES)
            shown = "; ".join(
                f"{what} {cpu:.2f} ({wall:.2f}), x {cpu / first[what][0]:.2f}"
                for what, (cpu, wall) in found.items()
            )
            print(f"{day} days, {files:,} files: {shown}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
