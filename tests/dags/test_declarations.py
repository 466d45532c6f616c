"""DAG files declare and call: no SQL and no arithmetic in them, so that the packages can be tested
without Airflow and the commands do what the schedule does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.support.airflow import DAGS

_SQL = re.compile(
    r"\s*(select|insert|update|delete|create|drop|with|copy|attach|merge|pragma)\s.*"
    r"\b(from|into|set|table|view|as|to|where|values)\b",
    re.IGNORECASE | re.DOTALL,
)
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult)
_CALCULATING = {"duckdb", "numpy", "pandas", "polars", "pyarrow", "sqlite3"}
_RUNNING = {"execute", "executemany", "sql", "query"}
_LONGEST = 40


def faults(source: str) -> Iterator[str]:
    """Yield what a DAG file does that belongs into a package: line and what it is."""
    for node in ast.walk(ast.parse(source)):
        if what := _fault(node):
            yield f"line {getattr(node, 'lineno', 0)}: {what}"


def _fault(node: ast.AST) -> str | None:
    match node:
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if isinstance(op, _ARITHMETIC):
            return "arithmetic"
        case ast.Constant(value=str(text)) if _SQL.match(text):
            return "SQL"
        case ast.Import(names=names) if any(_root(one.name) in _CALCULATING for one in names):
            return "import of a library that calculates"
        case ast.ImportFrom(module=str(name)) if _root(name) in _CALCULATING:
            return "import of a library that calculates"
        case ast.Call(func=ast.Attribute(attr=name)) if name in _RUNNING:
            return f"call of {name}"
        case ast.For() | ast.While() if any(isinstance(n, (ast.For, ast.While)) for n in _in(node)):
            return "loop in a loop"
        case ast.FunctionDef(lineno=first, end_lineno=int(last)) if last - first >= _LONGEST:
            return f"function of more than {_LONGEST} lines"
    return None


def _root(name: str) -> str:
    return name.partition(".")[0]


def _in(node: ast.AST) -> Iterator[ast.AST]:
    return (child for child in ast.walk(node) if child is not node)


@pytest.mark.parametrize("path", sorted(DAGS.glob("*.py")), ids=lambda path: path.name)
def test_dags_declare_only(path: object) -> None:
    assert list(faults(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("x = 3_600 * 24", "arithmetic"),
        ("x = hour + HOUR", "arithmetic"),
        ("x -= 1", "arithmetic"),
        ("x = DELAY.seconds // 60", "arithmetic"),
        ("text = 'SELECT sum(energy_nj) FROM ledger'", "SQL"),
        ("text = '''\n  with a as (select 1)\n select * from a'''", "SQL"),
        ("text = f'DELETE FROM {table}'", "SQL"),
        ("def f():\n    import pyarrow.compute as pc", "import of a library that calculates"),
        ("def f():\n    from duckdb import connect", "import of a library that calculates"),
        ("con.execute(text)", "call of execute"),
        ("for a in b:\n    for c in a:\n        pass", "loop in a loop"),
        ("def f():\n" + "    pass\n" * 41, "function of more than 40 lines"),
    ],
)
def test_each_fault_is_found(source: str, what: str) -> None:
    assert [fault.partition(": ")[2] for fault in faults(source)] == [what]


@pytest.mark.parametrize(
    "source",
    [
        "a >> b >> c",
        "x: int | None = None",
        "x = timedelta(minutes=10)",
        "print(f'{len(found)} nodes')",
        "text = 'Select the lake. If empty: the Variable.'",
        "with DAG('name') as dag:\n    a = b(c)",
    ],
)
def test_declarations_are_none(source: str) -> None:
    assert list(faults(source)) == []
