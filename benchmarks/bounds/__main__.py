"""Runs the trials of the bounds, prints the table and writes it into docs/uncertainty.md.

`make bounds` or `python -m benchmarks.bounds [--cards published|emulated] [--boards N]
[--seconds 2,10] [--out FILE]`. Without `--out` the page is written only for published cards. Exit
code 1 if the truth is outside the bounds in more than 1 % of a row or of all jobs, or if bounds are
too wide for an unknown reason. Each kind of sensor runs in a process of its own, one per core.
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
from typing import get_args

from benchmarks.accuracy.design import KINDS, TRIALS
from benchmarks.accuracy.table import into_page
from benchmarks.bounds import table
from benchmarks.bounds.trials import Booked, Cards, run_kind
from tokenergy_collectors.base.progress import progress_bar

PAGE = Path(__file__).parents[2] / "docs" / "uncertainty.md"
DURATIONS_S = "2,10,60"


def run(
    differ: Cards, boards: int, durations_s: Sequence[float], processes: int
) -> tuple[list[tuple[Booked, Booked]], list[table.Row]]:
    """Run all kinds of sensor; return what was booked and the rows, in their order."""
    found = {}
    with (
        ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool,
        progress_bar() as progress,
    ):
        task = progress.add_task("trials", total=len(KINDS))
        jobs = {pool.submit(run_kind, kind, differ, durations_s, boards): kind for kind in KINDS}
        for job in as_completed(jobs):
            found[jobs[job]] = job.result()
            progress.update(task, description=jobs[job].key, advance=1)
    return [found[k] for k in KINDS], [row for k in KINDS for row in table.rows(k, found[k])]


def main() -> int:
    """Run the command; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--cards",
        choices=get_args(Cards),
        default="published",
        help="how the cards differ: like published cards (default), or like the emulator's boards",
    )
    parser.add_argument("--boards", type=int, default=TRIALS, help="boards per workload and row")
    parser.add_argument("--seconds", default=DURATIONS_S, help="lengths of the jobs")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="at a time")
    parser.add_argument("--out", type=Path, help="page to write the table into")
    given = parser.parse_args()
    durations_s = [float(word) for word in given.seconds.split(",")]
    began_s = time.monotonic()
    booked, found = run(given.cards, given.boards, durations_s, given.processes)
    text = table.markdown(booked, found)
    print(text)
    page = given.out or (PAGE if given.cards == "published" else None)
    if page:
        into_page(page, text, table.BEGIN, table.END)
    print(f"{page or 'no page written'}: {len(found)} rows in {time.monotonic() - began_s:.0f} s")
    return 0 if table.passed(booked, found) else 1


if __name__ == "__main__":
    sys.exit(main())
