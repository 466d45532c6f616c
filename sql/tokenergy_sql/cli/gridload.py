"""The commands about what the grid sees: whose swing it is, and which limits are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokenergy_sql.cli.options import BoundaryOption, FromOption, LakeOption, UntilOption
from tokenergy_sql.cli.tabled import tabled
from tokenergy_sql.terminal.output import Output

_ByOption = Annotated[str, typer.Option("--by", metavar="KIND", help="site or rack.")]
_StepOption = Annotated[
    str, typer.Option("--step", help="Step length: auto, or 1ms to 10s; must divide an hour.")
]


@tabled
def swings(
    lake: LakeOption,
    by: _ByOption = "site",
    start: FromOption = None,
    until: UntilOption = None,
    step: _StepOption = "auto",
    boundary: BoundaryOption = "boards",
    *,
    output: Output,
) -> None:
    """Show which jobs swing: each site or rack as it is, and without each of its jobs.

    For each job: rms, ramps and peak of the sum without it; how coherent it is with the sum; its
    share in the largest swing, its phase there (in periods, ahead of the sum), and by how much to
    delay its start so that the jobs swing against each other. What that would save is modelled: the
    loads of the jobs are shifted and added up again. Without --from and --until: the last 24 hours
    of readings.

    \\b
    Examples:
      tokenergy swings --lake ./lake
      tokenergy swings --lake ./lake --by rack --from 2026-01-15 --until 2026-01-16
      tokenergy swings --lake ./lake --format json
    """
    from tokenergy_sql import gridsteps

    gridsteps.show_swings(lake, by, start, until, step, boundary, output)


@tabled
def comply(
    lake: LakeOption,
    limits: Annotated[
        Path, typer.Argument(metavar="LIMITS.toml", help="The limits: [[limit]] entries.")
    ],
    by: _ByOption = "site",
    start: FromOption = None,
    until: UntilOption = None,
    step: _StepOption = "auto",
    allow_unobservable: Annotated[
        bool,
        typer.Option("--allow-unobservable", help="Exit with 0 if nothing fails."),
    ] = False,
    *,
    output: Output,
) -> None:
    """Check a load against limits of ramps, range, swings in a band and peak.

    Each limit is passed, failed or unobservable: the readings are too slow for it, too little of
    the span is known, or hosts and cooling are modelled there. Shows the worst moments and the jobs
    behind them. Exits with 1 if a limit fails or is unobservable; with --allow-unobservable only if
    one fails. No limits are shipped: write down those of your contract (see docs/grid.md). Without
    --from and --until: the last 24 hours of readings.

    \\b
    Examples:
      tokenergy comply limits.toml --lake ./lake
      tokenergy comply limits.toml --lake ./lake --from 2026-01-15 --until 2026-01-16 --format json
      tokenergy comply limits.toml --lake ./lake --by rack --allow-unobservable
    """
    from tokenergy_sql import gridsteps

    kept = gridsteps.show_limits(lake, limits, by, start, until, step, allow_unobservable, output)
    if not kept:
        raise typer.Exit(1)
