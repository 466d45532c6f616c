"""Event kinds: every kind that the code writes has a meaning, and no other kind has one."""

import ast
from pathlib import Path

import tokenergy_collectors
from tokenergy_collectors.lake.contract import EVENT_KINDS

WRITERS = {"warn", "event", "emit", "_emit", "_tell", "_event"}
"""Functions and methods that take an event's kind as their first argument."""

INDIRECT = {"limit"}
"""Kinds that reach these functions in a variable."""

ROOT = Path(tokenergy_collectors.__file__).parent
TREES = {
    path: ast.parse(path.read_text("utf-8"))
    for path in ROOT.rglob("*.py")
    if path != ROOT / "lake" / "events.py"
}


def texts(node):
    return {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and type(n.value) is str}


def written_kinds():
    """The kinds that calls name; `READY=1` and the like go to systemd."""
    for tree in TREES.values():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = getattr(call.func, "attr", getattr(call.func, "id", None))
            if name in WRITERS and call.args and isinstance(call.args[0], ast.Constant):
                kind = call.args[0].value
                if isinstance(kind, str) and "=" not in kind:
                    yield kind


def test_every_kind_that_is_written_has_a_meaning():
    found = set(written_kinds())
    assert len(found) > 15
    assert found - EVENT_KINDS.keys() == set()


def test_every_kind_that_has_a_meaning_is_written():
    assert EVENT_KINDS.keys() - set(written_kinds()) == INDIRECT
    assert set().union(*map(texts, TREES.values())) >= INDIRECT


def test_meanings_are_one_line():
    for kind, meaning in EVENT_KINDS.items():
        assert meaning.strip(), kind
        assert "\n" not in meaning, kind
        assert "|" not in meaning, kind
