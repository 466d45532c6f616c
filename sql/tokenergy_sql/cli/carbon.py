"""The command that shows what measured energy emitted and cost, by signals of the grid."""

from __future__ import annotations

from typing import Annotated

import typer

from tokenergy_sql.cli.options import AnyLakeOption, SinceHourOption, ToHourOption, hour_of
from tokenergy_sql.cli.tabled import tabled
from tokenergy_sql.terminal.output import Output


@tabled
def carbon(
    lake: AnyLakeOption,
    by: Annotated[
        str,
        typer.Option(
            "--by", metavar="DIMENSION", help="job, model, user, account, workload or all."
        ),
    ] = "job",
    period: Annotated[
        str,
        typer.Option("--period", metavar="PERIOD", help="hour, day, week, month, year or all."),
    ] = "all",
    start: SinceHourOption = None,
    end: ToHourOption = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind", help="average or marginal, where the lake has both: they are never added."
        ),
    ] = None,
    *,
    output: Output,
) -> None:
    """Show what the energy of jobs emitted and cost: CO2e and money, also per token.

    Energy is that of the facility, split in time as the ledger has it, times the signals that
    [[signal]] in site.toml names. Known is the part of the energy whose signal has a value:
    nothing is filled in. SCI per token adds the embodied emissions that site.toml declares. Below
    the table is the site's 24/7 score of clean energy, where meters and signals give it. See
    docs/signals.md.

    \b
    Examples:
      tokenergy carbon --lake ./lake
      tokenergy carbon --lake ./lake --by model --period day
      tokenergy carbon --lake ./lake --by account --from 2026-01-01T00 --to 2026-02-01T00
      tokenergy carbon --lake ./lake --by all --period month --kind average --format csv
    """
    from tokenergy_sql.catalog.asking import lake_at
    from tokenergy_sql.terminal.carbonrows import Wanted
    from tokenergy_sql.terminal.carbontable import print_carbon

    wanted = Wanted(by, period, hour_of(start), hour_of(end), kind)
    print_carbon(lake_at(lake), wanted, output)
