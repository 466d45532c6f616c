"""Imports job lists.

In: one CSV file (`sources.jobs.jobsfile`). Out: rows of `jobs`. Records are never changed: an
allocation that differs from the lake's is recorded again, and the latest record counts. An
allocation that a corrected list no longer has stays in the lake.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.result import ImportResult
from tokenergy_collectors.lake.allocations import device_index, records, resolve
from tokenergy_collectors.lake.contract import JOBS
from tokenergy_collectors.lake.paths import escape_node
from tokenergy_collectors.sources.jobs.jobsfile import Job, read_jobs

if TYPE_CHECKING:
    from tokenergy_collectors.lake import Lake


def import_jobs(lake: Lake, path: str | Path) -> ImportResult:
    """Read a list completely, then record the allocations that differ from the lake's.

    Raises:
        UserError: the list cannot be used, and nothing was written; or the lake cannot be written.
    """
    import pyarrow as pa

    result = ImportResult()
    jobs = read_jobs(path, left_out=result.left_out)
    if not jobs and result.left_out.count:
        return result
    if not jobs:
        raise UserError(f"{path}: has no jobs: expected lines after the header")
    nodes = sorted({job["node"] for job in jobs})
    for node in nodes:
        escape_node(node)
    result.rows["jobs"] = len(jobs)
    result.devices = len({(job["node"], job["device_id"]) for job in jobs})
    stamps = [stamp for job in jobs for stamp in (job["start_us"], job["end_us"])]
    result.first_us = min(stamp for stamp in stamps if stamp is not None)
    result.last_us = max(stamp for stamp in stamps if stamp is not None)
    changed, recorded_us = _changed(lake, jobs)
    for node in nodes:
        rows = [{**job, "recorded_us": recorded_us} for job in changed if job["node"] == node]
        if rows:
            table = pa.Table.from_pylist(rows, schema=JOBS.schema())
            # Not a digest: a correction that is taken back has the rows of the first record, but
            # must be recorded again to count.
            result.files += lake.append("jobs", table, node, tag=str(recorded_us))
    if changed:
        result.written["jobs"] = len(changed)
    return result


def _changed(lake: Lake, jobs: list[Job]) -> tuple[list[Job], int]:
    """Return the jobs that differ from the lake's, and a stamp later than its records of them."""
    index = device_index(lake)
    recorded = {(row["job_id"], row["device_id"], row["start_us"]): row for row in records(lake)}
    changed = []
    recorded_us = time.time_ns() // 1000
    for job in jobs:
        device_id = resolve(index, job["node"], job["device_id"])
        row = recorded.get((job["job_id"], device_id, job["start_us"]))
        listed: dict[str, Any] = {**job, "device_id": device_id}
        if row is not None and all(row[name] == value for name, value in listed.items()):
            continue
        changed.append(job)
        # A record from a host whose clock was ahead would otherwise outrank every correction.
        recorded_us = max(recorded_us, row["recorded_us"] + 1 if row is not None else 0)
    return changed, recorded_us
