"""The options of every command that prints a table: one group, added to a command by a decorator.

In: a command with a parameter `output`. Out: the same command with `--format`, `--columns`,
`--wide` and `--output` instead, which are checked before it begins.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

FormatOption = Annotated[
    str, typer.Option("--format", help="Output format: table, json, csv or parquet.")
]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        "--columns", metavar="NAMES", help="Only these columns, separated by commas, in this order."
    ),
]
WideOption = Annotated[
    bool, typer.Option("--wide", help="All columns of a table, however narrow the terminal is.")
]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", metavar="FILE", help="Write to this file.  [default: stdout]"),
]

_GROUP = (
    ("output_format", FormatOption, "table"),
    ("columns", ColumnsOption, None),
    ("wide", WideOption, False),
    ("output_file", OutputOption, None),
)


def tabled(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with the options of all tables; it is called with them as `output`."""
    own = inspect.signature(command, eval_str=True)
    kept = [one for one in own.parameters.values() if one.name != "output"]
    group = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, kind, default in _GROUP
    ]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        from tokenergy_sql.terminal.output import asked

        output = asked(*(given.pop(name) for name, _, _ in _GROUP))
        command(**given, output=output)

    # typer asks for both: the parameters, and the types of those that are not annotated in place.
    run.__signature__ = own.replace(parameters=[*kept, *group])  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in (*kept, *group)}
    return run
