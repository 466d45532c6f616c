"""Imports the run of a benchmark: its tokens, its requests, and the job that it is.

In: a file, the boards that the server used. Out: rows of `tokens`, `requests` and `jobs`. All is
checked before anything is written, and what the lake holds already is not written again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.benchmark.clock import Said, Span, span_of
from tokenergy_collectors.importers.benchmark.points import placed
from tokenergy_collectors.importers.benchmark.reading import read_run
from tokenergy_collectors.importers.benchmark.rows import Row, job_row, request_rows, token_rows
from tokenergy_collectors.importers.benchmark.run import US_PER_S, Run
from tokenergy_collectors.importers.counterdoubts import of_cluster
from tokenergy_collectors.importers.jobs import record
from tokenergy_collectors.importers.result import ImportResult, write_new
from tokenergy_collectors.lake.arrays import to_batch
from tokenergy_collectors.lake.contract import HOUR_US, TABLES
from tokenergy_collectors.lake.corrections import Records
from tokenergy_collectors.lake.devicenames import listed_devices
from tokenergy_collectors.lake.identity import read_identity
from tokenergy_collectors.lake.jobkey import checked_cluster, job_key
from tokenergy_collectors.lake.paths import escape_node

if TYPE_CHECKING:
    from tokenergy_collectors.lake import Lake


@dataclass(frozen=True, slots=True)
class Where:
    """What the file does not know.

    Attributes:
        node: host of the server.
        devices: boards of the server, each as in a job list: `0-3`, a UUID; none: the run is of a
            job that the lake has, such as a pod, and becomes none of its own.
        job_id: id of the job that the run becomes; None: named as the file.
        model: name of the model; None: as in the file.
        cluster: cluster that the job's id belongs to.
    """

    node: str
    devices: Sequence[str]
    job_id: str | None = None
    model: str | None = None
    cluster: str | None = None


def import_benchmark(lake: Lake, path: Path, where: Where, said: Said) -> ImportResult:
    """Read a file completely, then add the rows that the lake does not hold yet.

    Args:
        lake: where to write.
        path: the file.
        where: on which boards, as which job.
        said: what the user says of its times.

    Raises:
        UserError: the file cannot be used, it does not say when the run was, or the lake holds
            something else of that time; nothing was written. Or the lake cannot be written.
    """
    where = _checked(where)
    run = read_run(path)
    try:
        if run.generated == 0:
            raise UserError(f"no token was generated in {run.answered} requests: nothing to import")
        span = span_of(run, said)
        job_id = _job_id(where, run)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    named = {"node": where.node, "job_id": job_id, "cluster": where.cluster}
    jobs = [job_row(run, span, device, named) for device in _devices(where)]
    result = ImportResult(first_us=span.start_us, last_us=span.end_us)
    source_id = f"import:{job_id}"
    source = {**named, "source_id": source_id, "model": where.model or run.model}
    try:
        if jobs:
            _refuse_others(lake, jobs)
        _refuse_counted(lake, job_key(where.cluster, job_id), span, source_id)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    _remark(run, span, result)
    if jobs:
        record(lake, jobs, result, path, refused=("ambiguous", "unknown"))
    else:
        result.warnings += of_cluster(lake, job_id, where.cluster)
    for name, rows in (
        ("tokens", token_rows(run, span, source)),
        ("requests", request_rows(run, span, source)),
    ):
        _add(lake, name, rows, where.node, result)
    return result


def _checked(where: Where) -> Where:
    escape_node(where.node)
    for option, text in (("--job-id", where.job_id), ("--model", where.model)):
        if text is not None and not text.strip():
            raise UserError(f"{option} {text!r}: expected a name that is not empty")
    try:
        return replace(where, cluster=checked_cluster(where.cluster))
    except ValueError as error:
        raise UserError(f"--cluster: {error}") from None


def _job_id(where: Where, run: Run) -> str:
    job_id = where.job_id or run.name
    if not job_id.strip():
        raise UserError("neither the file nor its folder has a name for the job: give --job-id")
    return job_id


def _devices(where: Where) -> list[str]:
    try:
        found = [one for text in where.devices for one in listed_devices(text)]
    except ValueError as error:
        raise UserError(f"--device: {error}") from None
    if twice := sorted({one for one in found if found.count(one) > 1}):
        raise UserError(f"--device {twice[0]}: is named twice")
    return found


def _add(lake: Lake, name: str, rows: Sequence[Row], node: str, result: ImportResult) -> None:
    import pyarrow as pa

    table = pa.Table.from_batches([to_batch(rows, TABLES[name].schema())])
    write_new(lake, name, table, node, result)


def _refuse_others(lake: Lake, jobs: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a run where the lake has something else of its job, or of its boards, at its time."""
    before = lake.read("jobs").to_pylist()
    identity = read_identity(lake, [*jobs, *before])
    mine, known = [*map(identity.resolved, jobs)], [*map(identity.resolved, before)]
    key, span = _key(mine[0]), Span(mine[0]["start_us"], mine[0]["end_us"])
    for row in known:
        # Withdrawn ones too: what they counted is still there, and would be added.
        if _key(row) == key and _overlaps(row, span) and _times(row) != _times(mine[0]):
            raise UserError(
                f"job {key!r} has an allocation from {_utc(row['start_us'])} to "
                f"{_utc(row['end_us'])}, which overlaps this run, from {_utc(span.start_us)} to "
                f"{_utc(span.end_us)}: give another --job-id"
            )
    listed = {row["device_id"]: job["device_id"] for row, job in zip(mine, jobs, strict=True)}
    for one in Records(known).current():
        board = listed.get(one["device_id"])
        if _key(one) == key and _overlaps(one, span) and board is None:
            if one["node"] == mine[0]["node"]:
                raise UserError(
                    f"job {key!r} had {one['device_id']} in this run, which --device does not "
                    "name: give the same, or withdraw that allocation "
                    "(docs/benchmarks-of-servers.md)"
                )
        elif _key(one) != key and _overlaps(one, span) and board is not None:
            raise UserError(
                f"job {_key(one)!r} holds {board} of {one['node']} in that time too, and each "
                "would get half of its energy: withdraw that allocation, or count the tokens for "
                "that job with --tokens-only (docs/benchmarks-of-servers.md)"
            )


def _overlaps(row: Mapping[str, Any], span: Span) -> bool:
    end_us = span.end_us if row["end_us"] is None else row["end_us"]
    return bool(max(row["start_us"], span.start_us) < min(end_us, span.end_us))


def _times(row: Mapping[str, Any]) -> tuple[int, int | None]:
    return row["start_us"], row["end_us"]


def _refuse_counted(lake: Lake, key: str, span: Span, source_id: str) -> None:
    """Refuse a run whose tokens another source, or another import, has counted for the same job."""
    first = span.start_us // HOUR_US * HOUR_US
    rows = lake.read(
        "tokens",
        range(first, span.end_us + 1, HOUR_US),
        columns=["ts_us", "source_id", "job_id", "cluster", "since_us"],
        between_us=(span.start_us + 1, span.end_us),
    ).to_pylist()
    for row in rows:
        if _key(row) == key and (row["source_id"], row["since_us"]) != (source_id, span.start_us):
            raise UserError(
                f"source {row['source_id']!r} counted tokens of job {key!r} in that time, and both "
                "would be added: give another --job-id"
            )


def _key(row: Mapping[str, Any]) -> str:
    return job_key(row["cluster"], row["job_id"])


def _remark(run: Run, span: Span, result: ImportResult) -> None:
    """Note what the file does not tell, and warn of what may be wrong with it."""
    result.warnings += run.warnings
    if span.doubt_us:
        result.notes.append(
            f"its end is the file's date: up to {span.doubt_us // US_PER_S} s late, which the "
            "bounds hold"
        )
    if not placed(run, span):
        result.notes.append("no times of requests: tokens are known for the run as a whole")
    if run.failed:
        result.warnings.append(
            f"{run.failed} of {run.failed + run.answered} requests failed: the boards worked on "
            "them too, but the file has no tokens of them, so J/token is that of the answered ones"
        )


def _utc(stamp_us: int | None) -> str:
    if stamp_us is None:
        return "now"
    return f"{datetime.fromtimestamp(stamp_us / US_PER_S, UTC):%Y-%m-%dT%H:%M:%SZ}"
