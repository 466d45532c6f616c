"""`tokenergy-collect import prometheus`: its options, its progress and its words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def prometheus(
    url: Annotated[
        str,
        typer.Option(
            "--url", help="Address of the store, up to but without /api/v1.", metavar="URL"
        ),
    ],
    start: Annotated[
        str,
        typer.Option(
            "--from", help="First instant: ISO 8601 (UTC), Unix seconds, or how long ago: 6h, 7d."
        ),
    ],
    lake: Annotated[
        Path,
        typer.Option("--lake", envvar="TOKENERGY_LAKE", help="Lake folder; created if missing."),
    ],
    end: Annotated[str, typer.Option("--to", help="The instant after the last.")] = "now",
    match: Annotated[
        str,
        typer.Option(help="Only series with these labels, as in PromQL.", metavar="MATCHERS"),
    ] = "",
    job_label: Annotated[
        str | None,
        typer.Option(
            help="Labels that name a job, separated by commas. Otherwise: Slurm's, then the pod's.",
            metavar="NAMES",
        ),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(help="What other metrics and labels are (TOML).", metavar="FILE"),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(help="Cluster whose job ids these are; a job is then CLUSTER/ID."),
    ] = None,
    node: Annotated[str | None, typer.Option(help="Host of series whose labels name none.")] = None,
    exporter_interval: Annotated[
        str,
        typer.Option(
            help="How often dcgm-exporter reads its boards (its -c or DCGM_EXPORTER_INTERVAL)."
        ),
    ] = "30s",
    bearer_file: Annotated[
        Path | None,
        typer.Option(help="File that holds the key for Authorization: Bearer.", metavar="FILE"),
    ] = None,
    header_file: Annotated[
        Path | None,
        typer.Option(
            help="File of headers, such as X-Scope-OrgID: team-a; one a line.", metavar="FILE"
        ),
    ] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option(help="Certificates (PEM) that sign the store's.", metavar="FILE"),
    ] = None,
    timeout: Annotated[str, typer.Option(help="How long one answer may take.")] = "2m",
    chunk: Annotated[
        str, typer.Option(help="How much time is read and written at once: a part of an hour.")
    ] = "1h",
    settle: Annotated[
        str,
        typer.Option(help="Samples younger than this may still arrive; they are left for later."),
    ] = "2m",
    again: Annotated[
        bool,
        typer.Option("--again", help="Read what was imported again; only what is new is written."),
    ] = False,
) -> None:
    """Import power, energy, tokens and jobs that a Prometheus already has.

    Works with Prometheus, Thanos, VictoriaMetrics and Mimir. It reads the
    metrics of dcgm-exporter and nvidia_gpu_exporter, and the token counters of
    inference servers, sample by sample. Jobs come from the labels of pods or
    Slurm jobs; their edges are known to a scrape.

    Stopped, it continues where it was. Importing a time twice changes nothing.
    """
    from tokenergy_collectors.base.durations import parse_duration
    from tokenergy_collectors.base.progress import progress_bar
    from tokenergy_collectors.importers.prometheus.client import Door
    from tokenergy_collectors.importers.prometheus.plan import order
    from tokenergy_collectors.importers.prometheus.run import import_prometheus
    from tokenergy_collectors.importers.saying import many, report
    from tokenergy_collectors.lake import Lake

    door = Door(url, bearer_file, header_file, ca_file, parse_duration(timeout) / 1_000_000)
    what = order(
        door,
        start,
        end,
        chunk_us=parse_duration(chunk),
        settle_us=parse_duration(settle),
        matchers=match,
        job_labels=job_label,
        mapping=mapping,
        cluster=cluster,
        node=node,
        exporter_interval_us=parse_duration(exporter_interval),
        again=again,
    )
    with progress_bar() as bar:
        task = bar.add_task(f"import {url}", total=None)
        result = import_prometheus(
            Lake(lake, create=True),
            what,
            on_chunk=lambda done, of: bar.update(task, completed=done, total=of),
        )
    rows = result.rows
    report(
        result,
        f"{many(rows.get('power', 0), 'reading')} of {many(result.devices, 'device')}, "
        f"{many(rows.get('tokens', 0), 'counter reading')}, "
        f"{many(rows.get('jobs', 0), 'allocation')}",
    )
