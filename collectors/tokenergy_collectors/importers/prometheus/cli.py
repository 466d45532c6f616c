"""`tokenergy-collect import prometheus`: its options, its progress and its words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.options import Cluster, LakeDir
from tokenergy_collectors.importers.prometheus.rounds import Rounds

if TYPE_CHECKING:
    from tokenergy_collectors.importers.prometheus.plan import Order
    from tokenergy_collectors.importers.result import ImportResult
    from tokenergy_collectors.lake import Lake

Url = Annotated[
    str,
    typer.Option("--url", help="Address of the store, up to but without /api/v1.", metavar="URL"),
]
From = Annotated[
    str,
    typer.Option(
        "--from", help="First instant: ISO 8601 (UTC), Unix seconds, or how long ago: 6h, 7d."
    ),
]
To = Annotated[str, typer.Option("--to", help="The instant after the last.")]
Match = Annotated[
    str, typer.Option(help="Only series with these labels, as in PromQL.", metavar="MATCHERS")
]
JobLabel = Annotated[
    str | None,
    typer.Option(
        help="Labels that name a job, separated by commas. Otherwise: Slurm's, then the pod's.",
        metavar="NAMES",
    ),
]
MappingFile = Annotated[
    Path | None, typer.Option(help="What other metrics and labels are (TOML).", metavar="FILE")
]
Node = Annotated[str | None, typer.Option(help="Host of series whose labels name none.")]
ExporterInterval = Annotated[
    str,
    typer.Option(
        help="How often dcgm-exporter reads its boards (its -c or DCGM_EXPORTER_INTERVAL)."
    ),
]
BearerFile = Annotated[
    Path | None,
    typer.Option(help="File that holds the key for Authorization: Bearer.", metavar="FILE"),
]
HeaderFile = Annotated[
    Path | None,
    typer.Option(
        help="File of headers, such as X-Scope-OrgID: team-a; one a line.", metavar="FILE"
    ),
]
CaFile = Annotated[
    Path | None, typer.Option(help="Certificates (PEM) that sign the store's.", metavar="FILE")
]
Timeout = Annotated[str, typer.Option(help="How long one answer may take.")]
Chunk = Annotated[
    str, typer.Option(help="How much time is read and written at once: a part of an hour.")
]
Settle = Annotated[
    str, typer.Option(help="Samples younger than this may still arrive; they are left for later.")
]
Again = Annotated[
    bool,
    typer.Option("--again", help="Read what was imported again; only what is new is written."),
]

Every = Annotated[
    str | None,
    typer.Option(
        help="Import again so long after each import, until SIGTERM or Ctrl-C; 15m is a good "
        "choice. Each round looks back as far as --from says."
    ),
]


def prometheus(
    url: Url,
    start: From,
    lake: LakeDir,
    end: To = "now",
    match: Match = "",
    job_label: JobLabel = None,
    mapping: MappingFile = None,
    cluster: Cluster = None,
    node: Node = None,
    exporter_interval: ExporterInterval = "30s",
    bearer_file: BearerFile = None,
    header_file: HeaderFile = None,
    ca_file: CaFile = None,
    timeout: Timeout = "2m",
    chunk: Chunk = "1h",
    settle: Settle = "2m",
    again: Again = False,
    every: Every = None,
) -> None:
    """Import power, energy, tokens and jobs that a Prometheus already has.

    Works with Prometheus, Thanos, VictoriaMetrics and Mimir. It reads the
    metrics of dcgm-exporter and nvidia_gpu_exporter, and the token counters of
    inference servers, sample by sample. Jobs come from the labels of pods or
    Slurm jobs; their edges are known to a scrape.

    Stopped, it continues where it was. Importing a time twice changes nothing.
    With --every it goes on: tokenergy-collect import prometheus --from 1d --every 15m …
    """
    if every is not None and (end != "now" or again):
        raise UserError("--every: imports what is new; leave --to and --again out")
    from tokenergy_collectors.base.durations import parse_duration
    from tokenergy_collectors.importers.prometheus.client import Door
    from tokenergy_collectors.importers.prometheus.plan import order
    from tokenergy_collectors.lake import Lake as LakeFolder

    door = Door(url, bearer_file, header_file, ca_file, parse_duration(timeout) / 1_000_000)

    def ordered() -> Order:
        return order(
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

    what = ordered()
    into = LakeFolder(lake, create=True)
    if every is None:
        _say(_once(into, what, lambda: None))
        return
    rounds = Rounds(parse_duration(every), lambda line: typer.echo(line, err=True))
    rounds.on_signals()
    # A round that finds nothing says nothing: the first one is for the person who waits.
    rounds.run(lambda: _say(_once(into, ordered(), rounds.go_on), quiet=rounds.done > 0))


def _once(lake: Lake, what: Order, go_on: Callable[[], None]) -> ImportResult:
    """Import what an order asks for, with a bar; `go_on` may end it after any chunk."""
    from tokenergy_collectors.base.progress import progress_bar
    from tokenergy_collectors.importers.prometheus.run import import_prometheus

    with progress_bar() as bar:
        task = bar.add_task(f"import {what.door.url}", total=None)

        def on_chunk(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of)
            go_on()

        return import_prometheus(lake, what, on_chunk=on_chunk)


def _say(result: ImportResult, *, quiet: bool = False) -> None:
    from tokenergy_collectors.importers.saying import many, report

    rows = result.rows
    if quiet and not result.written:
        return
    report(
        result,
        f"{many(rows.get('power', 0), 'reading')} of {many(result.devices, 'device')}, "
        f"{many(rows.get('tokens', 0), 'counter reading')}, "
        f"{many(rows.get('jobs', 0), 'allocation')}",
    )
