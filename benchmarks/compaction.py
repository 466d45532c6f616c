"""Compaction: how many files a lake has before and after, and what that does to those who read it.

`make bench-compaction`, or `python -m benchmarks.compaction --files 100000`: a lake of small power
files (five minutes of eight boards each, at 1 Hz) is aggregated and queried as it is, and again
after its compaction. Printed: files and bytes, the time of each step, medians of `--rounds`. Exit
code 1 if the segments or the answer differ.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.compaction import compact
from tokenergy_collectors.lake.contract import DEVICE, POWER
from tokenergy_sql.catalog.connecting import connect
from tokenergy_transforms.aggregate import Aggregator, worklist

T0 = 1_768_464_000_000_000
S = 1_000_000
HOURS = 4
PARTS = 12
BOARDS = 8
SECONDS = 3600 // PARTS
EVER = 2**62


def fill(root: Path, files: int) -> Lake:
    """Make a lake of about so many power files: nodes of eight boards for four hours."""
    lake = Lake(root, create=True)
    chance = np.random.default_rng(1)
    for number in range(max(1, round(files / (HOURS * PARTS)))):
        node = f"node-{number:04d}"
        boards = [f"{node} GPU-{board}" for board in range(BOARDS)]
        rows = [
            {"ts_us": T0, "device_id": board, "node": node, "index": place, "name": "board"}
            for place, board in enumerate(boards)
        ]
        empty = dict.fromkeys(DEVICE.column_names)
        of_node = [{**empty, **row, "limit_mw": 700_000, "emulated": True} for row in rows]
        lake.append("device", pa.Table.from_pylist(of_node, schema=DEVICE.schema()), node)
        for part in range(HOURS * PARTS):
            lake.append("power", _readings(boards, T0 + part * SECONDS * S, chance), node)
    return lake


def _readings(boards: list[str], first_us: int, chance: np.random.Generator) -> pa.Table:
    stamps = np.tile(first_us + np.arange(SECONDS) * S, len(boards))
    given = {
        "ts_us": pa.array(stamps),
        "device_id": pa.array(np.repeat(boards, SECONDS)),
        "power_mw": pa.array(chance.integers(80_000, 700_000, len(stamps)), pa.int32()),
        "sensor": pa.array(["instant"] * len(stamps)),
        "epoch": pa.array(np.zeros(len(stamps)), pa.int32()),
    }
    columns = [
        given[field.name].cast(field.type)
        if field.name in given
        else pa.nulls(len(stamps), field.type)
        for field in POWER.schema()
    ]
    return pa.Table.from_arrays(columns, schema=POWER.schema())


def aggregate(root: Path) -> str:
    """Make all segments; return a digest of them."""
    lake = Lake(root)
    shutil.rmtree(root / "segment", ignore_errors=True)
    for _ in Aggregator(lake, S, "cpu").run(worklist(lake)):
        pass
    digest = hashlib.sha256()
    for path in lake.files("segment"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def ask(root: Path) -> str:
    """Ask for the mean power; return the answer."""
    with connect(Lake(root), named=frozenset(("power",)), adhoc=True) as con:
        return str(con.execute("SELECT count(*), sum(power_mw) FROM power").fetchone())


def cold(root: Path, step: Callable[[Path], str]) -> str:
    """Do a step without what earlier ones left in the lake's cache."""
    shutil.rmtree(root / "cache", ignore_errors=True)
    return step(root)


def timed(root: Path, step: Callable[[Path], str], rounds: int) -> tuple[float, str]:
    """Return the median time of a step, seconds, and its result."""
    took = []
    for _ in range(rounds):
        began_s = time.perf_counter()
        result = cold(root, step)
        took.append(time.perf_counter() - began_s)
    return statistics.median(took), result


def main() -> int:
    """Run, print, return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5_000, help="about how many power files")
    parser.add_argument("--rounds", type=int, default=3, help="how often each step is timed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-compaction-") as name:
        aggregate(fill(Path(name) / "warm", HOURS * PARTS).root)  # compiles the kernels
        lake = fill(Path(name) / "lake", options.files)
        steps = {"aggregate": aggregate, "sum of all power": ask}
        before = {what: timed(lake.root, step, options.rounds) for what, step in steps.items()}
        count, size = _held(lake)
        began_s = time.perf_counter()
        done = compact(lake, EVER, 0, ["power"])
        took_s = time.perf_counter() - began_s
        after = {what: timed(lake.root, step, options.rounds) for what, step in steps.items()}
        now, now_size = _held(lake)
    print(f"{'':18}{'small files':>14}{'compacted':>14}{'times':>8}")
    print(f"{'power files':18}{count:14,}{now:14,}{count / now:8.1f}")
    print(f"{'MB':18}{size / 1e6:14,.1f}{now_size / 1e6:14,.1f}{size / now_size:8.1f}")
    for what, (slow_s, _) in before.items():
        fast_s = after[what][0]
        print(f"{f'{what}, s':18}{slow_s:14.2f}{fast_s:14.2f}{slow_s / fast_s:8.1f}")
    print(f"compaction: {took_s:.1f} s, {took_s / done.sources * 1e3:.2f} ms a file")
    same = all(before[what][1] == after[what][1] for what in steps)
    print("segments and answers are the same" if same else "segments or answers DIFFER")
    return 0 if same else 1


def _held(lake: Lake) -> tuple[int, int]:
    files = [*(lake.root / "power").rglob("*.parquet")]
    return len(files), sum(path.stat().st_size for path in files)


if __name__ == "__main__":
    sys.exit(main())
