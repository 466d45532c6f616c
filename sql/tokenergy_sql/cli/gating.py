"""The command that compares energy per token before and after a change, for CI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokenergy_collectors.base.errors import UserError

if TYPE_CHECKING:
    from tokenergy_sql.gate.verdict import Wanted

_PERCENT = 100


def gate(
    base: Annotated[
        str,
        typer.Argument(
            metavar="BASE", help="Before: job:ID, model:NAME, day:DATE, or an exported file."
        ),
    ],
    head: Annotated[
        str | None, typer.Argument(metavar="[HEAD]", help="After: named in the same ways.")
    ] = None,
    lake: Annotated[
        Path | None,
        typer.Option(
            "--lake",
            envvar="TOKENERGY_LAKE",
            metavar="DIR",
            help="Lake folder; not needed where both are files.",
        ),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option("--threshold", metavar="PERCENT", help="From how much more on it is worse."),
    ] = 0.5,
    resolution: Annotated[
        float,
        typer.Option(
            "--resolution",
            metavar="PERCENT",
            help="A regression of so much must be visible, else nothing is told.",
        ),
    ] = 5.0,
    confidence: Annotated[
        float,
        typer.Option("--confidence", metavar="PERCENT", help="Of the interval for chance."),
    ] = 99.0,
    load: Annotated[
        str,
        typer.Option(
            "--load",
            help="open: requests came at a given rate; closed: so many were in flight, so the "
            "rate is the engine's.",
        ),
    ] = "open",
    output_format: Annotated[
        str, typer.Option("--format", help="Output format: text, json or junit.")
    ] = "text",
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Write there, and print the verdict alone."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if nothing can be told, too.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="Write BASE to a file; compare nothing."),
    ] = None,
) -> None:
    """Compare J/token of HEAD with BASE at equal operating points; exit with 1 if it is worse.

    For CI: an engine upgrade or a kernel change is held to its energy, at the boundary of the GPUs.
    The ratio has bounds for chance and for the meters; errors of a meter cancel where the same
    board was used. Several conditions are joined by commas: model:NAME,day:DATE. Days may be a
    span, DATE..DATE (UTC). --export keeps a baseline as a file. See docs/gate.md.

    Exit code 0: pass, or it cannot be told. 1: worse; with --strict also if it cannot be told. 2: a
    side or an option is invalid.

    \b
    Examples:
      tokenergy gate job:bench-v1 job:bench-v2 --lake ./lake
      tokenergy gate job:bench-v1 --export base.json --lake ./lake
      tokenergy gate base.json job:bench-v2 --lake ./lake --format junit --output gate.xml
      tokenergy gate model:llama,day:2026-01-15 model:llama,day:2026-01-22 --lake ./lake --strict
    """
    from tokenergy_collectors.base.output import is_stdout, require_writable, write_text
    from tokenergy_sql.gate.verdict import compare
    from tokenergy_sql.terminal import gatesides
    from tokenergy_sql.terminal.gatefile import FORMATS
    from tokenergy_sql.terminal.gatetext import parts_of, verdict_line
    from tokenergy_sql.terminal.output import Output

    if output_format not in FORMATS:
        raise UserError(f"--format {output_format!r}: expected text, json or junit")
    wanted = _wanted(threshold, resolution, confidence, load)
    for out in (output, export):
        if out is not None:
            require_writable(out)
    if export is not None:
        if head is not None:
            raise UserError("--export: goes with BASE alone; leave HEAD out")
        side = gatesides.sides_of(lake, {"BASE": base})["BASE"]
        rows = gatesides.export(side, export)
        typer.echo(f"gate: {rows:,} rows of {side.text} -> {export}", err=is_stdout(export))
        return
    if head is None:
        raise UserError("HEAD: missing; name what to compare BASE with, or give --export FILE")
    sides = gatesides.sides_of(lake, {"BASE": base, "HEAD": head})
    outcome = compare(sides["BASE"], sides["HEAD"], wanted)
    text = FORMATS[output_format](outcome, strict)
    if output is None and output_format == "text":
        Output().show_tables(parts_of(outcome))
    elif output is None:
        typer.echo(text)
    else:
        write_text(text + "\n", output)
        typer.echo(verdict_line(outcome), err=is_stdout(output))
    if outcome.verdict == "worse" or (strict and outcome.verdict == "cannot_tell"):
        raise typer.Exit(1)


def _wanted(threshold: float, resolution: float, confidence: float, load: str) -> Wanted:
    from tokenergy_sql.gate.points import LOADS
    from tokenergy_sql.gate.verdict import Wanted

    found = next((one for one in LOADS if one == load), None)
    if found is None:
        raise UserError(f"--load {load!r}: expected {' or '.join(LOADS)}")
    if not 0 <= threshold < _PERCENT:
        raise UserError(f"--threshold {threshold:g}: expected 0 or more, and less than 100")
    if not 0 < resolution < _PERCENT:
        raise UserError(f"--resolution {resolution:g}: expected more than 0 and less than 100")
    if not 50 <= confidence < _PERCENT:
        raise UserError(f"--confidence {confidence:g}: expected 50 or more, and less than 100")
    return Wanted(threshold / _PERCENT, resolution / _PERCENT, confidence / _PERCENT, found)
