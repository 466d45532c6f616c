"""Lets a command that works on the folder of a lake work on a lake in an object store too."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer


def anywhere(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command whose `--lake` may be a URL: see `workcopy.working`."""

    @functools.wraps(command)
    def run(**given: Any) -> None:
        from tokenergy_sql.workcopy.working import on_lake

        def task(root: Path) -> typer.Exit | None:
            try:
                command(**{**given, "lake": root})
            except typer.Exit as found:  # it has ended: what it wrote counts
                return found
            return None

        if (ended := on_lake(given["lake"], task)) is not None:
            raise ended

    return run
