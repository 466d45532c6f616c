"""The command that puts runs beside one another."""

from __future__ import annotations

from typing import Annotated

import typer

from tokenergy_sql.cli.options import LakeOption
from tokenergy_sql.cli.tabled import tabled
from tokenergy_sql.terminal.output import Output


@tabled
def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN", help="Two jobs or more; the others are compared with the first."
        ),
    ],
    lake: LakeOption,
    *,
    output: Output,
) -> None:
    """Compare runs: tokens/s, latency, energy and J/token, each beside the first.

    A run is a job: such as `tokenergy-collect import benchmark` makes of what vLLM's and AIPerf's
    benchmarks write. Tokens and energy are those of the time in which both are known. Ratios have
    bounds; errors of a meter cancel where the same GPUs were used. See
    docs/benchmarks-of-servers.md.

    Exit code 0: compared. 2: a job is not there or not indexed, or an option is invalid.

    \b
    Examples:
      tokenergy compare run-a run-b --lake ./lake
      tokenergy compare run-a run-b run-c --lake ./lake --wide
      tokenergy compare run-a run-b --lake ./lake --format json --columns job_id,j_per_token,ratio
    """
    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.terminal.comparetable import print_comparison

    print_comparison(Lake(lake), runs, output)
