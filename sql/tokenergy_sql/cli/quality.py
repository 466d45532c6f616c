"""The command that looks at whether data still come in as they should."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.cli.options import LakeOption
from tokenergy_sql.scheduled.quality.limits import DEFAULTS, VARIABLES

if TYPE_CHECKING:
    from tokenergy_sql.checks.checking import Finding


def quality(
    lake: LakeOption,
    last: Annotated[
        str, typer.Option("--last", metavar="HOURS", help="Look at so many latest hours.")
    ] = "24h",
    silent: Annotated[
        str,
        typer.Option(
            "--silent",
            envvar=VARIABLES["silent"],
            help="A node without readings for longer is silent.",
        ),
    ] = DEFAULTS["silent"],
    forget: Annotated[
        str,
        typer.Option(
            "--forget",
            envvar=VARIABLES["forget"],
            help="A node without readings for longer is taken for gone.",
        ),
    ] = DEFAULTS["forget"],
    coverage: Annotated[
        str,
        typer.Option(
            "--coverage",
            envvar=VARIABLES["coverage"],
            help="Least share of a node's device time that has known power.",
        ),
    ] = DEFAULTS["coverage"],
    clock: Annotated[
        str,
        typer.Option(
            "--clock", envvar=VARIABLES["clock"], help="Most that a clock may be off or set by."
        ),
    ] = DEFAULTS["clock"],
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="LOOK", help="Only this look; can be repeated."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=0, help="How many rows to show of each finding.")
    ] = 20,
    output_format: Annotated[
        str, typer.Option("--format", help="Output format: text or json.")
    ] = "text",
) -> None:
    """Look at whether data still come in: freshness, coverage, law, columns, clocks.

    freshness: nodes without readings since when, books that do not follow. coverage: nodes of
    which too little time has known power. law: books that do not add up to the meters. columns: new
    files that differ from the contract, or are in quarantine. clocks: stamps that are off, clocks
    that were set. Of freshness, `now` is the time; the others look at the latest hours of the lake.

    Exits with 1 if there is a finding, with 0 if there is none.

    \b
    Examples:
      tokenergy quality --lake ./lake
      tokenergy quality --lake ./lake --last 6h --silent 30m --only freshness
      tokenergy quality --lake ./lake --format json
    """
    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.scheduled.quality.limits import limits_of
    from tokenergy_sql.scheduled.quality.looking import LOOKS, look, scope_of
    from tokenergy_sql.terminal.arguments import parse_length
    from tokenergy_sql.terminal.table import say

    if output_format not in ("text", "json"):
        raise UserError(f"--format {output_format!r}: expected text or json")
    for name in {*(only or ())}.difference(LOOKS):
        raise UserError(f"--only {name}: there is no such look; they are: {', '.join(LOOKS)}")
    given = {"silent": silent, "forget": forget, "coverage": coverage, "clock": clock}
    hours = parse_length(last)
    scope = scope_of(Lake(lake), hours, limits_of(given), time.time_ns() // 1000)
    found = [
        (name, finding)
        for name in LOOKS
        if not only or name in only
        for finding in look(name, scope)
    ]
    if output_format == "json":
        _print_json(found)
    else:
        for _, finding in found:
            say("\n".join(finding.lines(limit)))
    if any(finding.breach for _, finding in found):
        raise typer.Exit(1)


def _print_json(found: list[tuple[str, Finding]]) -> None:
    """Print an array of objects: look, name, title, verdict (ok, warn or fail) and rows."""
    import json

    verdicts = [
        "fail" if finding.breach else "warn" if finding.rows else "ok" for _, finding in found
    ]
    rows = [
        [dict(zip(finding.columns, row, strict=True)) for row in finding.rows]
        for _, finding in found
    ]
    parts = [
        {"look": name, "name": one.name, "title": one.title, "verdict": verdict, "rows": shown}
        for (name, one), verdict, shown in zip(found, verdicts, rows, strict=True)
    ]
    typer.echo(json.dumps(parts, indent=2, allow_nan=False))
