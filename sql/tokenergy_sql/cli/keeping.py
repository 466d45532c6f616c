"""The commands that keep a lake small for years: compaction, and the expiry of old hours."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.cli.options import FolderOption, SiteOption

if TYPE_CHECKING:
    from tokenergy_sql.scheduled.retention import Retention

TableOption = Annotated[
    list[str] | None,
    typer.Option("--table", metavar="TABLE", help="Only this raw table; repeat for more."),
]


def compact(
    lake: FolderOption,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="TIME", help="Only hours that ended so long ago.")
    ] = "24h",
    grace: Annotated[
        str,
        typer.Option(
            "--grace",
            metavar="TIME",
            help="How long replaced files stay for readers; 0s if nobody reads.",
        ),
    ] = "6h",
    table: TableOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be merged.")
    ] = False,
) -> None:
    """Merge the many small raw files of past hours: one file for each table, hour and node.

    No figure changes, and no hour becomes stale. The replaced files stay for the grace time, so
    that a reader who has just listed them still finds them; a later run removes them. Run it once
    a day, or let the DAG tokenergy_daily do it. A second run at the same time ends with an error.

    \b
    Examples:
      tokenergy compact --lake ./lake --dry-run
      tokenergy compact --lake ./lake
      tokenergy compact --lake ./lake --older-than 2h --grace 30m --table power
    """
    from tokenergy_collectors.base.progress import progress_bar
    from tokenergy_collectors.lake import Lake
    from tokenergy_collectors.lake.compaction import compact as compact_lake
    from tokenergy_sql.scheduled.retention import parse_time, raw_tables

    older_us, grace_us = parse_time("--older-than", older_than), parse_time("--grace", grace)
    tables, opened = raw_tables(table), Lake(lake)
    until_us = time.time_ns() // 1000 - older_us
    with progress_bar() as progress:
        task = progress.add_task("compact", total=1.0)

        def show(share: float, what: str) -> None:
            progress.update(task, completed=share, description=f"compact {what}")

        done = compact_lake(opened, until_us, grace_us, tables, show, dry_run=dry_run)
    for line in done.lines(dry_run=dry_run):
        typer.echo(f"compact: {line}")


def expire(
    lake: FolderOption,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            "--keep",
            metavar="TABLE=TIME",
            help="How long a table's hours are kept, e.g. power=90d; repeat for more.",
        ),
    ] = None,
    retention: Annotated[
        Path | None,
        typer.Option(
            "--retention",
            metavar="FILE",
            help="File with the same (TOML).  [default: retention.toml in the lake, if it exists]",
        ),
    ] = None,
    site: SiteOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed.")
    ] = False,
) -> None:
    """Remove hours that are older than each table is kept. The books of all hours stay.

    Hours that are not booked yet, or not up to date, are kept and named: run `tokenergy heal`.
    What expired is written to expired.json in the lake before anything is removed. Then no
    command calls it missing or derives those hours again. Without a time for any table, nothing is
    removed.

    \b
    Examples:
      tokenergy expire --lake ./lake --keep power=90d --dry-run
      tokenergy expire --lake ./lake --keep power=90d --keep state=90d --keep segment=400d
      tokenergy expire --lake ./lake --retention retention.toml
    """
    from tokenergy_collectors.base.progress import progress_bar
    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.index.site import load_site
    from tokenergy_sql.scheduled.expiring import expire as expire_hours

    opened = Lake(lake)
    kept = _retention(opened.root, keep, retention)
    if not kept.keep_us:
        raise UserError(
            "no table has a time: expected --keep TABLE=TIME, or a retention.toml in the lake"
        )
    with progress_bar() as progress:
        task = progress.add_task("expire", total=None)

        def show(what: str) -> None:
            progress.update(task, description=f"expire {what}")

        done = expire_hours(
            opened,
            load_site(site, opened.root),
            kept,
            time.time_ns() // 1000,
            show,
            dry_run=dry_run,
        )
    for line in done.lines(dry_run=dry_run):
        typer.echo(f"expire: {line}")


def _retention(root: Path, keep: list[str] | None, path: Path | None) -> Retention:
    from tokenergy_sql.scheduled.retention import load_retention, of_texts

    return of_texts(keep) if keep else load_retention(path, root)
