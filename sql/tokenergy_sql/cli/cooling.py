"""The command that compares halls by their cooling, models others, and fits the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.cli.options import (
    AnyLakeOption,
    PeriodOption,
    PlaceOption,
    SinceHourOption,
    SiteOption,
    ToHourOption,
    hour_of,
)
from tokenergy_sql.cli.tabled import tabled
from tokenergy_sql.terminal.output import Output

if TYPE_CHECKING:
    from tokenergy_sql.terminal.coolingfigures import Known
    from tokenergy_sql.terminal.sitefigures import Wanted


@tabled
def cooling(
    lake: AnyLakeOption,
    site: SiteOption = None,
    by: PeriodOption = "all",
    place: PlaceOption = None,
    start: SinceHourOption = None,
    end: ToHourOption = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--as",
            metavar="CLASS",
            help="Model halls at W17, W27, W32, W40, W45 or air; repeat for more.",
        ),
    ] = None,
    weather: Annotated[
        Path | None,
        typer.Option(
            "--weather", metavar="FILE", help="Year of weather for --as: EPW, or TMY3 as CSV."
        ),
    ] = None,
    rejection: Annotated[
        str | None,
        typer.Option(
            "--rejection",
            metavar="KIND",
            help="tower or dry.  [default: of the site file, or what is usual for the class]",
        ),
    ] = None,
    fit: Annotated[
        bool, typer.Option("--fit", help="Fit the model's coefficients to metered hours.")
    ] = False,
    *,
    output: Output,
) -> None:
    """Compare halls by their cooling: energy per IT, heat to liquid and to air, PUE, J/token.

    Heat to liquid is flow x temperature rise of metered loops; heat to air is IT energy without
    it. With --as and --weather it models each hall at other classes of cooling: hours without a
    chiller, cooling energy, PUE, and how J/token of the facility changes. Such rows say modelled;
    every coefficient is in docs/cooling.md and may be set in the site file. --fit tells those that
    meters can tell, with standard errors, and why it cannot tell others.

    Exit code 2: an option, the site file or the weather file is invalid, or nothing is metered.

    \b
    Examples:
      tokenergy cooling --lake ./lake
      tokenergy cooling --lake ./lake --by month --place hall:b --format csv
      tokenergy cooling --lake ./lake --as W32 --as W45 --as air --weather here.epw
      tokenergy cooling --lake ./lake --as W32 --rejection dry --weather here.epw
      tokenergy cooling --lake ./lake --fit --place hall:a --from 2026-01-01T00
    """
    from tokenergy_sql.catalog.asking import lake_at
    from tokenergy_sql.terminal.coolingfigures import cooling_rows
    from tokenergy_sql.terminal.coolingtable import cooling_table
    from tokenergy_sql.terminal.sitefigures import Wanted

    _require_fitting(by, classes, weather, rejection, fit)
    known = _known(lake, site)
    wanted = Wanted(by, hour_of(start), hour_of(end), place)
    if fit:
        _print_fits(lake, known, wanted, rejection, output)
    elif classes and weather is not None:
        _print_whatifs(lake, known, wanted, (classes, weather, rejection), output)
    else:
        rows = cooling_rows(lake_at(lake), known, wanted)
        output.show(rows, lambda: [cooling_table(rows, by)])


def _require_fitting(
    by: str,
    classes: list[str] | None,
    weather: Path | None,
    rejection: str | None,
    fit: bool,
) -> None:
    """Return if the options fit together.

    Raises:
        UserError: they do not.
    """
    if bool(classes) != (weather is not None):
        raise UserError("--as and --weather: give both or none")
    if fit and classes:
        raise UserError("--fit and --as: give one of them")
    if (fit or classes) and by != "all":
        raise UserError("--by: is of what is measured; leave it out with --fit and --as")
    if rejection is not None and not (fit or classes):
        raise UserError("--rejection: goes with --as or --fit")
    if rejection not in (None, "tower", "dry"):
        raise UserError(f"--rejection {rejection!r}: expected tower or dry")


def _known(lake: str, site: Path | None) -> Known:
    """Return what the site file says.

    Raises:
        UserError: it is not there, or is invalid.
    """
    from tokenergy_sql.catalog.asking import lake_at
    from tokenergy_sql.index.site import DEFAULT_NAME, load_cooling
    from tokenergy_sql.terminal.coolingfigures import Known

    if site is None and "://" in lake:
        raise UserError("--site: name the site file of a lake in an object store")
    file = site or Path(lake) / DEFAULT_NAME
    if site is None and not file.exists():
        lake_at(lake)  # no lake at all is another mistake
        raise UserError(
            f"{file}: not there: declare the meters and [[cooling]] of the halls in it "
            "(docs/cooling.md), or name another file with --site"
        )
    return Known(*load_cooling(file))


def _print_fits(
    lake: str, known: Known, wanted: Wanted, rejection: str | None, output: Output
) -> None:
    from tokenergy_sql.catalog.asking import lake_at
    from tokenergy_sql.cooling.classes import REJECTIONS
    from tokenergy_sql.terminal.coolingfits import fit_rows
    from tokenergy_sql.terminal.coolingtable import fit_table

    chosen = next((one for one in REJECTIONS if one == rejection), None)
    rows = fit_rows(lake_at(lake), known, wanted, chosen)
    output.show(rows, lambda: [fit_table(rows)])


def _print_whatifs(
    lake: str,
    known: Known,
    wanted: Wanted,
    given: tuple[list[str], Path, str | None],
    output: Output,
) -> None:
    from tokenergy_sql.catalog.asking import lake_at
    from tokenergy_sql.cooling.classes import REJECTIONS, class_of
    from tokenergy_sql.cooling.weather import load_weather
    from tokenergy_sql.terminal.coolingtable import whatif_table
    from tokenergy_sql.terminal.coolingwhatif import Asked, whatif_rows

    names, file, rejection = given
    chosen = next((one for one in REJECTIONS if one == rejection), None)
    classes = [class_of("--as", one) for one in names]
    weather = load_weather(file)
    rows = whatif_rows(lake_at(lake), known, wanted, Asked(classes, chosen, weather))
    if weather.left_out:
        typer.echo(
            f"cooling: {weather.left_out} hours of {file} have no dry bulb or humidity and are "
            "left out",
            err=True,
        )
    unsaid = [
        one["place"]
        for one in rows
        if one["method"] == "measured"
        and not any(o["place"] == one["place"] and "as it is" in o["method"] for o in rows)
    ]
    for name in unsaid:
        typer.echo(
            f"cooling: {name}: the site file does not say its class, so nothing is compared with "
            "what it is now: add `class` to its [[cooling]]",
            err=True,
        )
    output.show(rows, lambda: [whatif_table(rows, weather.name)])
