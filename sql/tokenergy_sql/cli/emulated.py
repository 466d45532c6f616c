"""The commands that run on an emulated cluster: the demo, and the comparison with its truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokenergy_sql.cli.extras import require_analysis_packages
from tokenergy_sql.cli.options import LakeOption


def score(
    lake: LakeOption,
    truth: Annotated[
        Path,
        typer.Option("--truth", metavar="DIR", help="Folder with the emulator's truth files."),
    ],
) -> None:
    """Compare a lake with the true values that the emulator recorded.

    Exits with 1 if a job misses its bounds.

    \b
    Example:
      tokenergy score --lake demo-lake/lake --truth demo-lake/truth
    """
    from tokenergy_sql import steps

    if not steps.print_score(lake, truth):
        raise typer.Exit(1)


def demo(
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Folder for the lake, the truth and the report."),
    ] = Path("demo-lake"),
    profile: Annotated[
        str,
        typer.Option("--profile", help="Cluster to emulate: the name of a profile or a TOML file."),
    ] = "demo",
    with_score: Annotated[
        bool,
        typer.Option("--score", help="Compare with the truth at the end; exit with 1 on a miss."),
    ] = False,
) -> None:
    """Run the whole pipeline on an emulated cluster.

    Collects, aggregates, indexes, checks the books and writes the report.

    \b
    Examples:
      tokenergy demo
      tokenergy demo --score --out /tmp/demo
    """
    from tokenergy_sql import steps

    # Collecting takes a while; a missing package should show before it, not after.
    require_analysis_packages()
    if not steps.run_demo(out, profile, with_score):
        raise typer.Exit(1)
