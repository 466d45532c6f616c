"""Fills the disk under a running daemon: a lake on a tmpfs of 12 MiB, and a ballast file.

In: a folder to mount on (root only). Out: what happened, in lines, and violations. While the disk
is full neither log nor lake can be written. The daemon must keep running, drop what does not fit in
memory, report how much, and write the rest once the ballast is gone.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks import chaos_run

_SIZE_KIB = 12 << 10
_LEFT_KIB = 300
_BOARDS = 64
_RATE_HZ = 50
_FULL_S = 40.0


def fill(folder: Path) -> tuple[list[str], list[str]]:
    """Run the daemon on a disk that is full for a while; return lines to print and violations."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mount is None or umount is None:
        return ["disk full: skipped; mounting a tmpfs needs root"], []
    lake = folder / "lake"
    lake.mkdir(parents=True)
    words = [mount, "-t", "tmpfs", "-o", f"size={_SIZE_KIB}k", "tmpfs", str(lake)]
    mounted = subprocess.run(words, capture_output=True, text=True, check=False)
    if mounted.returncode:
        return [f"disk full: skipped; mount failed: {mounted.stderr.strip()}"], []
    try:
        return _fill(folder, lake)
    finally:
        subprocess.run([umount, str(lake)], check=False)


def _fill(folder: Path, lake: Path) -> tuple[list[str], list[str]]:
    chaos_run.prepare(folder, boards=_BOARDS, rate_hz=_RATE_HZ, update_us=20_000)
    life = chaos_run.Life(0, chaos_run.now_us())
    process = chaos_run.start(folder)
    chaos_run.await_event(process, life, "start")
    time.sleep(2)
    ballast = lake / "ballast"
    _write_all_but(ballast, lake, _LEFT_KIB << 10)
    time.sleep(_FULL_S)
    running = process.poll() is None
    ballast.unlink()
    time.sleep(3)
    process.terminate()
    chaos_run.read_rest(process, life)
    return _judge(lake, life, process.returncode if running else -1)


def _write_all_but(ballast: Path, lake: Path, left_bytes: int) -> None:
    with ballast.open("wb") as file:
        while (free := shutil.disk_usage(lake).free - left_bytes) > 0:
            file.write(bytes(min(free, 1 << 20)))
            file.flush()


def _judge(lake: Path, life: chaos_run.Life, exit_code: int) -> tuple[list[str], list[str]]:
    """Compare the rows in the lake plus those reported as dropped with the rows that were read."""
    told = Counter(line["event"] for line in life.told)
    dropped: Counter[str] = Counter()
    for line in life.told:
        match = re.match(r"(\d+) rows of (\w+)", str(line.get("why")))
        if line["event"] == "drop" and match:
            dropped[match[2]] += int(match[1])
    kept = {table: _rows(lake, table) for table in ("power", "state")}
    span_s = (max(kept["power"]) - min(kept["power"])) / 1e6
    read = len(kept["state"]) + dropped["state"]
    violations = [f"disk full: {line}" for line in life.odd]
    if exit_code or not told["stop"]:
        violations.append(f"disk full: the daemon exited with {exit_code}")
    if not dropped["power"] or not dropped["state"]:
        violations.append(f"disk full: expected dropped rows of power and state, got {dropped}")
    # Gauges are not thinned: each board has one a second, sealed or reported as dropped.
    if read % _BOARDS or not 0.95 * span_s <= read / _BOARDS <= span_s + 1:
        violations.append(f"disk full: only {read} gauge rows of {_BOARDS} boards in {span_s} s")
    lines = [
        f"{'disk full for, s':<46}{_FULL_S:>14g}",
        f"{'  failed seals reported':<46}{told['seal_failed']:>14}",
        *(
            f"{f'  {table} rows sealed; dropped and reported':<46}{len(rows):>7}{dropped[table]:>7}"
            for table, rows in kept.items()
        ),
    ]
    return lines, violations


def _rows(lake: Path, table: str) -> list[int]:
    """Return the stamps of all rows of a table."""
    paths = (lake / table).rglob("*.parquet")
    parts = [pq.read_table(path, columns=["ts_us"], partitioning=None) for path in paths]
    return [ts_us for part in parts for ts_us in part["ts_us"].to_pylist()]
