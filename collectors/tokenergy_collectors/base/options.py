"""Command-line options that several commands share.

In: nothing. Out: the types of their parameters.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="Configuration file (TOML).", metavar="FILE")
]
LakeOption = Annotated[
    str | None,
    typer.Option("--lake", envvar="TOKENERGY_LAKE", help="Lake folder; overrides the config file."),
]
Node = Annotated[
    str | None, typer.Option("--node", help="Name of this node; overrides the config file.")
]
Emulate = Annotated[
    str | None,
    typer.Option(
        "--emulate",
        metavar="PROFILE",
        help="Use emulated boards: a shipped profile or a TOML file.",
    ),
]
