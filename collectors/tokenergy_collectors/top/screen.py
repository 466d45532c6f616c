"""Shows frames on a terminal: once, as JSON, or every second until `q` or Ctrl-C.

In: a look, which returns frames. Out: text for people, or JSON for programs.
"""

from __future__ import annotations

import json
import os
import select
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.top.look import Look
from tokenergy_collectors.top.render import draw

Wait = Callable[[float], str]
"""Waits for a key for some seconds; returns it, or an empty text."""

_EVERY_S = 1.0


def print_json(look: Look) -> None:
    """Print one frame as JSON; unknown values are null."""
    print(json.dumps(asdict(look()), indent=1, ensure_ascii=False))


def print_once(look: Look) -> None:
    """Print one frame without a limit on lines, as wide as the terminal (or 80 characters)."""
    console = _console()
    console.print(draw(look(), console.width, plain=_plain(console)))


def show(look: Look, stop: threading.Event) -> None:
    """Show a frame per second until `q`, Ctrl-C or `stop`.

    Raises:
        UserError: there is no answer at the first look. Later that is shown, and it tries again.
    """
    console = _console()
    first = draw(look(), console.width, console.height, plain=_plain(console))
    answered_s = time.monotonic()
    with _keys() as pressed, Live(first, console=console, screen=True, auto_refresh=False) as live:
        live.refresh()
        while not stop.is_set() and pressed(_EVERY_S) not in ("q", "Q", "\x03"):
            try:
                frame = look()
            except UserError as error:
                # The error replaces the frame: old numbers must not look like current ones.
                found: RenderableType = Text(
                    f"no answer for {time.monotonic() - answered_s:.0f} s: {error}", "red"
                )
            else:
                answered_s = time.monotonic()
                found = draw(frame, console.width, console.height, plain=_plain(console))
            live.update(found, refresh=True)


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)


def _plain(console: Console) -> bool:
    return not console.encoding.lower().startswith("utf")


def _no_key(seconds: float) -> str:
    time.sleep(seconds)
    return ""


@contextmanager
def _keys() -> Iterator[Wait]:
    """Yield a function that waits for a key; keys arrive at once and are not shown."""
    if not sys.stdin.isatty():
        yield _no_key
        return
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)

    def wait(seconds: float) -> str:
        if not select.select([keyboard], [], [], seconds)[0]:
            return ""
        # A terminal that has gone reads as empty: quit.
        return os.read(keyboard, 1).decode(errors="replace") or "q"

    try:
        tty.setcbreak(keyboard)
        yield wait
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
