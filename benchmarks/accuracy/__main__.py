"""Runs the accuracy trials and writes the table into docs/accuracy.md.

`make accuracy` or `python -m benchmarks.accuracy [--trials N] [--seconds 2,10] [--out FILE]`. Exit
code 1 if a row in which ours is worse has no reason, or the bounds hold in fewer than 99 % of the
trials. Each kind of sensor runs in a process of its own, one per core.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from benchmarks.accuracy import table
from benchmarks.accuracy.design import DURATIONS_S, KINDS, TRIALS, WORKLOADS
from benchmarks.accuracy.trials import run_kind
from tokenergy_collectors.base.progress import progress_bar

PAGE = Path(__file__).parents[2] / "docs" / "accuracy.md"


def run(trials: int, durations_s: Sequence[float], processes: int) -> list[table.Row]:
    """Run all kinds of sensor and return the rows in their order."""
    found = {}
    with (
        ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool,
        progress_bar() as progress,
    ):
        task = progress.add_task("trials", total=len(KINDS))
        jobs = {pool.submit(run_kind, k, durations_s, WORKLOADS, trials): k for k in KINDS}
        for job in as_completed(jobs):
            found[jobs[job]] = job.result()
            progress.update(task, description=jobs[job].key, advance=1)
    return [row for kind in KINDS for row in table.rows(kind, found[kind])]


def main() -> int:
    """Run the command; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--trials", type=int, default=TRIALS, help=f"boards per row (default {TRIALS})"
    )
    parser.add_argument(
        "--seconds", default=",".join(map(str, DURATIONS_S)), help="lengths of the jobs"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="at a time")
    parser.add_argument("--out", type=Path, default=PAGE, help="page to write the table into")
    given = parser.parse_args()
    durations_s = [float(word) for word in given.seconds.split(",")]
    began_s = time.monotonic()
    rows = run(given.trials, durations_s, given.processes)
    text = table.markdown(rows)
    table.into_page(given.out, text)
    print(text.partition("\n")[0])
    print(*(f"  {line}" for line in _unexplained(rows)), sep="\n", end="")
    print(f"{given.out}: {len(rows)} rows in {time.monotonic() - began_s:.0f} s")
    return 0 if table.passed(rows) else 1


def _unexplained(rows: Sequence[table.Row]) -> list[str]:
    return [
        f"{row.kind.key} {row.workload} {row.duration_s:g} s: {row.verdict}, {row.why}\n"
        for row in rows
        if row.why == "not explained"
    ]


if __name__ == "__main__":
    sys.exit(main())
