"""The command that shows what racks, modules, halls and the site draw, and what more would."""

from __future__ import annotations

from typing import Annotated

import typer

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.cli.options import AnyLakeOption, SinceHourOption, ToHourOption, hour_of
from tokenergy_sql.cli.tabled import tabled
from tokenergy_sql.terminal.output import Output


@tabled
def modules(
    lake: AnyLakeOption,
    by: Annotated[
        str, typer.Option("--by", metavar="GROUP", help="rack, module, hall, type or site.")
    ] = "rack",
    start: SinceHourOption = None,
    end: ToHourOption = None,
    add: Annotated[
        int | None,
        typer.Option("--add", metavar="N", help="Project what so many more modules would draw."),
    ] = None,
    module_type: Annotated[
        str | None,
        typer.Option("--type", metavar="TYPE", help="Their type, as in site.toml."),
    ] = None,
    *,
    output: Output,
) -> None:
    """Show what racks, modules or halls draw: p50, p99, peak, coincidence, stranded power, J/token.

    Where nodes stand follows from site.toml. Power is in means of 10 s, over the time in which all
    of a place is known: by its meters, else by boards and hosts, else by boards alone. Stranded is
    the rating less p99; coincidence the peak of the sum divided by the sum of the racks' peaks.

    --add and --type project what more modules of a type would draw: all at once (coincident), and
    each on its own (independent). See docs/modules.md.

    \b
    Examples:
      tokenergy modules --lake ./lake
      tokenergy modules --lake ./lake --by hall --from 2026-01-01T00 --to 2026-02-01T00
      tokenergy modules --lake ./lake --by type --format csv
      tokenergy modules --lake ./lake --add 4 --type air-8
    """
    from tokenergy_sql.catalog.asking import lake_at
    from tokenergy_sql.terminal.modulefigures import Span
    from tokenergy_sql.terminal.moduleplan import Plan
    from tokenergy_sql.terminal.moduletable import print_modules, print_plan

    span = Span(hour_of(start), hour_of(end))
    if add is None and module_type is None:
        print_modules(lake_at(lake), by, span, output)
        return
    if add is None or module_type is None:
        raise UserError("--add and --type: give both or none")
    if by != "rack":
        raise UserError("--by: a projection is of modules; give it without --by")
    print_plan(lake_at(lake), Plan(add, module_type), span, output)
