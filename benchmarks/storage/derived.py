"""Derived rows on disk: what a segment and a row of the ledger cost by codec, written and read.

In: minutes and a seed. Out: the tables `segment` (windows of 1 s) and `ledger` that the pipeline
makes of the profile `demo`, and the figures of their files. Readings are late as in `data`. All
files but the lake's own differ in the codec alone: encodings, extremes and checksums are those of
the lake's own writer.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.accuracy.trials import integrate
from benchmarks.storage import data
from benchmarks.storage.files import CODECS, OURS, decode
from tokenergy_collectors.lake.contract import POWER, TABLES, Table
from tokenergy_collectors.lake.writing import GROUP_ROWS, write_parquet
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site

if TYPE_CHECKING:
    import pyarrow as pa

NAMES = ("segment", "ledger")
LAYOUTS = (
    (OURS, "its own"),
    *(("delta", codec) for codec in ("none", "snappy", "lz4", "zstd 1", "zstd 3")),
)
"""Encoding and codec of every file that is written."""
_WRITES = 8
"""Writes of a file in one run."""


def tables(minutes: float = 60.0, seed: int = 0) -> dict[str, pa.Table]:
    """Return the derived tables by name: 960 rows a minute each, sorted, strings dictionaries."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory(prefix="tokenergy-storage-") as folder:
        lake = data.collect(folder, 10.0, minutes)
        files = {path: data.late(_read(path, POWER), rng) for path in lake.files("power")}
        for path, rows in files.items():
            write_parquet(rows, path, POWER)
        integrate(lake)
        index(lake, Site(None, None, {}), progress=lambda _: None)
        return {name: _sorted(lake.read(name), TABLES[name]) for name in NAMES}


def measure(name: str, rows: pa.Table, folder: Path, runs: int) -> list[dict[str, Any]]:
    """Write and read a table in every layout; return bytes a row and rows a second of each.

    Rows written are a second of CPU time, on one thread; rows read a second of two threads. Layouts
    take turns, so that what slows the machine for a while slows all of them; medians of the runs.

    Args:
        name: of the table.
        rows: in its sort order.
        folder: where the files are written.
        runs: counted ones.
    """
    spec = TABLES[name]
    paths = [folder / f"{name}-{place}.parquet" for place in range(len(LAYOUTS))]
    writers = [writer(*layout, spec) for layout in LAYOUTS]
    encoded: list[list[float]] = [[] for _ in LAYOUTS]
    decoded: list[list[float]] = [[] for _ in LAYOUTS]
    for _ in range(runs + 1):
        for write, path, rates in zip(writers, paths, encoded, strict=True):
            rates.append(_encode(write, rows, path))
        for path, rates in zip(paths, decoded, strict=True):
            rates.append(decode(path, None, strings(spec), rows.num_rows, 1))
    return [
        {
            "encoding": encoding,
            "codec": codec,
            "bytes_a_row": path.stat().st_size / rows.num_rows,
            "encoded_rows_per_s": statistics.median(written[1:]),
            "decoded_rows_per_s": statistics.median(read[1:]),
        }
        for (encoding, codec), path, written, read in zip(
            LAYOUTS, paths, encoded, decoded, strict=True
        )
    ]


def writer(encoding: str, codec: str, spec: Table) -> Callable[[pa.Table, Path], object]:
    """Return what writes rows of a table to a path in one layout."""
    if encoding == OURS:
        return lambda rows, path: write_parquet(rows, path, spec)
    import pyarrow.parquet as pq

    compression, level = CODECS[codec]
    integers = [c.name for c in spec.columns if c.type in ("int32", "int64")]

    def write(rows: pa.Table, path: Path) -> None:
        pq.write_table(
            rows,
            path,
            compression=compression,
            compression_level=level,
            row_group_size=GROUP_ROWS,
            use_dictionary=strings(spec),
            column_encoding=dict.fromkeys(integers, "DELTA_BINARY_PACKED"),
            store_schema=False,
            write_statistics=list(spec.sort),
            write_page_checksum=True,
        )

    return write


def strings(spec: Table) -> list[str]:
    """Return the names of a table's columns of strings."""
    return [column.name for column in spec.columns if column.type == "string"]


def text(name: str, rows: int, found: list[dict[str, Any]]) -> str:
    """Return one table's figures as they are printed."""
    lines = [
        f"\n{name}: {rows:,} rows",
        f"{'encoding':<20}{'codec':<9}{'bytes/row':>14}{'M rows/CPU s':>18}{'read, M rows/s':>16}",
        *(
            f"{each['encoding']:<20}{each['codec']:<9}{each['bytes_a_row']:>14.2f}"
            f"{each['encoded_rows_per_s'] / 1e6:>18.2f}{each['decoded_rows_per_s'] / 1e6:>16.1f}"
            for each in found
        ),
    ]
    return "\n".join(lines)


def _encode(write: Callable[[pa.Table, Path], object], rows: pa.Table, path: Path) -> float:
    """Write a file over and over; return rows a second of CPU time."""
    spent_s = 0.0
    for _ in range(_WRITES):
        path.unlink(missing_ok=True)
        begin_s = time.process_time()
        write(rows, path)
        spent_s += time.process_time() - begin_s
    count: int = rows.num_rows
    return _WRITES * count / spent_s


def _read(path: Path, spec: Table) -> pa.Table:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        rows: pa.Table = file.read().cast(spec.schema())
    return rows


def _sorted(rows: pa.Table, spec: Table) -> pa.Table:
    """Return rows in a table's sort order, in one piece, strings as dictionaries."""
    import pyarrow as pa

    texts = pa.dictionary(pa.int32(), pa.string())
    fields = [f.with_type(texts) if f.name in strings(spec) else f for f in spec.schema()]
    by = [(name, "ascending") for name in spec.sort]
    ordered: pa.Table = rows.sort_by(by).combine_chunks().cast(pa.schema(fields))
    return ordered
