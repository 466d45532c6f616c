"""The command that sizes a store for a measured load."""

from __future__ import annotations

from typing import Annotated

import typer

from tokenergy_sql.cli.options import LakeOption
from tokenergy_sql.cli.tabled import tabled
from tokenergy_sql.terminal.output import Output


@tabled
def storage(
    lake: LakeOption,
    by: Annotated[
        str, typer.Option("--by", metavar="KIND", help="job, node, rack, hall or site.")
    ] = "site",
    group: Annotated[
        str | None,
        typer.Option("--group", metavar="NAME", help="Only this one, as in load_profile."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="INSTANT", help="Begin here (UTC).  [default: the first reading]"
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="INSTANT", help="End here (UTC).  [default: the last reading]"
        ),
    ] = None,
    step: Annotated[
        str,
        typer.Option(
            "--step", help="Cell: auto (what the sensors show), or 1ms to 10s that divides an hour."
        ),
    ] = "auto",
    ramp: Annotated[
        float | None,
        typer.Option(
            "--ramp-kw-per-s", metavar="KW", help="Most change of grid power in a second."
        ),
    ] = None,
    peak: Annotated[
        float | None, typer.Option("--peak-kw", metavar="KW", help="Most grid power.")
    ] = None,
    efficiency: Annotated[
        float | None,
        typer.Option(
            "--efficiency", metavar="SHARE", help="Round trip, out / in; lost in equal parts."
        ),
    ] = None,
    each_way: Annotated[
        float | None,
        typer.Option(
            "--efficiency-each-way", metavar="SHARE", help="Of charging and of discharging alone."
        ),
    ] = None,
    c_rate: Annotated[
        float | None,
        typer.Option("--c-rate", metavar="PER_H", help="Most power / energy of the whole store."),
    ] = None,
    reserve: Annotated[
        float,
        typer.Option(
            "--reserve-kwh", metavar="KWH", help="Energy that is kept for outages, on top."
        ),
    ] = 0.0,
    start_charge: Annotated[
        float | None,
        typer.Option(
            "--start-charge",
            metavar="SHARE",
            help="Charge at the start and at the end, 0 to 1.  [default: whatever is best]",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split", metavar="KIND", help="Compare with one store for each: hall, rack or node."
        ),
    ] = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Show what the rule reaches with 100 other sizes.")
    ] = False,
    *,
    output: Output,
) -> None:
    """Find the battery that keeps a measured load within a ramp limit, a peak limit or both.

    Shows the least energy and then, with a thousandth more energy, the least power for which grid
    power keeps the limits: the optimum, which knows the whole span; and what a rule without
    knowledge of the future needs. The store ends as full as it began, and never raises the load's
    peak. Without --efficiency nothing is lost. See docs/storage.md.

    Writes storage_study, storage_sweep and storage_course; the report shows them on a page. Gaps
    are never bridged: what is known is studied run by run, and coverage says how much. Of a ramp
    that the sensors cannot show the sizes are NULL. The load is that of the boards: the sum of
    boards is not the grid connection.

    Exit code 1: no store keeps the limits of some load, or it cannot be told.

    \b
    Examples:
      tokenergy storage --lake ./lake --ramp-kw-per-s 1
      tokenergy storage --lake ./lake --by job --group train-1b --ramp-kw-per-s 0.5 --sweep
      tokenergy storage --lake ./lake --peak-kw 8 --efficiency 0.9 --reserve-kwh 5 --format json
      tokenergy storage --lake ./lake --ramp-kw-per-s 1 --split rack \\
        --from 2026-01-15T08 --until 2026-01-15T09
    """
    from tokenergy_sql.terminal.storageoptions import Given
    from tokenergy_sql.terminal.storagetable import print_studies

    given = Given(
        *(by, group, start, end, step, ramp, peak, efficiency, each_way),
        *(c_rate, reserve, start_charge, split, sweep),
    )
    if not print_studies(lake, given, output):
        raise typer.Exit(1)
