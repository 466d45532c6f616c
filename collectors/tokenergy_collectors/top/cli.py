"""The command `tokenergy-collect top`.

In: its options. Out: frames on the terminal, or one as JSON.
"""

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
            "--from", metavar="ADDRESS", help="Endpoint of a collector: HOST:PORT or unix:/PATH."
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", help="Use the address in this configuration file."
        ),
    ] = None,
    emulate: Annotated[
        str | None,
        typer.Option(
            "--emulate",
            metavar="PROFILE",
            help="Use emulated boards: a shipped profile or a TOML file.",
        ),
    ] = None,
    node: Annotated[
        str | None, typer.Option("--node", help="Node of the profile; its first one if not given.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            help="Start this far into the profile, e.g. 10m (default: 5m, at most half of it).",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print one frame and exit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one frame as JSON.")] = False,
) -> None:
    """Show power, tokens per second and joules per token of GPUs and jobs, live. Quit with q.

    Reads the endpoint of a running collector (metrics.listen). Without --from, and without a
    configuration that has an endpoint, it samples the GPUs of this host itself and writes nothing.
    Rates and J/token cover the last minute; a value that is stale or unknown is a dash. If the
    output is not a terminal, it prints one frame.

    \b
    Examples:
      tokenergy-collect top --from 127.0.0.1:9465
      tokenergy-collect top --config /etc/tokenergy/collect.toml --once
      tokenergy-collect top --from unix:/run/tokenergy/metrics.sock --json
      tokenergy-collect top --emulate demo --at 10m
    """
    # Imported here, so that --help and the other commands start fast.
    from tokenergy_collectors.base.durations import parse_duration
    from tokenergy_collectors.top import screen
    from tokenergy_collectors.top.look import TopOptions, looking

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    # Ctrl-C is one of the two ways to quit, no interruption.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    at_us = None if at is None else parse_duration(at)
    try:
        with looking(TopOptions(address, config, emulate, node, at_us)) as look:
            if as_json:
                screen.print_json(look)
            elif once or not sys.stdout.isatty():
                screen.print_once(look)
            else:
                screen.show(look, stop)
    except KeyboardInterrupt:
        return
