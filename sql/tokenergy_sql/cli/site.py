"""The command that shows what the site file says stands where, and what is metered."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.cli.tabled import WideOption


def places(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="Site file (TOML).  [default: site.toml in the lake, else in this folder]",
            show_default=False,
        ),
    ] = None,
    lake: Annotated[
        Path | None,
        typer.Option("--lake", envvar="TOKENERGY_LAKE", metavar="DIR", help="Lake folder."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="INSTANT",
            help="As of this instant (ISO 8601, UTC if no offset).  [default: now]",
        ),
    ] = None,
    output_format: Annotated[
        str, typer.Option("--format", help="Output format: text or json.")
    ] = "text",
    wide: WideOption = False,
) -> None:
    """Check a site file; show its places, their meters, and what has none.

    It needs no lake. If places or meters contradict each other, it prints a line for each problem
    and exits with 2. See docs/places.md.

    \b
    Examples:
      tokenergy places site.toml
      tokenergy places site.toml --at 2026-02-01T00:00:00Z
      tokenergy places --lake ./lake --format json
    """
    from tokenergy_sql.index.site import DEFAULT_NAME, load_places
    from tokenergy_sql.places import PlacesError
    from tokenergy_sql.terminal.arguments import parse_instant
    from tokenergy_sql.terminal.output import asked
    from tokenergy_sql.terminal.placestable import print_places

    if output_format not in ("text", "json"):
        raise UserError(f"--format {output_format!r}: expected text or json")
    ts_us = time.time_ns() // 1000 if at is None else parse_instant("--at", at)
    try:
        found = load_places(file or (lake or Path()) / DEFAULT_NAME)
    except PlacesError as error:
        for problem in error.problems:
            typer.echo(f"error: {problem}", err=True)
        raise typer.Exit(2) from None
    print_places(found, ts_us, asked(wide=wide), as_json=output_format == "json")
