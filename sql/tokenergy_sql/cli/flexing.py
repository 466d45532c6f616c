"""The commands of flexibility: what jobs could move, what caps cost, what a site gave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.cli.building import hour_of
from tokenergy_sql.cli.options import AnyLakeOption

if TYPE_CHECKING:
    from tokenergy_sql.flexibility.movable import Boundary

FormatOption = Annotated[str, typer.Option("--format", help="Output format: table, csv or json.")]
JobsOption = Annotated[
    Path | None,
    typer.Option(
        "--jobs",
        metavar="FILE",
        help="List of flexible jobs: CSV with job_id and flexible_hours, or TOML with [jobs].",
    ),
]
LabelOption = Annotated[
    str,
    typer.Option("--label", metavar="KEY", help="Without --jobs: jobs with this label are."),
]
BoundaryOption = Annotated[
    str, typer.Option("--boundary", help="Whose energy counts: facility or gpu.")
]


def shift(
    lake: AnyLakeOption,
    carbon: Annotated[
        str | None,
        typer.Option("--carbon", metavar="NAME", help="The lake's signal of carbon intensity."),
    ] = None,
    price: Annotated[
        str | None, typer.Option("--price", metavar="NAME", help="The lake's signal of prices.")
    ] = None,
    minimise: Annotated[
        str | None,
        typer.Option(
            "--minimise",
            metavar="WHAT",
            help="What the plan saves: carbon or money.  [default: carbon, if there is a signal]",
        ),
    ] = None,
    jobs: JobsOption = None,
    label: LabelOption = "flexible_hours",
    limit_kw: Annotated[
        float | None,
        typer.Option("--limit-kw", metavar="KW", help="The most that the site may draw, kW."),
    ] = None,
    boards: Annotated[
        int | None,
        typer.Option("--boards", metavar="N", help="The most boards that jobs may hold at once."),
    ] = None,
    boundary: BoundaryOption = "facility",
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="HOUR", help="Jobs that started in this UTC hour or later."),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="HOUR", help="Jobs that started before this UTC hour."),
    ] = None,
    output_format: FormatOption = "table",
) -> None:
    """Show what starting flexible jobs later would have saved, in carbon and money.

    A job is flexible if its label flexible_hours, or --jobs, says by how many hours it may start
    later. The plan is modelled: a job draws later what it drew. Without limits it is exact. With
    --limit-kw or --boards it is a heuristic, printed beside the most that any plan could save.
    Nothing is moved: see docs/flexibility.md. `tokenergy-collect import signal` adds signals.

    Exit code 2: an option or a file is invalid, or no job is flexible.

    \b
    Examples:
      tokenergy shift --lake ./lake --carbon grid
      tokenergy shift --lake ./lake --carbon grid --price da --minimise money
      tokenergy shift --lake ./lake --carbon grid --jobs flexible.csv --limit-kw 400
      tokenergy shift --lake ./lake --price da --boundary gpu --boards 64 --format csv
    """
    from tokenergy_sql.catalog.asking import lake_at
    from tokenergy_sql.flexibility.named import Named
    from tokenergy_sql.flexibility.shift import Wanted
    from tokenergy_sql.terminal.shifttable import print_shift

    if limit_kw is not None and limit_kw < 0:
        raise UserError(f"--limit-kw {limit_kw:g}: expected 0 or more")
    if boards is not None and boards < 0:
        raise UserError(f"--boards {boards}: expected 0 or more")
    span = (hour_of(start), hour_of(end))
    wanted = Wanted((), _boundary(boundary), limit_kw, boards, *span)
    named = Named(carbon, price, minimise)
    print_shift(lake_at(lake), named, wanted, jobs, label, output_format)


def _boundary(text: str) -> Boundary:
    from tokenergy_sql.flexibility.movable import BOUNDARIES

    found = next((one for one in BOUNDARIES if one == text), None)
    if found is None:
        raise UserError(f"--boundary {text!r}: expected {' or '.join(BOUNDARIES)}")
    return found
