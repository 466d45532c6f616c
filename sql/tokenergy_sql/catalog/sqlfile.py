"""Reads the `.sql` files next to the modules that run them."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def read_sql(package: str, name: str) -> str:
    """Return the text of `NAME.sql` in a package."""
    return resources.files(package).joinpath(f"{name}.sql").read_text("utf-8")
