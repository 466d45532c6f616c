"""Writes `job_index`: a file for each hour in which a job began, those that differ.

In: the rows of all jobs. Out: files of a lake. A file is not written again while its rows have the
digest that `cache/job_index.json` remembers, and nobody has touched it. The cache may be removed
at any time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.arrays import digest_of
from tokenergy_collectors.lake.contract import JOB_INDEX
from tokenergy_collectors.lake.paths import hour_of
from tokenergy_sql.revisions.recorder import Recorder

if TYPE_CHECKING:
    import pyarrow as pa

CACHE = "cache/job_index.json"

_Written = dict[str, list[Any]]
"""By hour (us UTC): size, time (ns) and digest of the rows of a file."""


def write_job_files(lake: Lake, rows: pa.Table, record: Recorder) -> None:
    """Write the files of `job_index` whose rows are not those of their file.

    Args:
        lake: the lake.
        rows: of all jobs; columns of `job_index`, in any order.
        record: writes the files.
    """
    import pyarrow as pa

    rows = rows.select(JOB_INDEX.column_names).cast(JOB_INDEX.schema()).combine_chunks()
    # In one order, whatever DuckDB's threads did: the digest depends on it.
    rows = rows.sort_by([(name, "ascending") for name in JOB_INDEX.sort])
    by_hour: dict[int, list[int]] = {hour: [] for hour in lake.hours(JOB_INDEX.name)}
    for place, start_us in enumerate(rows["start_us"].to_pylist()):
        by_hour.setdefault(hour_of(start_us), []).append(place)
    before, after = _read(lake), _Written()
    for hour, places in sorted(by_hour.items()):
        of_hour = rows.take(pa.array(places, pa.int64()))
        digest = digest_of(of_hour)
        noted = _noted(lake, hour, digest)
        if noted is None or before.get(str(hour)) != noted:
            record.write(JOB_INDEX.name, of_hour, hour)
            noted = _noted(lake, hour, digest)
        if noted is not None:
            after[str(hour)] = noted
    if after != before:
        _write(lake, after)


def _noted(lake: Lake, hour_us: int, digest: str) -> list[Any] | None:
    path = lake.books.file(JOB_INDEX.name, hour_us)
    try:
        stat = path.stat() if path else None
    except FileNotFoundError:
        return None
    return stat and [stat.st_size, stat.st_mtime_ns, digest]


def _read(lake: Lake) -> _Written:
    try:
        found = json.loads((lake.root / CACHE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(lake: Lake, written: Mapping[str, list[Any]]) -> None:
    path = lake.root / CACHE
    with suppress(OSError):  # then all files are written again, as without a cache
        path.parent.mkdir(exist_ok=True)
        aside = path.with_name(f".{path.name}.tmp")
        aside.write_text(json.dumps(written), "utf-8")
        aside.replace(path)
