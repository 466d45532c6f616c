"""Tells tables whose rows a statement only counts: nobody need open their files.

In: the text of a statement. Out: the tables of which it asks nothing but `count(*)`. In an object
store to open a file is a request or two, and a day of a fleet has thousands of files.
"""

from __future__ import annotations

import json
from typing import Any

from tokenergy_collectors.lake.contract import TABLES
from tokenergy_sql.catalog.duck import open_memory

_IDLE: tuple[Any, ...] = (None, [], {}, "STANDARD_HANDLING", {"map": []})
"""What DuckDB's parser says of a part that a SELECT does not have."""

_PARTS = ("select_list", "from_table", "type")
"""Parts of a SELECT that may have something in them."""


def counted_only(text: str) -> frozenset[str]:
    """Return the tables that a statement reads, if it only counts the rows of each; else nothing.

    Args:
        text: one SELECT, such as `SELECT count(*) FROM power`, or one whose columns are such
            SELECTs, or a UNION ALL of them. Of anything else nothing is returned.
    """
    import duckdb

    try:
        with open_memory() as con:
            (told,) = con.execute("SELECT json_serialize_sql(?)", [text]).fetchall()[0]
    except duckdb.Error:  # it cannot: the files are opened, as for any other statement
        return frozenset()
    statements = json.loads(told).get("statements", [])
    found = _counted(statements[0]["node"]) if len(statements) == 1 else None
    return frozenset(found or ())


def _counted(node: dict[str, Any]) -> set[str] | None:
    """Return the tables whose rows a query counts; None if it does anything else."""
    if node.get("cte_map") != {"map": []} or node.get("modifiers") != []:
        return None
    if node["type"] == "SET_OPERATION_NODE":
        parts = node.get("children") or [None]
        return _all(_counted(part) if part else None for part in parts)
    if node["type"] != "SELECT_NODE":
        return None
    if any(value not in _IDLE for part, value in node.items() if part not in _PARTS):
        return None
    source = node["from_table"]
    found = _all(_of_column(column, source) for column in node["select_list"])
    if found is None or source["type"] == "EMPTY":
        return found
    name = str(source.get("table_name", "")).lower()
    plain = source["type"] == "BASE_TABLE" and source.get("schema_name") == ""
    plain = plain and source.get("sample", "") is None and source.get("at_clause", "") is None
    return found | {name} if plain and name in TABLES else None


def _of_column(column: dict[str, Any], source: dict[str, Any]) -> set[str] | None:
    """Return the tables that a column counts beside its own; None if it is no count."""
    if column["class"] == "CONSTANT":
        return set()
    if column["class"] == "SUBQUERY" and column["subquery_type"] == "SCALAR":
        return _counted(column["subquery"]["node"])
    counts = column["class"] == "FUNCTION" and column["function_name"] == "count_star"
    alone = counts and column["filter"] is None and not column["distinct"]
    return set() if alone and source["type"] == "BASE_TABLE" else None


def _all(found: Any) -> set[str] | None:
    """Return all tables of some parts; None if one of the parts is None."""
    together: set[str] = set()
    for one in found:
        if one is None:
            return None
        together |= one
    return together
