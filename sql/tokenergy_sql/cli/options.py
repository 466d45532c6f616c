"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FolderOption = Annotated[
    Path, typer.Option("--lake", envvar="TOKENERGY_LAKE", metavar="DIR", help="Lake folder.")
]
LakeOption = Annotated[
    Path,
    typer.Option(
        "--lake",
        envvar="TOKENERGY_LAKE",
        metavar="DIR|URL",
        help="Lake folder, or URL of an object store (s3://...).",
    ),
]
AnyLakeOption = Annotated[
    str,
    typer.Option(
        "--lake",
        envvar="TOKENERGY_LAKE",
        metavar="DIR|URL",
        help="Lake folder, or URL of an object store (s3://...).",
    ),
]
HourOption = Annotated[
    list[str] | None,
    typer.Option(
        "--hour",
        metavar="HOUR",
        help="Process only this UTC hour, e.g. 2026-01-15T08; repeat for more.",
    ),
]
SiteOption = Annotated[
    Path | None,
    typer.Option(
        "--site", metavar="FILE", help="Site file (TOML).  [default: site.toml in the lake]"
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        help="Where to compute: auto, cpu or cuda; auto never uses a GPU that is being metered.",
    ),
]
FromOption = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help="Start of a span (UTC), to the microsecond."),
]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="End of the span, not included.")
]
BoundaryOption = Annotated[
    str,
    typer.Option("--boundary", metavar="WHERE", help="Load of what: boards, it or connection."),
]
SinceHourOption = Annotated[
    str | None, typer.Option("--from", metavar="HOUR", help="Begin with this UTC hour.")
]
ToHourOption = Annotated[
    str | None, typer.Option("--to", metavar="HOUR", help="End when this UTC hour begins.")
]
PeriodOption = Annotated[
    str, typer.Option("--by", metavar="PERIOD", help="hour, day, week, month, year or all.")
]
PlaceOption = Annotated[
    str | None,
    typer.Option("--place", metavar="PLACE", help="Only this place, e.g. site or hall:a."),
]


def hour_of(text: str | None) -> int | None:
    """Return the start of an hour, microseconds UTC; None if no text is given.

    Raises:
        UserError: it is no full hour.
    """
    from tokenergy_sql.terminal.arguments import parse_hours

    hours = parse_hours(None if text is None else [text])
    return hours[0] if hours else None
