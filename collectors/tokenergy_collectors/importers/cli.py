"""`tokenergy-collect import ...`: imports recorded logs; one command for each kind of file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokenergy_collectors.base.helpgroup import HelpGroup
from tokenergy_collectors.importers.benchmark.cli import benchmark
from tokenergy_collectors.importers.options import Cluster, LakeDir
from tokenergy_collectors.importers.prometheus.cli import prometheus
from tokenergy_collectors.importers.saying import many as _many
from tokenergy_collectors.importers.saying import report as _report

if TYPE_CHECKING:
    from tokenergy_collectors.base.csvfile import Progress

app = typer.Typer(
    name="import",
    cls=HelpGroup,
    help="Import recorded logs. Importing a file twice changes nothing.",
    no_args_is_help=True,
)

_BAR_FROM_BYTES = 50_000_000

File = Annotated[Path, typer.Argument(help="The file to read.", metavar="FILE")]
Node = Annotated[
    str, typer.Option("--node", help="Name of the host that the file was recorded on.")
]


@app.command(
    "nvidia-smi",
    epilog="Example: tokenergy-collect import nvidia-smi power.csv --lake ./lake --node gpu-01 "
    "--tz Europe/Berlin",
)
def nvidia_smi(
    file: File,
    lake: LakeDir,
    node: Node,
    tz: Annotated[
        str,
        typer.Option(
            help="Time zone of the log's stamps; nvidia-smi writes the host's local time."
        ),
    ] = "UTC",
    device: Annotated[
        str | None,
        typer.Option(
            help="The device of a log that has no column for it: index, UUID or PCI address."
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            help="Names of the log's columns, separated by commas, in place of its header.",
            metavar="NAMES",
        ),
    ] = None,
) -> None:
    """Import an nvidia-smi log: power, devices and gauges.

    The log needs the columns timestamp, uuid (or index, or pci.bus_id) and
    power.draw (or power.draw.instant). Lines that are no readings are left
    out and counted. This command writes such a log:

    nvidia-smi --query-gpu=timestamp,uuid,index,name,power.draw --format=csv -l 1
    """
    from tokenergy_collectors.importers.nvidia.smi import import_nvidia_smi
    from tokenergy_collectors.lake import Lake

    with _bar(file) as progress:
        result = import_nvidia_smi(
            Lake(lake, create=True), file, node, tz, progress, device=device, columns=columns
        )
    _report(
        result,
        f"{_many(result.rows.get('power', 0), 'reading')} of {_many(result.devices, 'device')}",
    )


@app.command(
    "dcgm",
    epilog="Example: tokenergy-collect import dcgm dmon.txt --lake ./lake --node gpu-01",
)
def dcgm(
    file: File,
    lake: LakeDir,
    node: Node,
    tz: Annotated[
        str, typer.Option(help="Time zone of the log's stamps, where they have no offset.")
    ] = "UTC",
) -> None:
    """Import a log of dcgmi dmon: power, the energy counter and gauges.

    The log needs a stamp before each line, which dcgmi does not print: pipe
    it through ts, of the package moreutils. Power is field 155 (157 where the
    board has it), energy 156, the power limit 160. This command writes such
    a log:

    dcgmi dmon -e 155,156 -d 1000 | ts '%FT%.T%z' >> dmon.txt
    """
    from tokenergy_collectors.importers.dcgm import import_dcgm
    from tokenergy_collectors.lake import Lake

    with _bar(file) as progress:
        result = import_dcgm(Lake(lake, create=True), file, node, tz, progress)
    _report(
        result,
        f"{_many(result.rows.get('power', 0), 'reading')} of {_many(result.devices, 'device')}",
    )


@app.command(
    "counters",
    epilog="Example: tokenergy-collect import counters tokens.csv --lake ./lake --node gpu-01 "
    "--job 4711 --model llama-3.1-8b",
)
def counters(
    file: File,
    lake: LakeDir,
    node: Node,
    job: Annotated[str, typer.Option("--job", help="Job whose tokens the counters count.")],
    model: Annotated[str, typer.Option("--model", help="Model name.")],
    source: Annotated[
        str | None,
        typer.Option("--source", help="Source name.", show_default="import:JOB"),
    ] = None,
    cluster: Annotated[
        str | None, typer.Option("--cluster", help="Cluster that the job's id belongs to.")
    ] = None,
) -> None:
    """Import recorded values of a server's cumulative token counters.

    The file needs a column timestamp (Unix seconds or ISO 8601) and columns
    with the names of counters, such as vllm:prompt_tokens_total,
    generation_tokens_total or llamacpp:tokens_predicted_total. If it has the
    counters of several servers, one line each at a stamp, a column such as
    instance or engine must say which server a line is of.
    """
    from tokenergy_collectors.importers.counters import import_counters
    from tokenergy_collectors.lake import Lake

    result = import_counters(Lake(lake, create=True), file, node, job, model, source, cluster)
    _report(result, f"{_many(result.rows.get('tokens', 0), 'counter reading')} of job {job}")


@app.command(
    "jobs",
    epilog="Example: tokenergy-collect import jobs jobs.csv --lake ./lake",
)
def jobs(file: File, lake: LakeDir, cluster: Cluster = None) -> None:
    """Import a job list: which job held which device when.

    The file needs the columns job_id, node, device, start and end (empty if
    the job still runs). A device is named by its index on the node, its UUID
    or the start of it, its PCI address or its device file; 0-3 or "0,2" name
    several. The columns share, scheduler, user, account, name, cluster and
    allocation_id are optional. To correct a list, import the corrected one;
    to withdraw an allocation, list it with its start as its end.
    """
    from tokenergy_collectors.importers.jobs import import_jobs
    from tokenergy_collectors.lake import Lake

    result = import_jobs(Lake(lake, create=True), file, cluster)
    count = _many(result.rows.get("jobs", 0), "allocation")
    _report(result, f"{count} of {_many(result.devices, 'device')}")


@app.command(
    "meters",
    epilog="Example: tokenergy-collect import meters export.csv --map map.toml --lake ./lake "
    "--node dcim",
)
def meters(
    file: File,
    lake: LakeDir,
    map_path: Annotated[
        Path, typer.Option("--map", help="TOML file that says which column is what.")
    ],
    node: Annotated[str, typer.Option("--node", help="Where the file comes from, such as dcim.")],
) -> None:
    """Import readings of facility meters that a building's system exports.

    The map names the column of the time, its format and time zone, and the
    columns of meter and value, or one column per meter; docs/meters.md lists
    its keys. A local time that came twice or never is an error, unless a
    column decides it.
    """
    from tokenergy_collectors.importers.meters.export import import_meters
    from tokenergy_collectors.lake import Lake

    with _bar(file) as progress:
        result = import_meters(Lake(lake, create=True), file, map_path, node, progress)
    _report(
        result,
        f"{_many(result.rows.get('meter', 0), 'reading')} of {_many(result.devices, 'meter')}",
    )


@app.command(
    "signal",
    epilog="Example: tokenergy-collect import signal prices.csv --name day-ahead-de --quantity "
    "price --unit EUR/MWh --zone DE-LU --timezone Europe/Berlin "
    "--column-map time=Start,value=Price --lake ./lake",
)
def signal(
    file: File,
    lake: LakeDir,
    name: Annotated[str, typer.Option("--name", help="Name of the signal, of your choice.")],
    quantity: Annotated[
        str,
        typer.Option(
            help="carbon_average, carbon_marginal, price, renewable_share, cfe_share or "
            "clean_power."
        ),
    ],
    unit: Annotated[
        str,
        typer.Option(help="Unit of the values, such as gCO2/kWh, lbCO2/MWh, EUR/MWh, ct/kWh, %."),
    ],
    timezone: Annotated[
        str, typer.Option(help="Time zone of times without an offset, such as Europe/Berlin.")
    ] = "UTC",
    column_map: Annotated[
        str | None,
        typer.Option(
            help="Which column is what, time=START,value=PRICE, or a TOML file.",
            show_default="time=time,value=value",
        ),
    ] = None,
    step: Annotated[
        str | None,
        typer.Option(
            help="Length of an interval: 5m, 15m, 1h.", show_default="as most rows have it"
        ),
    ] = None,
    zone: Annotated[str | None, typer.Option(help="Grid zone or market area.")] = None,
    currency: Annotated[
        str | None, typer.Option(help="Currency of a price in ct/kWh, such as EUR.")
    ] = None,
    lifecycle: Annotated[
        bool | None,
        typer.Option(
            "--lifecycle/--no-lifecycle",
            help="Whether emissions of building and fuelling the plants are included.",
            show_default="not told",
        ),
    ] = None,
    read_at: Annotated[
        str | None,
        typer.Option(help="When these values were learnt, ISO 8601.", show_default="now"),
    ] = None,
    node: Annotated[
        str, typer.Option("--node", help="Where the file comes from, such as grid.")
    ] = "grid",
) -> None:
    """Import a signal: carbon intensity, a price, or a share of clean power.

    Each row is one interval. An empty value is a hole: unknown, never 0. A
    local time that never came is an error; one that came twice needs two rows
    in order, or a column offset or fold. To correct values, import the
    corrected file: what was learnt last counts. docs/signals.md has the keys.
    """
    from tokenergy_collectors.importers.signals.asked import import_asked

    with _bar(file) as progress:
        result = import_asked(
            file, lake, name=name, quantity=quantity, unit=unit, tz=timezone, columns=column_map,
            step=step, zone=zone, currency=currency, lifecycle=lifecycle, read_at=read_at,
            node=node, progress=progress,
        )  # fmt: skip
    _report(result, f"{_many(result.rows.get('signal', 0), 'value')} of {name} ({quantity})")


@app.command(
    "events",
    epilog="Example: tokenergy-collect import events events.csv --lake ./lake --tz Europe/Berlin",
)
def events(
    file: File,
    lake: LakeDir,
    node: Annotated[
        str, typer.Option("--node", help="Where the file comes from, such as grid.")
    ] = "grid",
    tz: Annotated[
        str, typer.Option(help="Time zone of stamps without an offset, such as Europe/Berlin.")
    ] = "UTC",
) -> None:
    """Import events of demand response: when the site was asked to draw less.

    The file needs the columns event_id, start and end, and may have one of
    reduce_kw, reduce_percent and target_kw, besides name, program and status.
    Lines of one event_id are its intervals. To correct an event, import the
    corrected list; to withdraw it, give it the status cancelled.
    """
    from tokenergy_collectors.importers.events.listed import import_events
    from tokenergy_collectors.lake import Lake

    result = import_events(Lake(lake, create=True), file, node, tz)
    _report(
        result,
        f"{_many(result.rows.get('grid_event', 0), 'interval')} of "
        f"{_many(result.devices, 'event')}",
    )


app.command(
    "benchmark",
    epilog="Example: tokenergy-collect import benchmark run-a.json --lake ./lake --node gpu-01 "
    "--device 0-7 --job-id run-a --tz Europe/Berlin",
)(benchmark)
app.command(
    "prometheus",
    epilog="Example: tokenergy-collect import prometheus --url http://prometheus:9090 --from 7d "
    "--lake ./lake",
)(prometheus)


def _is_watched() -> bool:
    return sys.stderr.isatty()


@contextmanager
def _bar(file: Path) -> Iterator[Progress | None]:
    """Show a progress bar on stderr for a large file, if stderr is a terminal."""
    size_bytes = file.stat().st_size if file.is_file() else 0
    if size_bytes < _BAR_FROM_BYTES or not _is_watched():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"reading {file.name}", total=size_bytes)
        yield lambda done_bytes: bar.update(task, completed=done_bytes)
