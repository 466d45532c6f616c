"""Runs one side of the comparison in this process and prints one line of JSON.

`python -m benchmarks.endtoend.measure SIDE LAKE RUNS MEMORY`. A process of its own for each
side, so that its peak memory is its own. The first run is not counted: it loads the compiled
kernels.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.endtoend.lakes import T0
from tokenergy_collectors.lake import Lake
from tokenergy_transforms.aggregate import Aggregated, Aggregator
from tokenergy_transforms.workunits import parse_memory

_COLUMNS = ["ts_us", "device_id", "power_mw", "energy_mj", "epoch"]


class _InMemory(Aggregator):
    """Stops before the segments are written: they are counted and let go."""

    def _write(self, work: Any, results: Iterator[Any]) -> Aggregated:
        segments = sum(result.rows.num_rows for result in results)
        return Aggregated(work.node, work.hour_us, "cpu", 0, segments)


def segments(lake: Lake, memory: str) -> None:
    """From the files to segments in memory."""
    for _ in _InMemory(lake, 1_000_000, "cpu", None, parse_memory(memory)).run([(T0, "fleet")]):
        pass


def written(lake: Lake, memory: str) -> None:
    """From the files to the file of segments, on disk: what `tokenergy aggregate` does."""
    for path in lake.files("segment"):
        path.unlink()
    for _ in Aggregator(lake, 1_000_000, "cpu", None, parse_memory(memory)).run([(T0, "fleet")]):
        pass


def read_table(lake: Lake, _memory: str) -> None:
    """Read the columns that the integration needs, file by file, as most people would."""
    for path in lake.files("power"):
        pq.read_table(path, columns=_COLUMNS, partitioning=None)


def read_quickly(lake: Lake, _memory: str) -> None:
    """Read them as quickly as pyarrow can here: names as dictionaries, a file a core at a time."""

    def read(path: Path) -> None:
        with pq.ParquetFile(path, read_dictionary=["device_id"]) as file:
            for number in range(file.num_row_groups):
                file.read_row_group(number, columns=_COLUMNS, use_threads=False)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(read, lake.files("power")))


SIDES: dict[str, Callable[[Lake, str], None]] = {
    "segments": segments,
    "written": written,
    "read_table": read_table,
    "read_quickly": read_quickly,
}


def main() -> None:
    """Run a side some times and print its times and its peak memory."""
    side, root, runs, memory = sys.argv[1:]
    lake = Lake(root)
    times = []
    for _ in range(int(runs) + 1):
        begin = time.perf_counter()
        SIDES[side](lake, memory)
        times.append(time.perf_counter() - begin)
    print(json.dumps({"times_s": times[1:] or times, "peak_mib": peak_mib()}))


def peak_mib() -> float:
    """Return the most memory that this process ever held; `getrusage` would count its parent's."""
    status = Path("/proc/self/status").read_text("utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
