"""`tokenergy-collect`: the commands of the host side."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from tokenergy_collectors import __version__
from tokenergy_collectors.errors import UserError
from tokenergy_collectors.importers.cli import app as import_app

app = typer.Typer(
    name="tokenergy-collect",
    help="Record what GPUs draw and how many tokens they make, into a lake of Parquet files.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.add_typer(import_app, name="import")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"tokenergy-collect {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Record what GPUs draw and how many tokens they make, into a lake of Parquet files."""


@app.command()
def run(
    config: Annotated[
        Path | None, typer.Option("--config", help="Configuration file (TOML).", metavar="FILE")
    ] = None,
    lake: Annotated[
        str | None,
        typer.Option("--lake", envvar="TOKENERGY_LAKE", help="Where to write; over the file's."),
    ] = None,
    node: Annotated[
        str | None, typer.Option("--node", help="Name of this node; over the file's.")
    ] = None,
    duration: Annotated[
        str | None, typer.Option("--duration", help="Stop after this long, e.g. 90s, 2m, 1h.")
    ] = None,
    emulate: Annotated[
        str | None,
        typer.Option(
            "--emulate", metavar="PROFILE", help="Emulated boards: a name or a TOML file."
        ),
    ] = None,
    real_time: Annotated[
        bool, typer.Option("--real-time", help="Emulate at the pace of the wall clock.")
    ] = False,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", metavar="FILE", help="Where the emulator writes what is true."),
    ] = None,
) -> None:
    """Sample the GPUs of this host until stopped (SIGTERM, Ctrl-C); then seal the files.

    \b
    Examples:
      tokenergy-collect run --config /etc/tokenergy/collect.toml
      tokenergy-collect run --lake /data/lake --duration 2m
      tokenergy-collect run --lake ./lake --node gpu-a --emulate demo
    """
    from tokenergy_collectors.running import run_collector

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run_collector(
        config,
        lake=lake,
        node=node,
        duration=duration,
        emulate=emulate,
        real_time=real_time,
        truth=truth,
        stop=stop,
    )


def guarded(run_app: Callable[[], None]) -> None:
    """Run a command-line app; what the user can mend becomes one line and exit code 2."""
    try:
        run_app()
    except UserError as error:
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        sys.exit(2)
    except BrokenPipeError:
        # The reader of our output has gone, as `| head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def main() -> None:
    """Entry point of `tokenergy-collect`."""
    guarded(app)
