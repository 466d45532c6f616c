"""Times token usage: from a few points per hour, against one statement over all readings.

`make bench-tokens` or `python -m benchmarks.tokens [--jobs N,N] [--hours N] [--keep DIR]`. A lake
of token readings is written as a collector would, every 10 s, two kinds per job. Each side runs in
a process of its own and gives its time, its peak memory and a digest of its rows: points with no
cache, with a cache, and with a cache after one more hour has come; then all readings of all time.
Exit code 1 where the rows differ.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.machine import line, machine
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US, JOBS, TOKENS

T0_US = 1_768_464_000_000_000
KINDS = ("generated", "prompt_computed")
_STEP_US = 10_000_000
ALL_READINGS = Path(__file__).with_name("all_readings.sql")


def write_hour(lake: Lake, jobs: int, number: int) -> None:
    """Write one hour of readings: counters grow at rates of their own."""
    steps = HOUR_US // _STEP_US
    rate = np.random.default_rng(7).integers(100, 100_000, (len(KINDS), jobs, 1))
    ticks = number * steps + np.arange(steps)
    phase_us = np.random.default_rng(8).integers(0, _STEP_US, (jobs, 1))
    shape = (len(KINDS), jobs, steps)
    count = int(np.prod(shape))
    names = pa.array([f"job-{k:05d}" for k in range(jobs)])
    of_job = names.take(pa.array(np.broadcast_to(np.arange(jobs)[:, None], shape).reshape(-1)))
    of_kind = np.broadcast_to(np.arange(len(KINDS))[:, None, None], shape).reshape(-1)
    given = {
        "ts_us": pa.array(np.broadcast_to(T0_US + phase_us + ticks * _STEP_US, shape).reshape(-1)),
        "source_id": of_job,
        "node": pa.repeat("n1", count),
        "job_id": of_job,
        "model": pa.repeat("m", count),
        "engine": pa.repeat("", count),
        "kind": pa.array(KINDS).take(pa.array(of_kind)),
        "value": pa.array((rate * ticks).reshape(-1)),
        "epoch": pa.array(np.zeros(count, np.int32)),
        "since_us": pa.nulls(count, pa.int64()),
        "metric": pa.repeat("vllm:generation_tokens_total", count),
        "series": pa.repeat('{"engine":"0","model_name":"m"}', count),
        "quantum": pa.array(np.ones(count, np.int64)),
        "run": pa.array(np.ones(count, np.int32)),
        "cluster": pa.nulls(count, pa.string()),
        "role": pa.nulls(count, pa.string()),
    }
    lake.append("tokens", pa.table(given, schema=TOKENS.schema()), "n1")


def write_jobs(lake: Lake, jobs: int, hours: int) -> None:
    """Write the jobs: from half an hour to the whole time long, with edges anywhere."""
    rng = np.random.default_rng(9)
    start = rng.integers(0, hours * HOUR_US - HOUR_US // 2, jobs)
    end = start + HOUR_US // 2 + (rng.random(jobs) * (hours * HOUR_US - HOUR_US // 2 - start)) // 1
    rows = [
        {
            "job_id": f"job-{k:05d}", "node": "n1", "device_id": f"GPU-{k}", "share_ppm": 1_000_000,
            "start_us": T0_US + int(start[k]), "end_us": T0_US + int(end[k]),
            "method": "declared", "recorded_us": T0_US,
        }
        for k in range(jobs)
    ]  # fmt: skip
    lake.append("jobs", pa.Table.from_pylist(rows, schema=JOBS.schema()), "n1")


def by_all_readings(lake: Lake) -> pa.Table:
    """Return the rows of token usage from all readings of all time."""
    from tokenergy_sql.catalog import connecting as catalog
    from tokenergy_sql.index.modelrun import build_model
    from tokenergy_sql.index.tokencounting import rows_of

    with catalog.connect(lake) as con:
        build_model(con, "token_span")
        return rows_of(con, ALL_READINGS.read_text("utf-8"))


def run_side(side: str, lake: Lake) -> dict[str, Any]:
    """Run one side in this process; return its time, its peak memory and its rows' digest."""
    from tokenergy_sql.index import tokens

    begin = time.perf_counter()
    rows = by_all_readings(lake) if side == "readings" else tokens.usage(lake)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = rows.sort_by([(name, "ascending") for name in ("job_id", "hour_us", "model", "kind")])
    digest = hashlib.sha256(json.dumps(rows.to_pydict()).encode()).hexdigest()
    return {"seconds": seconds, "peak_mib": peak // 1024, "rows": len(rows), "digest": digest}


def compare(lake: Lake, jobs: int, hours: int) -> bool:
    """Print a line a side; tell whether both give the same rows."""
    print(f"{jobs:,} jobs, {hours} hours, {jobs * hours * 720:,} readings")
    found = {}
    for title, side in (
        ("points, no cache", "points"),
        ("points, cache", "points"),
        ("points, cache, one more hour", "points"),
        ("all readings", "readings"),
    ):
        if "more" in title:
            write_hour(lake, jobs, hours)
        command = [sys.executable, "-m", "benchmarks.tokens", "--side", side, str(lake.root)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            print(f"  {title:<30} FAILED: exit code {done.returncode}")
            continue
        found[title] = json.loads(done.stdout)
        print(
            f"  {title:<30} {found[title]['seconds']:8.2f} s {found[title]['peak_mib']:8,} MiB"
            f" {found[title]['rows']:10,} rows  {found[title]['digest'][:12]}",
            flush=True,
        )
    before, again, more, by_readings = (
        found.get(title, {}).get("digest")
        for title in (
            "points, no cache", "points, cache", "points, cache, one more hour", "all readings"
        )
    )  # fmt: skip
    return before == again and by_readings is not None and more == by_readings


def main() -> int:
    """Run the comparison, or one side of it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", default="200", help="numbers of jobs, joined by commas (200)")
    parser.add_argument("--hours", type=int, default=24, help="length of the lake (24)")
    parser.add_argument("--keep", type=Path, help="keep the lakes in this folder")
    parser.add_argument("--side", nargs=2, metavar=("SIDE", "LAKE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(run_side(options.side[0], Lake(options.side[1]))))
        return 0
    print(line(machine()))
    with tempfile.TemporaryDirectory() as folder:
        same = []
        for jobs in map(int, options.jobs.split(",")):
            lake = Lake((options.keep or Path(folder)) / f"tokens-{jobs}", create=True)
            for number in range(options.hours):
                write_hour(lake, jobs, number)
            write_jobs(lake, jobs, options.hours)
            same.append(compare(lake, jobs, options.hours))
    print("both sides give the same rows" if all(same) else "FAILED: rows differ, or a side failed")
    return 0 if all(same) else 1


if __name__ == "__main__":
    sys.exit(main())
