"""Timing: how punctual the collector's ticks are, in real time, on emulated boards.

`make bench-timing` runs the collector for 10 minutes at 20 Hz on eight boards that another process
emulates, and prints how punctual they were: by the collector's own count of late ticks, and by the
stamps of the readings, independently of it. Exit code 1 if fewer than 99.9 % of
the ticks began within 5 ms of their time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.collector.boards import bin_path, emulated_boards
from tokenergy_collectors.lake import Lake

HZ = 20
PERIOD_US = 1_000_000 // HZ
LATE_US = 5_000
KEPT = 0.999


def main() -> int:
    """Run, print, return the exit code."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    with tempfile.TemporaryDirectory(prefix="bench-timing-") as name:
        folder = Path(name)
        with emulated_boards(folder) as environment:
            told = _collect(folder, environment, minutes)
        behind_us = _behind_us(Lake(folder / "lake"))
    return _tell(told, behind_us)


def _collect(folder: Path, environment: dict[str, str], minutes: float) -> dict[str, float]:
    """Run the collector; return what its last line says."""
    config = folder / "collect.toml"
    lines = f"lake = '{folder / 'lake'}'\nnode = 'bench'\nrate_hz = {float(HZ)}\n"
    config.write_text(lines + "log_format = 'json'\n")
    command = [bin_path("tokenergy-collect"), "run", "--config", str(config)]
    command += ["--duration", f"{minutes:g}m"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    told: dict[str, float] = json.loads(done.stderr.splitlines()[-1])
    return told


def _behind_us(lake: Lake) -> np.ndarray:
    """Return how long after its time each tick read its first board (us).

    Of equal readings only some are kept, so a tick's stamp is that of the first board that kept
    one. The grid is the one on which no tick is early.
    """
    stamps = np.sort(lake.read("power", columns=["ts_us"])["ts_us"].to_numpy())
    phase = stamps % PERIOD_US
    base = int(np.bincount(phase, minlength=PERIOD_US).argmax())
    early = phase[(phase - base) % PERIOD_US > PERIOD_US // 2]
    start = int(early.min()) if len(early) else base
    behind = (stamps - start) % PERIOD_US
    number = (stamps - start) // PERIOD_US
    first = np.unique(number, return_index=True)[1]
    return behind[first]


def _tell(told: dict[str, float], behind_us: np.ndarray) -> int:
    ticks, late, left_out = (int(told[name]) for name in ("ticks", "late", "left_out"))
    due = ticks + left_out
    kept = (ticks - late) / due
    p50, p99, p999 = np.percentile(behind_us, [50, 99, 99.9]) / 1_000
    seen = int((behind_us > LATE_US).sum())
    print(f"{due:,} ticks due at {HZ} Hz in {told['ran_s'] / 60:.1f} minutes")
    print(
        f"within {LATE_US // 1_000} ms of their time: {100 * kept:.3f} % (limit {100 * KEPT:g} %)"
    )
    print(f"late ticks: {late}; skipped: {left_out}; worst delay {told['worst_ms']:.1f} ms")
    print(
        f"delay by the stamps of {len(behind_us):,} ticks: median {p50:.2f} ms, "
        f"99 % {p99:.2f} ms, 99.9 % {p999:.2f} ms; {seen} late"
    )
    return 0 if kept >= KEPT else 1


if __name__ == "__main__":
    sys.exit(main())
