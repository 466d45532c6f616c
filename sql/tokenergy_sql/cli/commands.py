"""The `tokenergy` app: all commands in the order in which `--help` lists them, and its start."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tokenergy_collectors import __version__
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.helpgroup import HelpGroup
from tokenergy_collectors.cli import guarded
from tokenergy_sql.cli import (
    ask,
    building,
    carbon,
    comparing,
    cooling,
    emulated,
    flexing,
    gating,
    gridload,
    healing,
    keeping,
    modules,
    pipeline,
    quality,
    show,
    site,
    storage,
)
from tokenergy_sql.cli.anywhere import anywhere
from tokenergy_sql.cli.extras import ANALYSIS_PACKAGES, not_installed

app = typer.Typer(
    name="tokenergy",
    cls=HelpGroup,
    help="From power readings to energy per token, job by job.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tokenergy {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """From power readings to energy per token, job by job."""


app.command()(anywhere(pipeline.run))
app.command()(anywhere(pipeline.aggregate))
app.command(name="load-profile")(anywhere(pipeline.load_profile))
app.command()(anywhere(gridload.swings))
app.command()(anywhere(gridload.comply))
app.command()(anywhere(storage.storage))
app.command()(anywhere(pipeline.index))
app.command()(anywhere(healing.stale))
app.command()(anywhere(healing.heal))
app.command()(anywhere(pipeline.revisions))
app.command()(anywhere(pipeline.diff))
app.command()(anywhere(pipeline.check))
app.command()(anywhere(quality.quality))
app.command()(site.places)
app.command()(keeping.compact)
app.command()(keeping.expire)
app.command()(pipeline.migrate)
app.command()(ask.query)
app.command(name="by")(ask.by_dimension)
app.command()(building.site)
app.command()(carbon.carbon)
app.command(name="host-model")(anywhere(building.host_model))
app.command()(cooling.cooling)
app.command()(modules.modules)
app.command()(flexing.shift)
app.command()(flexing.caps)
app.command()(flexing.response)
app.command()(gating.gate)
app.command()(anywhere(comparing.compare))
app.command()(ask.export)
app.command()(ask.catalog)
app.command()(anywhere(show.efficiency))
app.command()(anywhere(show.explain))
app.command()(anywhere(show.report))
app.command()(anywhere(emulated.score))
app.command()(emulated.demo)


def _run() -> None:
    try:
        app()
    except ModuleNotFoundError as error:
        # Commands import what they need when they run, so a missing extra shows up here.
        if error.name not in ANALYSIS_PACKAGES:
            raise
        raise not_installed(error.name) from None
    except Exception as error:
        if not _is_the_machines(error):
            raise
        raise UserError(" ".join(str(error).split())) from None


def _is_the_machines(error: Exception) -> bool:
    """Return whether DuckDB says that a disk, a file or the memory failed, not that we erred."""
    duckdb = sys.modules.get("duckdb")
    return duckdb is not None and isinstance(
        error, duckdb.IOException | duckdb.OutOfMemoryException
    )


def main() -> None:
    """Run `tokenergy`; errors of the user's become one line on standard error."""
    guarded(_run)
