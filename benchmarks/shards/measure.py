"""Indexes a lake of one hour in this process and prints one line of JSON.

`python -m benchmarks.shards.measure LAKE SHARDS WORKERS`. A process of its own, so that peak memory
and processor time are its own; those of its workers are told apart. Compiled kernels are loaded, or
compiled, on a small lake before the clock starts; workers load them while it runs.
"""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.scale.fleet import make_lake
from benchmarks.scale.measure import SITE
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.published import list_path
from tokenergy_collectors.lake.reading import rows_of
from tokenergy_sql.index import groups
from tokenergy_sql.index.pipeline import index


@contextmanager
def divided(lake: Lake, shards: int) -> Iterator[int]:
    """Divide the hour into about so many groups of nodes; yield how many there are."""
    rows = [rows_of(path) for path in lake.files("segment")]
    # Whole nodes: as many as a share holds, and no more groups than shards.
    most = max(-(-len(rows) // shards) * max(rows), 1)
    with mock.patch.object(groups, "GROUP_ROWS", sum(rows) if shards == 1 else most):
        yield len(groups.groups_of(lake, lake.hours("segment")[0])) or 1


def measured(lake: Lake, shards: int, workers: int) -> dict[str, Any]:
    """Index a lake without books; return what it took, and a digest of all derived files."""
    for name in ("books", "revisions", "cache"):
        shutil.rmtree(lake.root / name, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="bench-shards-") as folder:
        index(make_lake(Path(folder), 3, 1)[0], SITE, progress=lambda _: None)
    with divided(lake, shards) as count:
        begin, used = time.perf_counter(), _cpu_s()
        index(lake, SITE, progress=lambda _: None, catalog=False, shards=workers)
        took, cpu_s = time.perf_counter() - begin, _cpu_s() - used
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return {
        "groups": count,
        "seconds": took,
        "cpu_seconds": cpu_s,
        "peak_mib": max(resource.getrusage(kind).ru_maxrss for kind in kinds) / 1024,
        # The list names every file by a digest of its bytes.
        "digest": hashlib.sha256(list_path(lake.root).read_bytes()).hexdigest()[:16],
    }


def _cpu_s() -> float:
    """Return the processor time of this process, and of its workers that have ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(sum(resource.getrusage(kind)[:2]) for kind in kinds)


def main() -> None:
    """Index the lake that is named and print what it took."""
    root, shards, workers = sys.argv[1:]
    print(json.dumps(measured(Lake(root), int(shards), int(workers))))


if __name__ == "__main__":
    main()
