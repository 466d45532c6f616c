"""`tokenergy-collect top`: what GPUs and jobs do now, on a terminal."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer


def top(
    address: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="ADDRESS", help="A collector's endpoint: HOST:PORT or unix:/PATH."
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Take the address from this configuration."),
    ] = None,
    emulate: Annotated[
        str | None,
        typer.Option(
            "--emulate", metavar="PROFILE", help="Emulated boards: a name or a TOML file."
        ),
    ] = None,
    node: Annotated[
        str | None, typer.Option("--node", help="Node of the profile; its first one if not given.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", help="Begin this far into the profile, e.g. 10m (5m, or half of it if less)."
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print one frame and exit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one frame as JSON.")] = False,
) -> None:
    """Show GPUs, jobs, watts, tokens a second and joules per token, live; q or Ctrl-C ends it.

    It asks a running collector that has an endpoint ([metrics] listen). Where neither an address
    nor a configuration with one is given it samples the GPUs of this host itself; nothing is
    written. Rates and J/token are of the last minute; what is not fresh is a dash. Where the output
    is no terminal one frame is printed.

    \b
    Examples:
      tokenergy-collect top --from 127.0.0.1:9465
      tokenergy-collect top --config /etc/tokenergy/collect.toml --once
      tokenergy-collect top --from unix:/run/tokenergy/metrics.sock --json
      tokenergy-collect top --emulate demo --at 10m
    """
    from tokenergy_collectors.base.durations import parse_duration
    from tokenergy_collectors.top import screen
    from tokenergy_collectors.top.look import Wanted, looking

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    at_us = None if at is None else parse_duration(at)
    try:
        with looking(Wanted(address, config, emulate, node, at_us)) as look:
            if as_json:
                screen.print_json(look)
            elif once or not sys.stdout.isatty():
                screen.print_once(look)
            else:
                screen.show(look, stop)
    except KeyboardInterrupt:
        return
