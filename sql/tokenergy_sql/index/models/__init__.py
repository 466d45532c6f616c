"""The models: one SQL file a derived table, each a single SELECT over views of the lake."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def model_text(name: str) -> str:
    """Return the SQL of a model."""
    return resources.files(__name__).joinpath(f"{name}.sql").read_text("utf-8")
