"""The commands of flexibility: what jobs could move, what caps cost, what a site gave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.cli.options import AnyLakeOption, SinceHourOption, ToHourOption, hour_of
from tokenergy_sql.cli.tabled import tabled
from tokenergy_sql.terminal.output import Output

if TYPE_CHECKING:
    from tokenergy_sql.flexibility.movable import Boundary

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


@tabled
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
    *,
    output: Output,
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
    print_shift(lake_at(lake), named, wanted, jobs, label, output)


def _boundary(text: str) -> Boundary:
    from tokenergy_sql.flexibility.movable import BOUNDARIES

    found = next((one for one in BOUNDARIES if one == text), None)
    if found is None:
        raise UserError(f"--boundary {text!r}: expected {' or '.join(BOUNDARIES)}")
    return found


@tabled
def response(
    lake: AnyLakeOption,
    event: Annotated[
        str | None,
        typer.Argument(metavar="[EVENT]", help="Show one event by hour and by flexible job."),
    ] = None,
    high: Annotated[
        int, typer.Option("--high", metavar="X", help="Days that count in the baseline.")
    ] = 4,
    of: Annotated[
        int, typer.Option("--of", metavar="Y", help="Of how many similar days without an event.")
    ] = 5,
    adjust_hours: Annotated[
        float,
        typer.Option(
            "--adjust-hours",
            metavar="H",
            help="Adjust to so many hours of the day, ending one hour before; 0: do not.",
        ),
    ] = 3.0,
    timezone: Annotated[
        str,
        typer.Option("--tz", metavar="ZONE", help="Where days begin, such as Europe/Berlin."),
    ] = "UTC",
    source: Annotated[
        str | None,
        typer.Option(
            "--metered-by",
            metavar="WHAT",
            help="site or boards.  [default: the site's meters, if the event is of whole hours]",
        ),
    ] = None,
    jobs: JobsOption = None,
    label: LabelOption = "flexible_hours",
    *,
    output: Output,
) -> None:
    """Show what the site gave in events of demand response: asked, baseline, metered, given.

    The baseline is high X of Y: of the Y latest similar days without an event the X on which the
    site drew most, adjusted to the hours before the event. With EVENT it also shows each hour, and
    each flexible job: what it could have given, gave, and the tokens that this cost. Where days are
    missing the baseline is not known. Events come from `tokenergy-collect import events` or from
    OpenADR. TokEnergy moves and caps nothing: see docs/flexibility.md.

    Exit code 2: an option is invalid, or the lake has no such event.

    \b
    Examples:
      tokenergy response --lake ./lake
      tokenergy response peak-7 --lake ./lake --jobs flexible.csv
      tokenergy response --lake ./lake --high 10 --of 10 --tz America/Los_Angeles
      tokenergy response --lake ./lake --metered-by boards --format csv
    """
    from tokenergy_collectors.base.timestamps import zone
    from tokenergy_collectors.lake.contract import HOUR_US
    from tokenergy_sql.catalog.asking import lake_at
    from tokenergy_sql.flexibility.baseline import MOST_DAYS, Form
    from tokenergy_sql.flexibility.response import Asked
    from tokenergy_sql.flexibility.windows import SOURCES
    from tokenergy_sql.terminal.responsetable import print_response, print_responses

    if not 1 <= high <= of <= MOST_DAYS:
        raise UserError(f"--high {high} --of {of}: expected 1 <= X <= Y <= {MOST_DAYS}")
    if not 0 <= adjust_hours <= 24:
        raise UserError(f"--adjust-hours {adjust_hours:g}: expected 0 to 24")
    metered = next((one for one in SOURCES if one == source), None)
    if source is not None and metered is None:
        raise UserError(f"--metered-by {source!r}: expected {' or '.join(SOURCES)}")
    form = Form(high, of, round(adjust_hours * HOUR_US))
    asked = Asked(form, zone(timezone), metered)
    if event is None:
        if jobs is not None:
            raise UserError("--jobs: goes with an EVENT")
        print_responses(lake_at(lake), asked, output)
        return
    print_response(lake_at(lake), event, asked, jobs, label, output)


@tabled
def caps(
    lake: AnyLakeOption,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="Only this model.")
    ] = None,
    job: Annotated[str | None, typer.Option("--job", metavar="JOB", help="Only this job.")] = None,
    least: Annotated[
        float | None,
        typer.Option(
            "--min-tokens-per-s",
            metavar="RATE",
            help="Choose among caps at which every hour reached this rate.",
        ),
    ] = None,
    start: SinceHourOption = None,
    end: ToHourOption = None,
    *,
    output: Output,
) -> None:
    """Show J/token and tokens/s at each power cap that was in force, and the best of them.

    From hours at full rate in which all boards of a job had one power limit: see
    docs/flexibility.md. By model, kind of board and number of boards, or for one job. Nothing is
    extrapolated: a cap that was never set has no row. Caps whose bounds overlap are not
    distinguishable. Nothing is capped: set limits with nvidia-smi -pl, and look again.

    Exit code 2: an option is invalid, or no hour counts.

    \b
    Examples:
      tokenergy caps --lake ./lake
      tokenergy caps --lake ./lake --model llama-3.1-70b --min-tokens-per-s 3000
      tokenergy caps --lake ./lake --job chat-70b --from 2026-01-15T00 --format csv
    """
    from tokenergy_sql.catalog.asking import lake_at
    from tokenergy_sql.flexibility.caps import Wanted
    from tokenergy_sql.terminal.captable import print_caps

    if model is not None and job is not None:
        raise UserError("--model and --job: give one of them")
    if least is not None and not least >= 0:
        raise UserError(f"--min-tokens-per-s {least:g}: expected 0 or more")
    wanted = Wanted(model, job, least, hour_of(start), hour_of(end))
    print_caps(lake_at(lake), wanted, output)
