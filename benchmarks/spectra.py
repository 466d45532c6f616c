"""Plants swings in 1,000 devices and verifies that `tokenergy load-profile` finds them.

`make bench-spectra` or `python -m benchmarks.spectra [--devices N] [--keep DIR]`. For each case a
lake is written as collectors would (one file per node), the product's command runs on it, and
`tokenergy query` reads the result. Exit code 1 on a miss.

A swing of 30 % is one whose peak to peak is 30 % of the mean: every device draws
P (1 + 0.15 sin(2 pi f t)), P its own between 400 and 600 W, all in phase, as the ranks of one
training job do. Readings come with jitter (up to 2 ms either way) and noise (2 % of P).
Nodes are sampled at instants of their own or, as the worst case of aliasing, all at the same ones.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES

T0_US = 1_768_464_000_000_000
SWING = 0.30
FREQUENCY_BOUND_HZ = 0.02
AMPLITUDE_BOUND = 0.02
_PER_NODE = 8
_JITTER_US = 2_000
_COMMAND = [sys.executable, "-c", "from tokenergy_sql.cli import main; main()"]


@dataclass(frozen=True, slots=True)
class Case:
    """A planted swing, how it is sampled, and whether that suffices to see it."""

    name: str
    swing_hz: float
    rate_hz: int
    seconds: int
    seen: bool
    together: bool = False


CASES = (
    Case("0.7 Hz at 10 Hz", 0.7, 10, 300, True),
    Case("7 Hz at 10 Hz", 7.0, 10, 300, False),
    Case("7 Hz at 10 Hz, same instants", 7.0, 10, 300, False, together=True),
    Case("7 Hz at 50 Hz", 7.0, 50, 150, True),
)


def plant(lake: Lake, case: Case, devices: int, later_us: int = 0) -> float:
    """Write a case's readings, so much later, its devices and job; return the amplitude in mW."""
    rng = np.random.default_rng(7)
    base_mw = rng.uniform(400_000, 600_000, devices)
    for first in range(0, devices, _PER_NODE):
        names = [f"GPU-{k:04d}" for k in range(first, min(first + _PER_NODE, devices))]
        node = f"node-{first // _PER_NODE:03d}"
        power = _readings(case, base_mw[first : first + len(names)], rng)
        power[0] += later_us
        ids = pa.array(names).take(pa.array(np.repeat(np.arange(len(names)), power.shape[2])))
        rows = {
            "ts_us": pa.array(power[0].reshape(-1)),
            "device_id": ids,
            "power_mw": pa.array(power[1].reshape(-1)),
            "sensor": pa.repeat(pa.scalar("instant"), len(ids)),
        }
        _append(lake, "power", rows, node)
        _append(lake, "device", _device_rows(names, node, case), node)
        _append(lake, "jobs", _job_rows(names, node), node)
    return float(SWING / 2 * base_mw.sum())


def _readings(case: Case, base_mw: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return int64[2, devices, readings]: stamps and powers of one node."""
    period_us = 1_000_000 // case.rate_hz
    count = case.seconds * case.rate_hz
    phase_us = 0 if case.together else rng.integers(0, period_us)
    shape = (len(base_mw), count)
    ticks = T0_US + phase_us + np.arange(1, count + 1) * period_us
    ts_us = ticks + rng.integers(-_JITTER_US, _JITTER_US + 1, shape)
    swing = 1 + SWING / 2 * np.sin(2 * np.pi * case.swing_hz * (ts_us - T0_US) / 1e6)
    power = base_mw[:, None] * (swing + rng.normal(0, 0.02, shape))
    return np.stack([ts_us, np.rint(power).astype(np.int64)])


def _device_rows(names: list[str], node: str, case: Case) -> dict[str, Any]:
    count, period_us = len(names), 1_000_000 // case.rate_hz
    return {
        "ts_us": [T0_US] * count,
        "device_id": names,
        "node": [node] * count,
        "index": list(range(count)),
        "name": ["NVIDIA H100 80GB HBM3"] * count,
        "update_us": [period_us] * count,
        "learned_us": [20_000] * count,
        "sensor_kind": ["instant"] * count,
        "site": ["lab"] * count,
        "rack": [f"rack-{int(node[-3:]) // 8:02d}"] * count,
        "emulated": [True] * count,
    }


def _job_rows(names: list[str], node: str) -> dict[str, Any]:
    count = len(names)
    return {
        "job_id": ["train"] * count,
        "node": [node] * count,
        "device_id": names,
        "start_us": [T0_US] * count,
        "share_ppm": [1_000_000] * count,
        "method": ["declared"] * count,
        "recorded_us": [T0_US] * count,
    }


def _append(lake: Lake, table: str, given: dict[str, Any], node: str) -> None:
    schema = TABLES[table].schema()
    count = len(given["ts_us"] if "ts_us" in given else given["start_us"])
    zero = {"epoch": pa.array(np.zeros(count, np.int32))}
    columns = [
        pa.array(given[f.name], f.type) if isinstance(given.get(f.name), list)
        else given[f.name].cast(f.type) if f.name in given
        else zero.get(f.name, pa.nulls(count, f.type))
        for f in schema
    ]  # fmt: skip
    lake.append(table, pa.table(columns, schema=schema), node)


def ask(lake: Lake, sql: str) -> list[dict[str, Any]]:
    """Return what `tokenergy query` answers."""
    command = [*_COMMAND, "query", "--lake", str(lake.root), "--format", "json", sql]
    rows: list[dict[str, Any]] = json.loads(subprocess.check_output(command, text=True))
    return rows


def judge(case: Case, lake: Lake, amplitude_mw: float) -> tuple[str, bool]:
    """Return what was found, in words, and whether it is what should have been."""
    bands = ask(
        lake,
        "SELECT * FROM load_profile JOIN load_spectrum USING (hour_us, kind, group_id) "
        "WHERE kind = 'site'",
    )
    (found,) = (band for band in bands if band["low_hz"] <= case.swing_hz < band["high_hz"])
    hz, mw, notes = found["dominant_hz"], found["dominant_amplitude_mw"], found["reason_codes"]
    if not case.seen:
        line = "no line" if hz is None else f"line at {hz:.3f} Hz"
        hidden = (found["rms_mw"], found["reason"]) == (None, "above_nyquist")
        text = f"band NULL ({found['reason']})" if hidden else f"band {found['rms_mw']}"
        return f"{text}, {line} [{notes}]", hidden and hz is None
    if hz is None or found["rms_mw"] is None:
        return f"line {hz}, band {found['rms_mw']} [{notes}]", False
    of_line, of_band = mw / amplitude_mw - 1, found["rms_mw"] * 2**0.5 / amplitude_mw - 1
    passed = abs(hz - case.swing_hz) <= FREQUENCY_BOUND_HZ
    passed = passed and max(abs(of_line), abs(of_band)) <= AMPLITUDE_BOUND
    text = f"{hz:.4f} Hz, amplitude {100 * of_line:+.2f} %, its band {100 * of_band:+.2f} %"
    return f"{text} [{notes}]", passed


def run_case(case: Case, folder: Path, devices: int) -> bool:
    """Plant one case, run the command, print a line, and tell whether it came out."""
    begin = time.perf_counter()
    lake = Lake(folder / case.name.replace(" ", "-").replace(",", ""), create=True)
    amplitude_mw = plant(lake, case, devices)
    written = time.perf_counter()
    command = [*_COMMAND, "load-profile", "--lake", str(lake.root)]
    said = subprocess.check_output(command, text=True).splitlines()[-1]
    done = time.perf_counter()
    text, passed = judge(case, lake, amplitude_mw)
    print(f"{'ok' if passed else 'MISS':<5}{case.name:<32}{text}")
    print(f"     {said}; written in {written - begin:.0f} s, computed in {done - written:.0f} s")
    return passed


def main() -> int:
    """Run all cases; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=1_000, help="devices (1000)")
    parser.add_argument("--keep", type=Path, help="keep the lakes in this folder")
    options = parser.parse_args()
    print(
        f"{options.devices:,} devices, swing {100 * SWING:.0f} % (peak to peak / mean), bounds "
        f"{FREQUENCY_BOUND_HZ} Hz and {100 * AMPLITUDE_BOUND:.0f} % of the amplitude"
    )
    with tempfile.TemporaryDirectory() as folder:
        root = options.keep or Path(folder)
        passed = [run_case(case, root, options.devices) for case in CASES]
    print(f"{sum(passed)} of {len(passed)} as planted")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
