"""Times the integration against its peers, on the same readings, in one run.

`make bench` or `python -m benchmarks.integration [--readings N] [--devices N] [--runs N]
[--windows 10,100,1000] [--only NAME,...] [--json FILE]`. All results are compared before anything
is timed; exit code 1 if a bit differs. Windows are given in readings: the readings are the same,
10 a second, and the windows last 1, 10 and 100 s. Read the ratios: rates are those of one machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.allocator import keep_freed_memory
from benchmarks.integration import by_cpp, by_duckdb, by_numpy, by_polars, workload
from benchmarks.integration.contest import Contestant, of_result, time_all
from tokenergy_transforms import kernel_cpu
from tokenergy_transforms.batch import Batch, Result

OURS = "tokenergy (CPU)"
TWIN = "C++ twin"
TARGETS = {"DuckDB SQL": 15.0, "Polars": 15.0, "NumPy, chunked": 5.0}
"""How many times as fast as a peer at 10 readings per window; above that, faster at all."""
PEERS = {"NumPy, chunked": by_numpy, "DuckDB SQL": by_duckdb, "Polars": by_polars}


def main() -> int:
    """Run the comparison and print its tables; return the exit code."""
    options = _options()
    keep_freed_memory()  # for all that use the C library's: ours, NumPy, the twin
    where = machine.machine()
    bandwidth = machine.read_bandwidth()
    _say("readings")
    work = workload.make(options.devices, options.readings)
    report: dict[str, Any] = {
        "kind": "integration",
        "machine": where,
        "readings": len(work.ts_us),
        "devices": work.devices,
        "read_bytes_per_s": bandwidth,
        "tables": [],
    }
    print(machine.line(where))
    print(f"{len(work.ts_us):,} readings of {work.devices:,} devices at 10 Hz")
    print(f"memory bandwidth, all cores reading: {bandwidth / 1e9:.1f} GB/s")
    with tempfile.TemporaryDirectory(prefix="tokenergy-twin-") as folder:
        for per_window in options.windows:
            contestants = _contestants(work, per_window, options.only, Path(folder))
            differing = time_all(contestants, options.runs, _say)
            for line in differing:
                print(f"DIFFERS: {line}")
            if differing:
                return 1
            report["tables"].append(_table(work, per_window, contestants))
            print(_text(report["tables"][-1], bandwidth))
    print("every statistic of every window agrees to the bit")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--readings", type=float, default=50e6, help="total number of readings (50e6)"
    )
    parser.add_argument("--devices", type=int, default=1_000, help="number of devices (1000)")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each contestant (5)")
    parser.add_argument(
        "--windows", default="10,100,1000", help="readings per window, joined by commas"
    )
    parser.add_argument(
        "--only", default="", help="only these peers: numpy, duckdb, polars, c++, joined by commas"
    )
    parser.add_argument("--json", type=Path, help="also write all times to this file")
    options = parser.parse_args()
    options.readings = int(options.readings)
    options.only = [word.strip().lower() for word in options.only.split(",") if word.strip()]
    options.windows = [int(word) for word in options.windows.split(",")]
    for count in options.windows:
        if count < 10 or 1_000 % count or count % 10:
            parser.error(
                f"--windows {count}: expected a multiple of 10 that divides 1000, such as 10 or 100"
            )
    if options.readings // max(options.devices, 1) < 1_000:
        parser.error(f"--readings {options.readings}: expected at least 1000 per device")
    return options


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text + ' ...':<60}", end="\r", file=sys.stderr)


def _contestants(
    work: workload.Workload, per_window: int, only: list[str], folder: Path
) -> list[Contestant]:
    """Return ours and the peers asked for; the twin if it can be compiled."""
    window_us = per_window * workload.TICK_US
    batch = work.batch(window_us)
    found = [Contestant(OURS, lambda: partial(kernel_cpu.integrate, batch), of_result)]
    for name, module in PEERS.items():
        if _wanted(name, only):
            prepare = partial(module.prepare, work, window_us)
            found.append(Contestant(name, prepare, module.columns))
    if _wanted(TWIN, only):
        try:
            twin = by_cpp.build(folder)
        except RuntimeError as error:
            print(f"C++ twin skipped: {error}")
        else:
            found.append(Contestant(TWIN, lambda: partial(_call, twin, batch), of_result))
    return found


def _call(integrate: Any, batch: Batch) -> Result:
    result: Result = integrate(batch)
    return result


def _wanted(name: str, only: list[str]) -> bool:
    return not only or any(name.lower().startswith(word) for word in only)


def _table(
    work: workload.Workload, per_window: int, contestants: list[Contestant]
) -> dict[str, Any]:
    """Return what one table shows, with all times."""
    window_us = per_window * workload.TICK_US
    batch = work.batch(window_us)
    arrays = batch.arrays() + Result.empty(len(batch.seg_start_us)).arrays()
    ours = contestants[0]
    rows = [
        {
            "name": each.name,
            "first_s": each.first_s,
            "runs_s": each.runs_s,
            "median_s": each.median_s,
            "readings_per_s": len(work.ts_us) / each.median_s,
            "ratio": each.median_s / ours.median_s,
            "target": _target(each.name, per_window),
        }
        for each in contestants
    ]
    return {
        "readings_per_window": per_window,
        "window_s": window_us // workload.SECOND_US,
        "windows": len(batch.seg_start_us),
        "bytes": sum(array.nbytes for array in arrays),
        "rows": rows,
    }


def _target(name: str, per_window: int) -> float | None:
    """Return how many times as fast as this one ours has to be; None: it is no peer."""
    if name not in TARGETS:
        return None
    return TARGETS[name] if per_window == 10 else 1.0


def _text(table: dict[str, Any], bandwidth: float) -> str:
    """Return a table as it is printed."""
    lines = [
        f"\n{table['readings_per_window']:,} readings per window: "
        f"{table['windows']:,} windows of {table['window_s']} s",
        f"{'':<18}{'M readings/s':>14}{'time, ours = 1':>16}{'runs':>6}  target",
    ]
    for row in table["rows"]:
        target = row["target"]
        verdict = "" if target is None else f">= {target:g}: {_met(row['ratio'], target)}"
        lines.append(
            f"{row['name']:<18}{row['readings_per_s'] / 1e6:>14.1f}{row['ratio']:>16.2f}"
            f"{len(row['runs_s']):>6}  {verdict}".rstrip()
        )
    moved = table["bytes"] / table["rows"][0]["median_s"]
    lines.append(
        f"ours reads and writes {table['bytes'] / 1e9:.2f} GB: {moved / 1e9:.1f} GB/s, "
        f"{100 * moved / bandwidth:.0f} % of the read bandwidth"
    )
    return "\n".join(lines)


def _met(ratio: float, target: float) -> str:
    return "met" if ratio >= target else "NOT MET"


if __name__ == "__main__":
    sys.exit(main())
