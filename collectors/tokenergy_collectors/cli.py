"""`tokenergy-collect`: the commands of the host side."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from tokenergy_collectors import __version__
from tokenergy_collectors.base import interrupt
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.helpgroup import HelpGroup
from tokenergy_collectors.base.options import ConfigFile, Emulate, LakeOption, Node
from tokenergy_collectors.base.output import OutputError, checked_stdout
from tokenergy_collectors.base.strict import take_notices
from tokenergy_collectors.emulate.cli import emulate, fleet
from tokenergy_collectors.importers.cli import app as import_app
from tokenergy_collectors.top.cli import top

app = typer.Typer(
    name="tokenergy-collect",
    cls=HelpGroup,
    help="Record GPU power and token counts in a lake of Parquet files.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.add_typer(import_app, name="import")


def _version(requested: bool) -> None:
    if requested:
        typer.echo(f"tokenergy-collect {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Record GPU power and token counts in a lake of Parquet files."""


@app.command()
def run(
    config: ConfigFile = None,
    lake: LakeOption = None,
    node: Node = None,
    duration: Annotated[
        str | None, typer.Option("--duration", help="Stop after this long, e.g. 90s, 2m, 1h.")
    ] = None,
    emulate: Emulate = None,
    real_time: Annotated[
        bool, typer.Option("--real-time", help="Run the emulation in real time.")
    ] = False,
    truth: Annotated[
        Path | None,
        typer.Option(
            "--truth",
            metavar="FILE",
            help="File for the exact energies and tokens of the emulation.",
        ),
    ] = None,
) -> None:
    """Sample the GPUs of this host until SIGTERM or Ctrl-C; then seal the files and exit.

    SIGHUP seals the files, reads the configuration and the job file again, and continues.

    \b
    Examples:
      tokenergy-collect run --config /etc/tokenergy/collect.toml
      tokenergy-collect run --lake /data/lake --duration 2m
      tokenergy-collect run --lake ./lake --node gpu-a --emulate demo
    """
    # Commands import what they need when they run, so that --help starts fast.
    from tokenergy_collectors.daemon.control import Control
    from tokenergy_collectors.daemon.supervise import NvmlLostError
    from tokenergy_collectors.start import run_collector

    control = Control()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: control.ask_stop())
    signal.signal(signal.SIGHUP, lambda *_: control.ask_reload())
    try:
        run_collector(
            config,
            control=control,
            lake=lake,
            node=node,
            duration=duration,
            emulate=emulate,
            real_time=real_time,
            truth=truth,
        )
    except NvmlLostError as error:
        _fail(error)
        raise typer.Exit(1) from None


app.command()(fleet)
app.command()(emulate)


@app.command()
def check(
    config: ConfigFile = None, lake: LakeOption = None, node: Node = None, emulate: Emulate = None
) -> None:
    """Check whether the daemon can run on this host, and what it would record. Writes nothing.

    Prints one line per finding: ok, warn (some data would be missing) or FAIL (the daemon cannot
    run). Exit code 0: it can run; 1: it cannot; 2: an option or the configuration is invalid.

    \b
    Examples:
      tokenergy-collect check --config /etc/tokenergy/collect.toml
      tokenergy-collect check --lake ./lake --node gpu-a --emulate demo
    """
    from tokenergy_collectors.check.command import check_host

    would_run = True
    for finding in check_host(config, lake=lake, node=node, emulate=emulate):
        typer.echo(str(finding))
        would_run = would_run and finding.level != "FAIL"
    if not would_run:
        raise typer.Exit(1)


@app.command()
def upload(config: ConfigFile = None, lake: LakeOption = None, node: Node = None) -> None:
    """Upload all sealed files that the store does not have yet, and verify them there.

    The store is upload.to of the configuration. Exit code 0: the store has every sealed file of
    this node; 1: some could not be uploaded; 2: an option or the configuration is invalid. It may
    run while the daemon runs.

    \b
    Examples:
      tokenergy-collect upload --config /etc/tokenergy/collect.toml
      tokenergy-collect upload --config collect.toml --lake ./lake --node gpu-a
    """
    from tokenergy_collectors.base.strict import load_toml
    from tokenergy_collectors.daemon.upload_once import upload_once
    from tokenergy_collectors.settings.config import Config as Model

    loaded = load_toml(config, Model, {"lake": lake, "node": node})
    done, problems = upload_once(loaded, lambda line: typer.echo(line, err=True))
    for problem in problems:
        _fail(UserError(problem))
    size = f"{done.bytes / 1e6:.3f} MB"
    typer.echo(f"{done.files} files ({size}) verified, {done.backlog_files} still to upload")
    if problems or done.backlog_files:
        raise typer.Exit(1)


app.command()(top)


@app.command(name="config")
def configuration(
    config: ConfigFile = None,
    example: Annotated[
        bool, typer.Option("--example", help="Print every key with its default and meaning.")
    ] = False,
    lake: LakeOption = None,
    node: Node = None,
) -> None:
    """Print an example with every key, or the configuration that is in effect, as TOML.

    \b
    Examples:
      tokenergy-collect config --example > collect.toml
      tokenergy-collect config --config /etc/tokenergy/collect.toml
    """
    from tokenergy_collectors.base.strict import load_toml
    from tokenergy_collectors.settings import example as printing
    from tokenergy_collectors.settings.config import Config as Model

    if example:
        typer.echo(printing.example(), nl=False)
    elif config is None:
        raise UserError("nothing to print: give --example, or --config FILE")
    else:
        loaded = load_toml(config, Model, {"lake": lake, "node": node})
        typer.echo(printing.effective(loaded), nl=False)


def _fail(error: object) -> None:
    _warn(f"error: {' '.join(str(error).split())}")


def _warn(line: str) -> None:
    with suppress(OSError):  # standard error is closed or full: the exit code still says it
        typer.echo(line, err=True)


def guarded(run_app: Callable[[], None]) -> None:
    """Run a command-line app, and end with the exit code of what happened, without a traceback.

    A mistake that the user can mend, or output that cannot be written: one line and 2. Ctrl-C: one
    line and 130. A reader of our output that has gone, as `| head` does: 141, as SIGPIPE would.
    """
    with interrupt.watched():
        try:
            with checked_stdout():
                run_app()
        except BaseException as error:
            # Where Ctrl-C stops a library, that raises errors of its own: they are not the reason.
            if interrupt.asked():
                interrupt.end()
            code = _exit_code(error)
            if code is None:
                raise
            sys.exit(code)
        finally:
            for notice in take_notices():
                _warn(f"warning: {notice}")


def _exit_code(error: BaseException) -> int | None:
    """Say what a user can mend, and return the exit code; None for any other exception."""
    if isinstance(error, OutputError) and error.closed_pipe:
        return 141
    if isinstance(error, UserError | OutputError):
        _fail(error)
        return 2
    if isinstance(error, OSError) and error.errno is not None:
        # A full disk, too many open files: the system's words say more than where it happened.
        place = f"{error.filename}: " if error.filename is not None else ""
        _fail(f"{place}{error.strerror or error}")
        return 2
    return None


def main() -> None:
    """Entry point of `tokenergy-collect`."""
    guarded(app)
