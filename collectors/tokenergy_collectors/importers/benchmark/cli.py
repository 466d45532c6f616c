"""`tokenergy-collect import benchmark`: the runs of vLLM's and AIPerf's benchmarks become jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.options import Cluster, LakeDir
from tokenergy_collectors.importers.saying import many, report


def benchmark(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="One file a run; see below.")],
    lake: LakeDir,
    node: Annotated[str, typer.Option("--node", help="Host of the server's GPUs.")],
    device: Annotated[
        list[str] | None,
        typer.Option(
            "--device", metavar="GPUS", help="GPUs of the server: 0, 0-3, a UUID; repeat for more."
        ),
    ] = None,
    job_id: Annotated[
        str | None,
        typer.Option(
            "--job-id",
            metavar="ID",
            help="Job that the run becomes.",
            show_default="the file's name; of AIPerf its folder's",
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When the run began, where the file does not say it."),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When the run ended, where the file does not say it."),
    ] = None,
    tz: Annotated[
        str | None,
        typer.Option(
            metavar="ZONE", help="Time zone of local times in the file, such as Europe/Berlin."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Model name.", show_default="as in the file")
    ] = None,
    cluster: Cluster = None,
    tokens_only: Annotated[
        bool,
        typer.Option(
            "--tokens-only",
            help="Make no job: a job of the lake holds the GPUs, and --job-id names it.",
        ),
    ] = False,
) -> None:
    """Import runs of a benchmark: each becomes a job with its tokens and requests.

    Reads what these wrote, while the daemon (or a log) recorded the power:

    \b
    vllm bench serve --save-result     the JSON file
    aiperf profile                     profile_export.jsonl (better), or
                                       profile_export_aiperf.json

    vLLM writes no start, and its end in local time up to 2 s late: give the
    client's --tz, or --end (or --start) exactly. TIME has an offset, such as
    2026-11-30T12:05:00Z, or is Unix seconds. With times of the requests
    (--save-detailed, profile_export.jsonl) tokens are known second by second.
    """
    from tokenergy_collectors.importers.benchmark.clock import Said
    from tokenergy_collectors.importers.benchmark.importing import Where, import_benchmark
    from tokenergy_collectors.lake import Lake

    if tokens_only and (job_id is None or device):
        raise UserError(
            "--tokens-only: needs the --job-id of the job that holds the GPUs, no --device"
        )
    if not tokens_only and not device:
        raise UserError("--device: missing; name the GPUs of the server, such as --device 0-7")
    if len(files) > 1:
        for option, text in (("--job-id", job_id), ("--start", start), ("--end", end)):
            if text is not None:
                raise UserError(f"{option}: is of one run, and there are {len(files)} files")
    opened = Lake(lake, create=True)
    where, said = Where(node, device or [], job_id, model, cluster), Said(start, end, tz)
    for file in files:
        result = import_benchmark(opened, file, where, said)
        on = f" on {many(result.devices, 'device')}" if device else f" of job {job_id}"
        report(
            result,
            f"a run{on}, {many(result.rows.get('tokens', 0), 'token reading')}",
        )
