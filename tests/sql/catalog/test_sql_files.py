"""A statement of more than five lines is in a `.sql` file, not in a string of a module."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import tokenergy_sql

ROOMS = (
    "catalog",
    "checks",
    "cli",
    "demo",
    "explain",
    "index",
    "report",
    "revisions",
    "terminal",
)
MODULES = [
    path for room in ROOMS for path in (Path(tokenergy_sql.__file__).parent / room).rglob("*.py")
]


def long_statements(source: str) -> list[int]:
    """Return the lines on which strings begin that are statements of more than five lines."""
    found = {
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.Constant, ast.JoinedStr))
        and re.match(r"""[f"'\s]*(WITH|SELECT|FROM|CREATE|INSERT)\b""", _text(node))
        and (node.end_lineno or 0) - node.lineno >= 5
    }
    return sorted(found)


def _text(node: ast.Constant | ast.JoinedStr) -> str:
    return ast.unparse(node) if isinstance(node, ast.JoinedStr) else str(node.value)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_long_statements_have_a_file(path: Path) -> None:
    assert long_statements(path.read_text("utf-8")) == []


def test_long_statements_are_found() -> None:
    lines = ["SELECT", "a,", "b,", "c", "FROM", "d"]
    text = "\n".join(lines)
    assert long_statements(f'x = """{text}"""') == [1]
    assert long_statements(f'y = 1\nx = f"""{text}{{y}}"""') == [2]
    assert long_statements('x = "SELECT 1"') == []
