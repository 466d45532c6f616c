"""The commands `tokenergy-collect fleet` and `tokenergy-collect emulate`.

In: their options. Out: a lake of an emulated cluster, or boards for other programs.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from tokenergy_collectors.base.options import ConfigFile, LakeOption


def fleet(
    profile: Annotated[
        str,
        typer.Argument(
            metavar="PROFILE", help="Emulated cluster: a shipped profile or a TOML file."
        ),
    ],
    lake: LakeOption = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            "--truth",
            metavar="DIR",
            help="Folder for the exact energies and tokens, one file per node.",
        ),
    ] = None,
    node: Annotated[
        list[str] | None, typer.Option("--node", help="Collect only this node; may be repeated.")
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option("--duration", help="Collect each node for this long, e.g. 90s, 2m, 1h."),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Collect all nodes of an emulated cluster in one process, on a virtual clock.

    The lake is the same as if each node ran its own daemon; collecting again adds nothing. Exact
    energies and tokens are written only for nodes that were collected to the end of the profile.

    \b
    Examples:
      tokenergy-collect fleet fleet --lake ./lake --truth ./truth
      tokenergy-collect fleet demo --lake ./lake --node gpu-a --duration 5m
    """
    from tokenergy_collectors.daemon.control import Control
    from tokenergy_collectors.emulate.run.fleet import run_fleet

    control = Control()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: control.ask_stop())
    typer.echo(run_fleet(profile, config, control, lake, truth, node or (), duration))


def emulate(
    profile: Annotated[str, typer.Argument(help="A shipped profile or a TOML file.")],
    command: Annotated[
        list[str] | None,
        typer.Argument(help="A program to run on the boards, after --.", metavar="COMMAND"),
    ] = None,
    node: Annotated[
        str | None, typer.Option("--node", help="Node of the profile; default: its first.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state", metavar="FILE", help="Path of the state file; default: a new folder."
        ),
    ] = None,
    duration: Annotated[
        str | None, typer.Option("--duration", help="Stop after this long, e.g. 90s, 2m, 1h.")
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            "--truth", metavar="FILE", help="File for the exact energies and tokens, at the end."
        ),
    ] = None,
) -> None:
    """Emulate boards that any program on this host can read through NVML. Needs gcc.

    Prints the variables to export, and serves the boards in real time until the profile ends, or
    SIGTERM or Ctrl-C. With a COMMAND, runs it on the boards and exits with its exit code.

    \b
    Examples:
      tokenergy-collect emulate demo --duration 10m --truth truth.json
      tokenergy-collect emulate demo --node gpu-b -- gpustat --json
      tokenergy-collect emulate demo -- tokenergy-collect run --lake ./lake --duration 20s
    """
    from threading import Event

    from tokenergy_collectors.base.durations import parse_duration
    from tokenergy_collectors.emulate.native.command import emulate as serve

    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    code = serve(
        profile,
        stop=stop,
        say=lambda line: print(line, flush=True),
        node=node,
        state=state,
        duration_us=None if duration is None else parse_duration(duration),
        truth=truth,
        command=command or (),
    )
    raise typer.Exit(code)
