"""Token counters by process, and what each of their readings adds.

In: `token_seen` and what the models name beside it. Out: the tables `token_reading`, `token_step`
and `token_curve`.

    seen -> start -> reading             and where a counter has several starts:
                                         stretch -> moved -> reading_several, doubt
    reading -> look -> odd, line -> step  and where a process did more than grow:
                                         judged -> line_odd, left_out, curve_odd
    step -> curve

Few lakes have any of what is on the right. Planning it takes as long as all else together, so it is
built only where there is some; its rows are added to the table of the left side.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tokenergy_sql.index.models import model_text

if TYPE_CHECKING:
    import duckdb


def build(con: duckdb.DuckDBPyConnection, models: Iterable[str]) -> None:
    """Create a temporary table of each model, or create it again.

    Args:
        con: where the models' inputs are.
        models: names, in an order in which each finds its inputs.
    """
    for name in models:
        con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {model_text(name)}")


def build_readings(con: duckdb.DuckDBPyConnection) -> bool:
    """Create `token_reading`; tell whether `token_stretch` and `token_moved` are there too.

    They are where a counter has several starts.

    Args:
        con: has `token_seen` and the macros of units.
    """
    build(con, ("token_start", "token_reading"))
    several = any_row(con, "token_start", "several")
    if several:
        build(con, ("token_stretch", "token_moved"))
        _add(con, "token_reading", "token_reading_several")
    return several


def build_steps(con: duckdb.DuckDBPyConnection) -> None:
    """Create `token_step`.

    Args:
        con: has `token_reading`, `token_counter`, `token_span` and the macros of units.
    """
    build(con, ("token_look", "token_odd"))
    line = model_text("token_line")
    odd = any_row(con, "token_odd")
    if odd:
        build(con, ("token_judged", "token_line_odd"))
        line += "UNION ALL BY NAME FROM token_line_odd"
    # A view: it is read once, and as large as all readings.
    con.execute(f"CREATE OR REPLACE TEMP VIEW token_line AS {line}")
    build(con, ("token_step",))
    if odd:
        _add(con, "token_step", "token_left_out")


def build_curves(con: duckdb.DuckDBPyConnection) -> None:
    """Create `token_curve`.

    Args:
        con: has `token_step`.
    """
    build(con, ("token_curve",))
    if any_row(con, "token_step", "NOT plain"):
        _add(con, "token_curve", "token_curve_odd")


def any_row(con: duckdb.DuckDBPyConnection, table: str, condition: str = "true") -> bool:
    """Tell whether a table has a row for which a condition holds."""
    return bool(con.execute(f"FROM {table} WHERE {condition} LIMIT 1").fetchall())


def _add(con: duckdb.DuckDBPyConnection, table: str, model: str) -> None:
    con.execute(f"INSERT INTO {table} BY NAME {model_text(model)}")
