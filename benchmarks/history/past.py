"""Makes a lake of a year in minutes: the days before the first one are copies of a day.

In: a lake. Out: the same lake with `segment`, `tokens`, `jobs`, `device` and the books of earlier
days.

To index 8,760 hours takes hours. So one day is indexed, of those jobs that end in it; its files are
written again for each earlier day, with other stamps and other names of jobs. What a step finds in
such a lake is what it finds in one that was indexed hour by hour, but:

- jobs never go on over midnight, and each day is like the others;
- each node's tokens of an hour are one file, not two; there is no `state`, which no step reads of
  hours that it does not derive;
- nothing is recorded of the inputs of these hours: the index takes them for new ones, so
  `tokenergy index` without `--hour` would derive them all, and is not measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.history.lake import add_hours
from benchmarks.scale.measure import SITE
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.arrays import digest_of
from tokenergy_collectors.lake.contract import HOUR_US, TABLES
from tokenergy_collectors.lake.paths import hour_of_path, node_of, partition, raw_name
from tokenergy_collectors.lake.published import BOOKS, path_of, tag_of
from tokenergy_sql.index.pipeline import index

_DAY_US = 24 * HOUR_US
_STAMPS = frozenset(("ts_us", "start_us", "end_us", "hour_us", "since_us", "recorded_us"))
"""Columns that are instants; others of microseconds are lengths of time."""

_Part = tuple[str, int, str, pa.Table]
"""Table, hour (us UTC), node and rows of a file."""


def add_past(lake: Lake, devices: int, hours: int) -> None:
    """Add whole days before the first hour of a fleet.

    Args:
        lake: has hours that `add_hours` made.
        devices: number of boards.
        hours: how many to add, at most.
    """
    with TemporaryDirectory(prefix="bench-day-") as folder:
        day = Lake(folder, create=True)
        add_hours(day, devices, range(24), whole_jobs=True)
        index(day, SITE, progress=lambda _: None, catalog=False)
        parts = [*_parts(day)]
    tags = lake.books.current().copied()
    for number in range(1, hours // 24 + 1):
        for table, hour_us, node, rows in parts:
            moved = _moved(rows, number)
            before_us = hour_us - number * _DAY_US
            if table in BOOKS:
                tags.setdefault(table, {})[before_us] = _write_book(lake, table, before_us, moved)
            else:
                _write(lake.root / table / partition(before_us) / _name(table, node, moved), moved)
    lake.books.publish(lake.books.current().revision, tags)


def _parts(day: Lake) -> Iterator[_Part]:
    for table in ("segment", "device", "jobs", "tokens", *BOOKS):
        groups: dict[tuple[int, str], list[Path]] = {}
        for path in day.files(table):
            groups.setdefault((hour_of_path(path), node_of(path)), []).append(path)
        for (hour_us, node), paths in groups.items():
            rows = pa.concat_tables(pq.ParquetFile(path).read() for path in paths)
            order = [(name, "ascending") for name in TABLES[table].sort]
            yield table, hour_us, node, rows.sort_by(order)


def _moved(rows: pa.Table, days: int) -> pa.Table:
    """Return rows some days earlier, of other jobs."""
    for place, name in enumerate(rows.column_names):
        if name in _STAMPS:
            rows = rows.set_column(place, name, pc.subtract(rows[name], days * _DAY_US))
        elif name == "job_id":
            ids = rows[name].cast(pa.string())
            rows = rows.set_column(
                place, name, pc.binary_join_element_wise(ids, f"{days:04d}", "-")
            )
    return rows


def _name(table: str, node: str, rows: pa.Table) -> str:
    if TABLES[table].layer == "derived":
        return f"{node}.parquet"
    return raw_name(node, pc.min(rows[TABLES[table].time]).as_py(), digest_of(rows)[:12])


def _write_book(lake: Lake, table: str, hour_us: int, rows: pa.Table) -> str:
    path = path_of(lake.root, table, hour_us, "made")
    _write(path, rows)
    tag = tag_of(path)
    path.rename(path_of(lake.root, table, hour_us, tag))
    return tag


def _write(path: Path, rows: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path, compression="lz4", store_schema=False, write_page_checksum=True)
