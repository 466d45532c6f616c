"""Boards and sensors that a profile may use by name.

In: tables of a profile as read from TOML. Out: the same tables with the shipped boards and the keys
of named sensors filled in; keys in the profile override them. Sources: `boards.md`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

Table = dict[str, Any]

SENSORS: Mapping[str, Mapping[str, Any]] = {
    "20 ms": {"update_us": 20_000, "window_us": 20_000},
    "100/100": {"update_us": 100_000, "window_us": 100_000},
    "25/100": {"update_us": 100_000, "window_us": 25_000},
    "1 s average": {"update_us": 100_000, "unsupported": ["instant"]},
}
"""Kinds of power sensor: window and update period, or a 1 s average alone."""


@cache
def shipped() -> Mapping[str, Table]:
    """Return the boards that come with the package, by name."""
    text = (Path(__file__).parent / "boards.toml").read_text("utf-8")
    boards: dict[str, Table] = tomllib.loads(text)
    return boards


def with_catalogue(boards: Any, nodes: Any) -> Any:
    """Return the boards of a profile, those that its nodes name from the catalogue included.

    Raises:
        ValueError: `like` names a board that is not in the catalogue.
    """
    if not isinstance(boards, dict) or not isinstance(nodes, dict):
        return boards
    found = {key: _like(key, table) for key, table in boards.items()}
    for node in nodes.values():
        name = node.get("boards") if isinstance(node, dict) else None
        if isinstance(name, str) and name in shipped():
            found.setdefault(name, dict(shipped()[name]))
    return found


def with_sensor(board: Any) -> Any:
    """Return a board's table with the keys of its named sensor filled in."""
    kind = SENSORS.get(str(board.get("sensor"))) if isinstance(board, dict) else None
    if kind is None:
        return board
    unsupported = board.get("unsupported", [])
    if isinstance(unsupported, list):
        missing = [one for one in kind.get("unsupported", []) if one not in unsupported]
        unsupported = [*unsupported, *missing]
    return {**kind, **board, "unsupported": unsupported}


def _like(key: str, table: Any) -> Any:
    """Return a board's table, with the keys that it lacks from the shipped one it is `like`."""
    if not isinstance(table, dict) or not isinstance(table.get("like"), str):
        return table
    if table["like"] not in shipped():
        raise ValueError(f"boards.{key}.like = {table['like']!r}: allowed: {', '.join(shipped())}")
    return {**shipped()[table["like"]], **table}
