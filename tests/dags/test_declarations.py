"""DAG files declare and call: no SQL and no arithmetic in them, so that the packages can be tested
without Airflow and the commands do what the schedule does. What is slow waits until a task runs."""

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
_LIGHT = (
    *("tokenergy_sql.scheduled.anywhere", "tokenergy_sql.scheduled.settings"),
    "tokenergy_sql.scheduled.quality.limits",
)
"""What DAG files may import of the packages when they are parsed."""


def faults(source: str) -> Iterator[str]:
    """Yield what a DAG file does that belongs into a package: line and what it is."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if what := _fault(node):
            yield f"line {getattr(node, 'lineno', 0)}: {what}"
    for node in _at_parse(tree):
        if what := _slow(node):
            yield f"line {getattr(node, 'lineno', 0)}: {what}"


def _at_parse(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what runs when Airflow parses the file: all but the bodies of functions."""
    for child in ast.iter_child_nodes(tree):
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from _at_parse(child)


def _slow(node: ast.AST) -> str | None:
    """Return why something must not run at each parse: every few seconds, on every component."""
    match node:
        case ast.ImportFrom(module=str(name)) if _is_heavy(name):
            return f"import of {_root(name)} at parse"
        case ast.Import(names=names) if any(_is_heavy(one.name) for one in names):
            return "import of a package at parse"
        case ast.Call(func=ast.Attribute(value=ast.Name(id=("Variable" | "Connection")))):
            return "question to Airflow's database at parse"
        case ast.Call(func=ast.Name(id="open")):
            return "input or output at parse"
        case ast.Call(func=ast.Attribute(attr=("now" | "read_text" | "exists" | "is_dir"))):
            return "look at the clock or the disk at parse"
    return None


def _is_heavy(name: str) -> bool:
    """Return whether a module of ours is one of those that import DuckDB, pyarrow or Numba."""
    ours = name.startswith("tokenergy_") and name != "tokenergy_shared"
    return ours and not name.startswith(_LIGHT)


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


_IMPORT = "import of tokenergy_transforms at parse"


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
        ("from tokenergy_collectors.lake import Lake", "import of tokenergy_collectors at parse"),
        ("import tokenergy_sql.index.due", "import of a package at parse"),
        ("with DAG('x'):\n    from tokenergy_transforms import cuts", _IMPORT),
        ("PLACE = Variable.get('lake')", "question to Airflow's database at parse"),
        ("TEXT = open('site.toml')", "input or output at parse"),
        ("if Path('x').exists():\n    pass", "look at the clock or the disk at parse"),
        ("START = datetime.now(UTC)", "look at the clock or the disk at parse"),
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
        "def f():\n    from tokenergy_collectors.lake import Lake\n    return Variable.get('x')",
        "from tokenergy_sql.scheduled.settings import schedule_of",
        "from tokenergy_shared import ASSETS",
    ],
)
def test_declarations_are_none(source: str) -> None:
    assert list(faults(source)) == []
