"""The commands that derive the books from the readings, list their revisions and check them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokenergy_sql.cli.options import (
    BoundaryOption,
    DeviceOption,
    FolderOption,
    FromOption,
    HourOption,
    LakeOption,
    SiteOption,
    UntilOption,
)
from tokenergy_sql.cli.tabled import WideOption, tabled
from tokenergy_sql.terminal.arguments import parse_hours
from tokenergy_sql.terminal.output import Output, asked


def aggregate(
    lake: LakeOption,
    hour: HourOption = None,
    node: Annotated[
        list[str] | None,
        typer.Option("--node", help="Process only this node; repeat for more."),
    ] = None,
    window: Annotated[
        str,
        typer.Option("--window", help="Window length: 1ms to 1h; must divide an hour evenly."),
    ] = "1s",
    device: DeviceOption = "auto",
    memory: Annotated[
        str, typer.Option("--memory", metavar="AMOUNT", help="Memory limit; at least 512MiB.")
    ] = "2GiB",
) -> None:
    """Integrate power readings into energy segments. A second run writes the same files.

    \b
    Examples:
      tokenergy aggregate --lake ./lake
      tokenergy aggregate --lake ./lake --hour 2026-01-15T08 --window 500ms --device cpu
      tokenergy aggregate --lake ./lake --memory 512MiB
    """
    from tokenergy_transforms.arrowmemory import take_from_system

    # Before anything imports pyarrow: the allocator is chosen at its first use.
    take_from_system()
    from tokenergy_sql import steps

    batches = steps.aggregate_hours(lake, parse_hours(hour), node, window, device, memory)
    readings, segments = sum(b.readings for b in batches), sum(b.segments for b in batches)
    used = {one for b in batches for one in b.backend.split("+")}
    backends = "+".join(sorted(used)) or "nothing to do"
    typer.echo(f"aggregate: {readings:,} readings -> {segments:,} segments ({backends})")
    # A daemon that has just begun keeps its readings in a log that no reader looks at.
    if not batches and not (lake / "power").exists():
        typer.echo(
            "The lake has no power files yet. A running daemon writes them every five minutes "
            "(roll_s), when it ends, and when it gets SIGHUP."
        )


def load_profile(
    lake: LakeOption,
    hour: HourOption = None,
    by: Annotated[
        str,
        typer.Option("--by", metavar="KINDS", help="What to group by, separated by commas."),
    ] = "job,node,rack,site",
    step: Annotated[
        str,
        typer.Option("--step", help="Step length: auto, or 1ms to 10s; must divide an hour."),
    ] = "auto",
    device: DeviceOption = "auto",
    start: FromOption = None,
    until: UntilOption = None,
    boundary: BoundaryOption = "boards",
    wide: WideOption = False,
) -> None:
    """Write load profiles of jobs, nodes, racks and sites: ramps, swings, spectra.

    A load profile is the power as the grid sees it. By default there is one row for each group and
    hour; replaces the hour's load_profile, load_spectrum and load_swing files. With --from and
    --until there is one row for each group and the whole span, in load_span, load_span_spectrum and
    load_span_swing: ramps, storage and spectra run on across the edges of hours.

    --boundary, for spans: boards; it (boards and their hosts, which are known by the hour);
    connection (a site's own meter, as finely as it is read; all else is IT times the PUE of the
    hour, noted modelled_pue). Where the sensors are too slow to show a figure, it is NULL and a
    reason code says why.

    \b
    Examples:
      tokenergy load-profile --lake ./lake
      tokenergy load-profile --lake ./lake --hour 2026-01-15T08 --by job,rack --step 100ms
      tokenergy load-profile --lake ./lake --from 2026-01-15T08:30:00Z --until 2026-01-16T08:30:00Z
      tokenergy load-profile --lake ./lake --boundary it --from 2026-01-15 --until 2026-01-16
    """
    from tokenergy_sql import steps

    output = asked(wide=wide)
    if start is not None or until is not None:
        done = steps.profile_one_span(lake, hour, by, step, device, start, until, boundary, output)
        typer.echo(
            f"load-profile: 1 span ({done.boundary}), {done.groups:,} groups, "
            f"{done.cells:,} cells ({done.backend})"
        )
        return
    steps.require_boards(boundary)
    profiled = steps.profile_hours(lake, parse_hours(hour), by, step, device)
    steps.print_profiles(lake, [p.hour_us for p in profiled], output)
    groups, cells = sum(p.groups for p in profiled), sum(p.cells for p in profiled)
    backends = "+".join(sorted({p.backend for p in profiled})) or "nothing to do"
    typer.echo(
        f"load-profile: {len(profiled)} hours, {groups:,} groups, {cells:,} cells ({backends})"
    )


def index(
    lake: LakeOption,
    hour: HourOption = None,
    site: SiteOption = None,
    rebuild_all: Annotated[
        bool, typer.Option("--all", help="Rebuild hours whose inputs have not changed, too.")
    ] = False,
    shards: Annotated[
        int,
        typer.Option(
            "--shards", metavar="N", min=1, help="Processes that share the booking of a large hour."
        ),
    ] = 1,
) -> None:
    """Build the energy ledger, the token usage and each job's energy per token.

    Rebuilds only the hours whose inputs have changed. The files that a run replaces are kept as a
    numbered revision: see `tokenergy revisions` and `tokenergy diff`. With --hour, says how many
    other hours have newer inputs.

    An hour of more than about 1,160 GPUs is booked in groups of nodes; that bounds the memory. With
    --shards, several processes book groups at the same time; each takes about 2 GiB and up to all
    cores. The files are the same, byte for byte. A smaller hour is booked by one process.

    \b
    Examples:
      tokenergy index --lake ./lake
      tokenergy index --lake ./lake --hour 2026-01-15T08 --site site.toml
      tokenergy index --lake ./lake --hour 2026-01-15T08 --shards 4
    """
    from tokenergy_sql import steps

    indexed = steps.index_hours(lake, parse_hours(hour), site, rebuild_all, shards)
    typer.echo(f"index: {steps.summary(indexed)}")
    for remark in indexed.remarks:
        typer.echo(remark)


def run(
    lake: LakeOption,
    hour: HourOption = None,
    site: SiteOption = None,
    shards: Annotated[
        int,
        typer.Option(
            "--shards", metavar="N", min=1, help="Processes that share the booking of a large hour."
        ),
    ] = 1,
    jobs: Annotated[
        int, typer.Option("--jobs", metavar="N", min=0, help="How many jobs to show.")
    ] = 20,
    wide: WideOption = False,
) -> None:
    """Do all that is due: aggregate, index, check; then show the jobs.

    Works on the hours whose inputs have changed: on all of a new lake, on the latest hours later. A
    second run has nothing to do. Exits with 1 if a check fails.

    \b
    Examples:
      tokenergy run --lake ./lake
      tokenergy run --lake ./lake --hour 2026-01-15T08 --site site.toml
    """
    from tokenergy_sql import steps

    output = asked(wide=wide)
    if not steps.run_all(lake, parse_hours(hour), site, shards, jobs, output):
        raise typer.Exit(1)


@tabled
def revisions(
    lake: LakeOption,
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep", min=1, help="Delete the replaced files of all but the latest N revisions."
        ),
    ] = None,
    *,
    output: Output,
) -> None:
    """List the revisions of the books: when each was made, and what changed.

    --keep deletes the files that older revisions replaced, so `tokenergy diff` can no longer
    compare those revisions.

    \b
    Examples:
      tokenergy revisions --lake ./lake
      tokenergy revisions --lake ./lake --keep 500
      tokenergy revisions --lake ./lake --format json
    """
    from tokenergy_sql.terminal import history

    history.print_revisions(lake, keep, output)


@tabled
def diff(
    lake: LakeOption,
    older: Annotated[
        int | None,
        typer.Option(
            "--from", metavar="REV", help="Earlier revision.  [default: the one before --to]"
        ),
    ] = None,
    newer: Annotated[
        int | None,
        typer.Option("--to", metavar="REV", help="Later revision.  [default: the latest]"),
    ] = None,
    *,
    output: Output,
) -> None:
    """Show which jobs differ between two revisions, by how much, and why.

    Revision 0 is the state before the first revision. Without options, compares the latest
    revision with the one before it.

    \b
    Examples:
      tokenergy diff --lake ./lake
      tokenergy diff --lake ./lake --from 12 --to 15
      tokenergy diff --lake ./lake --format csv --output changes.csv
    """
    from tokenergy_sql.terminal import history

    history.print_difference(lake, older, newer, output)


def check(
    lake: LakeOption,
    hour: HourOption = None,
    limit: Annotated[
        int, typer.Option("--limit", min=0, help="How many offending rows to show for each check.")
    ] = 5,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="CHECK", help="Run only this check; can be repeated."),
    ] = None,
    prom: Annotated[
        Path | None,
        typer.Option("--prom", metavar="FILE", help="Write the results for Prometheus, too."),
    ] = None,
) -> None:
    """Check the books: ledger against meters, jobs against ledger, bounds and sums.

    Prints one line for each check, followed by the offending rows if it fails. Exits with 1 if a
    check fails. With --hour, looks at that hour and at what it touched: the jobs that have a part
    in it, with all their hours, and the clocks around it. That takes as long as the hour is large,
    and not longer for an older lake. Only a check without --hour finds what is wrong in other
    hours, or in jobs that had ended before: run one from time to time, such as once a week.
    With --prom, node_exporter can show the results to Prometheus: see docs/metrics.md.

    \b
    Examples:
      tokenergy check --lake ./lake
      tokenergy check --lake ./lake --hour 2026-01-15T08
      tokenergy check --lake ./lake --only law --limit 50
      tokenergy check --lake ./lake --prom /var/lib/node_exporter/tokenergy.prom
    """
    from tokenergy_sql import steps

    if not steps.print_checks(lake, limit, parse_hours(hour), only, prom):
        raise typer.Exit(1)


def migrate(
    lake: FolderOption,
    site: SiteOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what there is to do; change nothing.")
    ] = False,
) -> None:
    """Bring a lake of an earlier version to the current one. A second run changes nothing.

    Raw files stay as they are. Derived tables are made again, and those that are replaced are kept
    as a revision. Prints the number of rows of each table before and after.

    \b
    Examples:
      tokenergy migrate --lake ./lake --dry-run
      tokenergy migrate --lake ./lake
    """
    from tokenergy_sql.migration.migrate import migrate as run

    run(lake, site, dry_run=dry_run)
