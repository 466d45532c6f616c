"""The codecs that are compared, and how fast a Parquet file is read.

In: a file. Out: rows a second of pyarrow alone on two threads; strings stay dictionaries.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

OURS = "tokenergy"
"""The encoding of files that the lake's own writer makes, with a codec of its own."""
CODECS: dict[str, tuple[str, int | None]] = {
    "none": ("none", None),
    "snappy": ("snappy", None),
    "lz4": ("lz4", None),
    "zstd 1": ("zstd", 1),
    "zstd 3": ("zstd", 3),
    "zstd 9": ("zstd", 9),
}


def decode(
    path: Path, columns: Sequence[str] | None, strings: Sequence[str], rows: int, runs: int
) -> float:
    """Return rows a second of two threads that read the file over and over; the median run.

    Args:
        path: the file.
        columns: those to read; all if None.
        strings: its columns of strings.
        rows: how many it has.
        runs: counted ones; each reads the file eight times.
    """
    import pyarrow.parquet as pq

    names = None if columns is None else list(columns)

    def read(_: int) -> int:
        with pq.ParquetFile(path, read_dictionary=list(strings)) as file:
            found: int = file.read(columns=names, use_threads=False).num_rows
        return found

    times = []
    with ThreadPoolExecutor(2) as pool:
        for _ in range(runs + 1):
            begin = time.perf_counter()
            total = sum(pool.map(read, range(8)))
            times.append(time.perf_counter() - begin)
            if total != 8 * rows:
                raise AssertionError(f"{path}: {total} rows read, expected {8 * rows}")
    return 8 * rows / statistics.median(times[1:])
