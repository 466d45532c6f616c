"""The commands that show what the index found: efficiency, one job's derivation, the report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokenergy_sql.cli.options import LakeOption
from tokenergy_sql.cli.tabled import tabled
from tokenergy_sql.terminal.output import Output


@tabled
def efficiency(
    lake: LakeOption,
    job: Annotated[
        str | None,
        typer.Option("--job", metavar="JOB", help="Show one job, by hour and by power cap."),
    ] = None,
    *,
    output: Output,
) -> None:
    """Show where each job's energy went, and its J/token at full rate.

    The parts are full rate, low batch, prefill, no tokens, idle and unknown: see
    docs/efficiency.md.

    \b
    Examples:
      tokenergy efficiency --lake ./lake
      tokenergy efficiency --lake ./lake --job chat-70b --wide
      tokenergy efficiency --lake ./lake --format csv --output efficiency.csv
    """
    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.terminal.efficiency import print_efficiency

    print_efficiency(Lake(lake), job, output)


def explain(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Job id.")],
    lake: LakeOption,
    output_format: Annotated[
        str, typer.Option("--format", help="Output format: text or json.")
    ] = "text",
) -> None:
    """Show how a job's figures were derived, from its readings to its index.

    Recomputes every formula from the rows it shows and compares the result with the index.

    \b
    Examples:
      tokenergy explain chat-70b --lake ./lake
      tokenergy explain chat-70b --lake ./lake --format json
    """
    from tokenergy_sql.explain.explain import print_explanation

    print_explanation(lake, job, output_format)


def report(
    lake: LakeOption,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="HTML file to write.")],
    last: Annotated[
        str | None,
        typer.Option("--last", metavar="HOURS", help="Report only so many hours, e.g. 24h."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="HOUR", help="Begin with this UTC hour."),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="HOUR",
            help="End when this UTC hour begins.  [default: after the latest booked hour]",
        ),
    ] = None,
) -> None:
    """Write the report: one self-contained HTML page that opens in any browser.

    Without --last or --from it covers the whole lake, and takes longer the older the lake is.
    Of some hours, only their files are read, and only the checks that work hour by hour are run.

    \b
    Examples:
      tokenergy report --lake ./lake --out report.html
      tokenergy report --lake ./lake --out report.html --last 24h
      tokenergy report --lake ./lake --out january.html --from 2026-01-01T00 --to 2026-02-01T00
    """
    from tokenergy_collectors.base.output import is_stdout
    from tokenergy_sql import steps

    typer.echo(f"report: {steps.write_report(lake, out, last, start, end)}", err=is_stdout(out))
