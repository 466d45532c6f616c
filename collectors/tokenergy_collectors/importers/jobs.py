"""Imports job lists.

In: one CSV file (`sources.jobs.jobsfile`). Out: rows of `jobs`, with nodes and devices as they were
listed: which device was meant is resolved when they are read. Records are never changed: an
allocation that differs from the lake's is recorded again, and `lake/corrections` says which record
counts. An allocation that a corrected list no longer has stays in the lake.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.result import ImportResult
from tokenergy_collectors.lake.contract import JOBS
from tokenergy_collectors.lake.corrections import Records
from tokenergy_collectors.lake.identity import read_identity
from tokenergy_collectors.lake.jobkey import checked_cluster
from tokenergy_collectors.lake.paths import escape_node
from tokenergy_collectors.sources.jobs import remarks
from tokenergy_collectors.sources.jobs.jobsfile import Job, read_jobs

if TYPE_CHECKING:
    from tokenergy_collectors.lake import Lake


def import_jobs(lake: Lake, path: str | Path, cluster: str | None = None) -> ImportResult:
    """Read a list completely, then record the allocations that differ from the lake's.

    Args:
        lake: where to write.
        path: the list.
        cluster: the cluster of rows that name none.

    Raises:
        UserError: the list cannot be used, and nothing was written; or the lake cannot be written.
    """
    result = ImportResult()
    jobs = _read(path, cluster, result)
    if not jobs:
        return result
    record(lake, jobs, result, path)
    return result


def record(
    lake: Lake,
    jobs: Sequence[Mapping[str, Any]],
    result: ImportResult,
    path: str | Path,
    refused: Sequence[str] = ("ambiguous",),
) -> None:
    """Record the allocations of a list that differ from the lake's.

    Args:
        lake: where to write.
        jobs: rows of `jobs` without `recorded_us`, as they were listed.
        result: gets what was read and written, and what has to be said about it.
        path: where the list comes from, for messages.
        refused: cases of names of devices (see `Remark`) that are errors.

    Raises:
        UserError: a name of a device or of a node cannot be used, and nothing was written; or the
            lake cannot be written.
    """
    for node in {job["node"] for job in jobs}:
        escape_node(node)
    before = lake.read("jobs").to_pylist()
    identity = read_identity(lake, [*jobs, *before])
    explained = [identity.explained(job) for job in jobs]
    said = remarks.of_devices(jobs, explained)
    for case in refused:
        if case in said:
            raise UserError(f"{path}: {said[case]}: expected the whole UUID or the index")
    result.warnings += [*said.values(), *remarks.of_nodes(identity, jobs)]
    resolved = [row for row, _ in explained]
    if why := remarks.of_two_names(jobs, explained):
        raise UserError(f"{path}: {why}")
    _describe(result, resolved)
    recorded = Records(map(identity.resolved, before))
    changed = recorded.to_record(resolved)
    earliest_us = recorded.outranks_us(resolved[place] for place in changed)
    recorded_us = _write(lake, [jobs[place] for place in changed], earliest_us, result)
    for place in changed:
        recorded.add({**resolved[place], "recorded_us": recorded_us})
    result.warnings += remarks.of_rest(recorded.rest(resolved))


def _read(path: str | Path, cluster: str | None, result: ImportResult) -> list[Job]:
    try:
        cluster = checked_cluster(cluster)
    except ValueError as error:
        raise UserError(f"--cluster: {error}") from None
    jobs = read_jobs(path, cluster=cluster, left_out=result.left_out)
    if not jobs and not result.left_out.count:
        raise UserError(f"{path}: has no jobs: expected lines after the header")
    return jobs


def _describe(result: ImportResult, rows: Sequence[Mapping[str, Any]]) -> None:
    """Note how many allocations and devices a list has, and the time that they span."""
    result.rows["jobs"] = len(rows)
    result.devices = len({row["device_id"] for row in rows})
    stamps = [stamp for row in rows for stamp in (row["start_us"], row["end_us"])]
    result.first_us = min(stamp for stamp in stamps if stamp is not None)
    result.last_us = max(stamp for stamp in stamps if stamp is not None)
    if withdrawn := sum(row["end_us"] == row["start_us"] for row in rows):
        result.notes.append(f"withdrawn, since they end at their start: {withdrawn}")


def _write(
    lake: Lake, jobs: Sequence[Mapping[str, Any]], earliest_us: int, result: ImportResult
) -> int:
    """Record the jobs that differ, all at one time, which is not before `earliest_us`.

    Returns:
        That time, us UTC.
    """
    import pyarrow as pa

    recorded_us = max(time.time_ns() // 1000, earliest_us)
    for node in sorted({job["node"] for job in jobs}):
        rows = [{**job, "recorded_us": recorded_us} for job in jobs if job["node"] == node]
        table = pa.Table.from_pylist(rows, schema=JOBS.schema())
        # Not a digest: a correction that is taken back has the rows of the first record, but must
        # be recorded again to count.
        result.files += lake.append("jobs", table, node, tag=str(recorded_us))
    if jobs:
        result.written["jobs"] = len(jobs)
    return recorded_us
