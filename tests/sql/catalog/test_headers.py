"""The header of each SQL file lists exactly the tables and views that its statement reads.

DuckDB's own parser says what a statement reads.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

import tokenergy_sql
from tokenergy_sql.catalog import views

FOLDER = Path(tokenergy_sql.__file__).parent
FILES = [path for path in sorted(FOLDER.rglob("*.sql")) if path.stem != "units"]

_CREATE = re.compile(
    r"CREATE (TEMP )?(VIEW|MACRO|TABLE) \w+(?P<parameters>\([^)]*\))? AS( TABLE)?\b"
)


def tables_read(statement: str) -> set[str]:
    """Return the tables, views and table macros that a SELECT reads, itself or in a subquery."""
    query = "SELECT json_serialize_sql($1::VARCHAR)"
    with duckdb.connect() as con:
        ((text,),) = con.execute(query, [statement]).fetchall()
    tree = json.loads(text)
    assert not tree["error"], tree
    found: set[str] = set()
    _collect(tree["statements"], frozenset(), found)
    return found


def _collect(node: Any, ctes: frozenset[str], found: set[str]) -> None:
    """Add the tables below a node of the parse tree; names of CTEs in scope are none."""
    if isinstance(node, list):
        for item in node:
            _collect(item, ctes, found)
    elif isinstance(node, dict):
        if node.get("type") == "BASE_TABLE" and node["table_name"] not in ctes:
            found.add(node["table_name"])
        called = node.get("function", {}) if node.get("type") == "TABLE_FUNCTION" else {}
        if called.get("function_name") in views.ADHOC:  # a table macro of ours
            found.add(called["function_name"])
        for cte in node.get("cte_map", {}).get("map", []):  # each sees only those before it
            _collect(cte["value"], ctes, found)
            ctes |= {cte["key"]}
        for name, item in node.items():
            if name != "cte_map":
                _collect(item, ctes, found)


def split(text: str) -> tuple[str, str, list[str]]:
    """Return header, SELECT and parameters of a file."""
    lines = text.splitlines()
    first = next(number for number, line in enumerate(lines) if not line.startswith("--"))
    header = " ".join(line.removeprefix("--").strip() for line in lines[:first])
    statement = "\n".join(lines[first:])
    created = _CREATE.match(statement)
    if created is None:
        return header, statement, []
    body = statement[created.end() :].strip()
    if not body.startswith(("SELECT", "WITH")):  # a scalar macro
        body = f"SELECT {body}"
    return header, body, re.findall(r"\w+", created["parameters"] or "")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_header_lists_what_its_statement_reads(path: Path) -> None:
    header, statement, parameters = split(path.read_text("utf-8"))
    listed = views.inputs(header, parameters)
    assert len(listed) == len(set(listed))
    assert set(listed) == tables_read(statement)


def test_the_macros_of_units_read_nothing() -> None:
    assert [name for name in views.UNITS if views.definition(name).sources] == []


def test_tables_are_found_below_ctes_and_subqueries() -> None:
    statement = (
        "WITH a AS (SELECT * FROM a), b AS (SELECT * FROM a JOIN c USING (x)) "
        "SELECT *, (SELECT max(y) FROM d) FROM b WHERE x IN (SELECT x FROM e) "
        "UNION ALL FROM (SELECT * FROM f)"
    )
    assert tables_read(statement) == {"a", "c", "d", "e", "f"}


@pytest.mark.parametrize(
    ("header", "tables"),
    [
        ("Words. In: a, b (of c, d), $e. Out: f.", ["a", "b"]),
        ("In: a; one and other, two ids. Out: f.", ["a"]),
        ("In: nothing. Out: f.", []),
        ("In: one, a number. Out: f.", []),
    ],
)
def test_a_header_is_read(header: str, tables: list[str]) -> None:
    assert views.inputs(header, ("one", "other")) == tables


@pytest.mark.parametrize("header", ["Nothing of the kind.", "In: the ledger. Out: f."])
def test_a_header_that_lists_no_names_is_refused(header: str) -> None:
    with pytest.raises(ValueError, match="In:"):
        views.inputs(header)
