"""The commands of what is metered: the building's figures, and models of hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.cli.options import (
    AnyLakeOption,
    LakeOption,
    PeriodOption,
    PlaceOption,
    SinceHourOption,
    ToHourOption,
    hour_of,
)
from tokenergy_sql.cli.tabled import tabled
from tokenergy_sql.terminal.output import Output


@tabled
def site(
    lake: AnyLakeOption,
    by: PeriodOption = "all",
    place: PlaceOption = None,
    start: SinceHourOption = None,
    end: ToHourOption = None,
    year: Annotated[
        int | None, typer.Option("--year", metavar="YEAR", help="The year of the sheet.")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option("--sheet", metavar="FILE", help="Write a year's quantities as CSV."),
    ] = None,
    *,
    output: Output,
) -> None:
    """Show PUE and the other figures of the building, beside the J/token of the same time.

    Each figure is the sum of what its meters counted above the line divided by the sum below it,
    over the time that all of them cover. J/token is that of the site's jobs in the hours in which
    PUE is known. Covered is that part of the whole period. Days, weeks (from Monday), months and
    years are those of UTC. csv and json have the bounds and the coverage of every figure:
    see docs/building.md. A PUE of parts ([[pue_model]] in site.toml) and losses by curves stand in
    columns of their own, with how far that PUE is off the measured one where both are known.

    --year and --sheet write what the meters give of the quantities that Delegated Regulation (EU)
    2024/1364 asks for by calendar year. What they do not give stays empty, and says why.

    \b
    Examples:
      tokenergy site --lake ./lake
      tokenergy site --lake ./lake --by month --place site
      tokenergy site --lake ./lake --by day --from 2026-01-01T00 --to 2026-02-01T00
      tokenergy site --lake ./lake --by year --format csv
      tokenergy site --lake ./lake --year 2026 --sheet 2026.csv
    """
    from tokenergy_sql.catalog.asking import lake_at
    from tokenergy_sql.terminal.sitefigures import Wanted
    from tokenergy_sql.terminal.sitetable import print_site

    if year is not None or sheet is not None:
        if (by, place, start, end, output) != ("all", None, None, None, Output()):
            raise UserError(
                "--sheet: is of the site and a year, as CSV: give it without --by, --place, "
                "--from, --to and the options of tables"
            )
        _write_sheet(lake, year, sheet)
        return
    wanted = Wanted(by, hour_of(start), hour_of(end), place)
    print_site(lake_at(lake), wanted, output)


def host_model(
    lake: LakeOption,
    nodes: Annotated[
        list[str] | None,
        typer.Option(
            "--nodes",
            metavar="NODES",
            help="Nodes of one kind, e.g. gpu-{01..16}; repeat for more.  [default: all nodes]",
        ),
    ] = None,
    start: SinceHourOption = None,
    end: ToHourOption = None,
) -> None:
    """Learn from metered nodes what a host draws, and print it as lines of the site file.

    Those of the nodes that have meters teach; the model is for all of them: what a host draws
    beside its boards follows from what its processors count (RAPL) and what its boards draw. The
    lines say how far the model was off in hours from which it had not learned. Put them into the
    site file if they are good enough for you: nothing is written. See docs/host-energy.md.

    \b
    Examples:
      tokenergy host-model --lake ./lake
      tokenergy host-model --lake ./lake --nodes 'gpu-{01..16}' --from 2026-01-01T00
    """
    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.terminal.hostmodel import print_host_model

    print_host_model(Lake(lake), nodes or [], (hour_of(start), hour_of(end)))


def _write_sheet(lake: str, year: int | None, sheet: Path | None) -> None:
    from tokenergy_collectors.base.output import is_stdout
    from tokenergy_sql.catalog.asking import lake_at
    from tokenergy_sql.terminal.sitesheet import write_sheet

    if year is None or sheet is None:
        raise UserError("--year and --sheet: give both or none")
    known = write_sheet(lake_at(lake), year, sheet)
    typer.echo(f"site: {known} quantities of {year} -> {sheet}", err=is_stdout(sheet))
