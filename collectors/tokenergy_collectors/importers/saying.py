"""What an import prints when it is done.

In: an `ImportResult`. Out: lines on standard output, warnings on standard error.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tokenergy_collectors.importers.result import ImportResult


def report(result: ImportResult, what: str) -> None:
    """Print what was read, skipped and written."""
    span = ""
    if result.first_us is not None:
        span = f", {_utc(result.first_us)} to {_utc(result.last_us)} UTC"
    notes = "".join(f"; {note}" for note in result.notes)
    typer.echo(f"read {what}{span}{notes}")
    for line in result.left_out.lines():
        typer.echo(line)
    for warning in result.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if not result.written:
        known = "already imported" if result.first_us is not None else "nothing to import"
        typer.echo(f"{known}: nothing changed")
        return
    rows = ", ".join(f"{count} {table}" for table, count in result.written.items())
    typer.echo(f"wrote {rows} rows in {many(len(result.files), 'file')}")


def _utc(ts_us: int | None) -> str:
    return f"{datetime.fromtimestamp((ts_us or 0) // 1_000_000, UTC):%Y-%m-%d %H:%M:%S}"


def many(count: int, noun: str) -> str:
    """Return a number with its noun: `1 device`, `2 devices`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
