"""Collects the shipped fleet in one process, runs the pipeline on it, and prints time and memory.

`make fleet` or `python -m benchmarks.fleet [--profile NAME] [--rate HZ] [--keep DIR]`. 1,024
emulated GPUs of seven kinds for five minutes of virtual time. Collecting runs in a process of its
own, on one core, so that its peak memory is its own; it is run a second time, which must add
nothing. Then aggregate, index, check, score: exit code 1 unless every check and every job passes.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from tokenergy_collectors.emulate.profile.profile import load_profile
from tokenergy_collectors.lake import Lake
from tokenergy_sql import steps
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.demo.score import score

Result = TypeVar("Result")


def collect(folder: Path, profile: str, rate_hz: float) -> tuple[float, float, int]:
    """Collect in a process of its own; return wall seconds, CPU seconds, peak memory in bytes."""
    config = folder / "collect.toml"
    config.write_text(f"rate_hz = {rate_hz}\n")
    command = [sys.executable, "-m", "tokenergy_collectors", "fleet", profile]
    command += ["--lake", str(folder / "lake"), "--truth", str(folder / "truth")]
    command += ["--config", str(config)]
    began_s = time.monotonic()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(process.returncode)
    wall_s = time.monotonic() - began_s
    return wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def rows(lake: Lake, table: str) -> int:
    """Return how many rows a table has, from its files' footers."""
    return sum(pq.read_metadata(path).num_rows for path in lake.files(table))


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """Return what a step returns, and how long it took in seconds."""
    began_s = time.monotonic()
    return work(), time.monotonic() - began_s


def run(folder: Path, profile_name: str, rate_hz: float) -> bool:
    """Run everything in a folder, print the figures, tell whether all went well."""
    profile = load_profile(profile_name)
    boards = sum(node.count for node in profile.nodes.values())
    ticks = boards * round(profile.duration_s * rate_hz)
    wall_s, cpu_s, peak = collect(folder, profile_name, rate_hz)
    lake = Lake(folder / "lake")
    before = {path: path.stat().st_size for path in lake.root.rglob("*.parquet")}
    again_s, _, _ = collect(folder, profile_name, rate_hz)
    after = {path: path.stat().st_size for path in lake.root.rglob("*.parquet")}
    done, aggregate_s = timed(lambda: steps.aggregate_hours(lake.root, None, None, "1s", "cpu"))
    jobs, index_s = timed(lambda: steps.index_hours(lake.root, None, None).jobs)
    findings, check_s = timed(lambda: run_checks(lake))
    scored, score_s = timed(lambda: score(lake, sorted((folder / "truth").glob("*.json"))))
    breaches = [finding.name for finding in findings if finding.breach]
    missed = [one.job_id for one in scored if not one.passed]
    worst = {
        by: max((abs(one.error or 0) for one in scored if (one.bound > 0.01) == by), default=0.0)
        for by in (False, True)
    }
    table = Table(show_header=False, show_edge=False, pad_edge=False)
    table.add_column("what")
    table.add_column("how much", justify="right")
    table.add_row("nodes, GPUs", f"{len(profile.nodes)}, {boards:,}")
    table.add_row("virtual time, rate", f"{profile.duration_s:g} s, {rate_hz:g} Hz")
    table.add_row("collect: wall, CPU", f"{wall_s:.1f} s, {cpu_s:.1f} s")
    table.add_row("  power readings", f"{ticks:,}, {ticks / wall_s:,.0f} per second")
    table.add_row("  of which stored", f"{rows(lake, 'power'):,}")
    table.add_row("  rows of state, tokens", f"{rows(lake, 'state'):,}, {rows(lake, 'tokens'):,}")
    table.add_row("  peak memory", f"{peak / 2**20:.0f} MiB")
    table.add_row("  lake on disk", f"{sum(before.values()) / 2**20:.0f} MiB")
    table.add_row("collect again", f"{again_s:.1f} s, {len(after) - len(before)} files added")
    table.add_row("aggregate", f"{aggregate_s:.1f} s, {sum(d.segments for d in done):,} segments")
    table.add_row("index", f"{index_s:.1f} s, {jobs} jobs")
    table.add_row("check", f"{check_s:.1f} s, {', '.join(breaches) or 'all passed'}")
    table.add_row("score", f"{score_s:.1f} s, {len(scored) - len(missed)} of {len(scored)} ok")
    table.add_row("  worst error by counter", f"{100 * worst[False]:.4f} %")
    table.add_row("  worst error by samples", f"{100 * worst[True]:.4f} %")
    pipeline = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    table.add_row("peak memory of these four", f"{pipeline / 2**20:.0f} MiB")
    Console().print(table)
    return not breaches and not missed and before == after and bool(scored)


def main() -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="fleet", help="a shipped profile or a TOML file")
    parser.add_argument(
        "--rate", type=float, default=10.0, help="power readings per second and board (10)"
    )
    parser.add_argument("--keep", type=Path, help="work in this folder and keep it")
    given = parser.parse_args()
    if given.keep is not None:
        given.keep.mkdir(parents=True)
        return 0 if run(given.keep, given.profile, given.rate) else 1
    with tempfile.TemporaryDirectory() as folder:
        return 0 if run(Path(folder), given.profile, given.rate) else 1


if __name__ == "__main__":
    sys.exit(main())
