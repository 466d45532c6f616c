"""Options that several commands of `tokenergy-collect import` have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

LakeDir = Annotated[
    Path,
    typer.Option("--lake", envvar="TOKENERGY_LAKE", help="Lake folder; created if missing."),
]
Cluster = Annotated[
    str | None,
    typer.Option("--cluster", help="Cluster whose job ids these are; a job is then CLUSTER/ID."),
]
