"""The models: one SQL file each, a single SELECT over tables, views and the models before it."""

from __future__ import annotations

from tokenergy_sql.catalog.sqlfile import read_sql


def model_text(name: str) -> str:
    """Return the SQL of a model."""
    return read_sql(__name__, name)
