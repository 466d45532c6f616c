"""A group of commands whose help shows the whole first sentence of each, folded, never cut.

In: a typer app (`cls=HelpGroup`). Out: its `--help`. Typer's own group cuts summaries to one line.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

_WHOLE = 1000
"""More characters than a summary has: nothing is cut, and the formatter folds it."""


class HelpGroup(TyperGroup):
    """Lists its commands with uncut summaries."""

    # Any: typer has a copy of click of its own, whose types have no public name.
    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each command that is not hidden, with its summary."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [
            (name, command.get_short_help_str(_WHOLE))
            for name, command in found
            if command is not None and not command.hidden
        ]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)
