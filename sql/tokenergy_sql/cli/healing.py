"""The commands that find and heal hours whose books are not what the lake's readings say."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.cli.options import DeviceOption, HourOption, LakeOption, SiteOption
from tokenergy_sql.terminal.arguments import parse_hours

if TYPE_CHECKING:
    from tokenergy_collectors.lake import Lake

SinceOption = Annotated[
    str | None,
    typer.Option("--since", metavar="HOUR", help="Only this UTC hour and later ones."),
]


def stale(
    lake: LakeOption,
    hour: HourOption = None,
    since: SinceOption = None,
    site: SiteOption = None,
    output_format: Annotated[
        str, typer.Option("--format", help="Output format: text or json.")
    ] = "text",
) -> None:
    """List the hours that are not up to date: stale, missed, torn, waiting or lost.

    stale: inputs have changed. missed: readings without segments or without books. torn: derived
    files are missing or damaged, or segments are newer than the books. waiting: readings came after
    earlier ones were removed. lost: damaged segments whose readings are gone. `tokenergy heal`
    heals the first three. The hour that is still running is left out.

    Exits with 1 if an hour is listed, with 0 if none is.

    \b
    Examples:
      tokenergy stale --lake ./lake
      tokenergy stale --lake ./lake --since 2026-01-15T00 --format json
    """
    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.index.due import due
    from tokenergy_sql.index.site import load_site
    from tokenergy_sql.terminal.duetable import print_due

    if output_format not in ("text", "json"):
        raise UserError(f"--format {output_format!r}: expected text or json")
    opened = Lake(lake)
    hours = _hours(opened, hour, since)
    found = due(opened, load_site(site, opened.root), hours)
    print_due(found, len(hours), as_json=output_format == "json")
    if found:
        raise typer.Exit(1)


def heal(
    lake: LakeOption,
    hour: HourOption = None,
    since: SinceOption = None,
    site: SiteOption = None,
    window: Annotated[
        str,
        typer.Option("--window", help="Window length of hours and nodes without segments."),
    ] = "1s",
    device: DeviceOption = "auto",
) -> None:
    """Bring the books of past hours up to date: derive again what `tokenergy stale` lists.

    Aggregates nodes and hours that were missed or have newer readings, sets damaged derived files
    aside, and derives the hours whose inputs have changed. All else keeps its bytes, and a second
    run changes nothing. With --hour, all rows of the derived files are read to find damage; else
    only the ends of the files. The hour that is still running is left out.

    \b
    Examples:
      tokenergy heal --lake ./lake
      tokenergy heal --lake ./lake --since 2026-01-08T00 --site site.toml
      tokenergy heal --lake ./lake --hour 2026-01-15T08
    """
    from tokenergy_collectors.base.progress import progress_bar
    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.index import healing
    from tokenergy_sql.index.site import load_site
    from tokenergy_transforms import choice, cuts

    window_us, back_end = cuts.parse_window(window), choice.parse_device(device)
    opened = Lake(lake)
    hours = _hours(opened, hour, since)
    with progress_bar() as progress:
        task = progress.add_task("heal", total=None)

        def show(what: str) -> None:
            progress.update(task, description=f"heal {what}")

        done = healing.heal_hours(
            opened, load_site(site, opened.root), hours, window_us, back_end, show, rows=bool(hour)
        )
    for line in done.lines():
        typer.echo(f"heal: {line}")


def _hours(lake: Lake, texts: list[str] | None, since: str | None) -> list[int]:
    """Return the hours that options name; by default all, but for the one that is still running.

    Raises:
        UserError: one is no hour, or the lake does not have it.
    """
    from tokenergy_collectors.base.instants import END_US, FIRST_US
    from tokenergy_collectors.lake.expired import read_expired
    from tokenergy_collectors.lake.paths import hour_of
    from tokenergy_sql.index.healing import hours_between
    from tokenergy_sql.terminal.arguments import require_known

    chosen = parse_hours(texts)
    read_expired(lake.root).refuse(chosen)
    from_us = max(parse_hours([since] if since else None) or [FIRST_US])
    there = hours_between(lake, from_us, END_US)
    if chosen is not None:
        require_known(lake, chosen, {*there})
        return sorted(set(chosen))
    running_us = hour_of(time.time_ns() // 1000)
    return [hour_us for hour_us in there if hour_us != running_us]
