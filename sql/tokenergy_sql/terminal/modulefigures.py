"""Power of racks, modules, halls or the site over a span, one row each, with their J per token.

In: `modules_by` of a lake. Out: rows by column name, for the table, for CSV and for JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.paths import show_hour
from tokenergy_sql.catalog.asking import AnyLake, ask
from tokenergy_sql.catalog.namedrows import NamedRow, named_rows

if TYPE_CHECKING:
    import duckdb

GROUPS = ("rack", "module", "hall", "type", "site")
WORKLOADS = ("inference", "training")
"""Their J per token are never mixed."""

OF_TOKENS = (
    *("jobs", "n_joint", "tokenergy", "te_low", "te_high", "te_gpu", "te_gpu_low", "te_gpu_high"),
)
_SPAN = "SELECT min(hour_us), max(hour_us) FROM place_hour"
_ROWS = "FROM modules_by($grouped, since := $since, until := $until)"


class Span(NamedTuple):
    """A span of hours.

    Attributes:
        since_us: the first hour; None: from the first of the lake on.
        until_us: the hour after the last one; None: to the last of the lake.
    """

    since_us: int | None = None
    until_us: int | None = None


def module_rows(lake: AnyLake, grouped: str, span: Span) -> list[NamedRow]:
    """Return the power of each place: the columns of `modules_by`, workloads side by side.

    Each row also has `from_us` and `to_us`, of the span. What is unknown is None.

    Args:
        lake: the lake, indexed.
        grouped: one of `GROUPS`.
        span: which hours.

    Raises:
        UserError: the lake has no such places; the message says what to do.
    """
    if grouped not in GROUPS:
        raise UserError(f"--by {grouped!r}: expected {', '.join(GROUPS[:-1])} or {GROUPS[-1]}")

    def read(con: duckdb.DuckDBPyConnection) -> list[NamedRow]:
        first_us, end_us = require_places(con, span)
        window = {"grouped": grouped, "since": first_us, "until": end_us}
        rows = named_rows(con, _ROWS, window)
        return [row | {"from_us": first_us, "to_us": end_us} for row in _side_by_side(rows)]

    found = ask(lake, "modules", read, f"{_ROWS} {_SPAN}")
    if not found:
        raise UserError(
            f"--by {grouped}: no node stands in a {_what(grouped)}; declare it in site.toml, then "
            "run `tokenergy index` (docs/places.md)"
        )
    return found


def require_places(con: duckdb.DuckDBPyConnection, span: Span) -> tuple[int, int]:
    """Return the first hour, and the hour after the last one, of those that are asked for.

    Raises:
        UserError: the lake has no power of places in the span, or the span is empty.
    """
    ((first_us, last_us),) = con.execute(_SPAN).fetchall()
    if first_us is None:
        raise UserError(
            "the lake has no power of racks or modules: say in site.toml which nodes stand where "
            "([[placed]]), then run `tokenergy index` (docs/places.md)"
        )
    end_us = last_us + HOUR_US
    since_us = first_us if span.since_us is None else span.since_us
    until_us = end_us if span.until_us is None else span.until_us
    there = f"the lake has power of places from {show_hour(first_us)} to {show_hour(end_us)}"
    if since_us >= end_us:
        raise UserError(f"--from {show_hour(since_us)}: {there}")
    if until_us <= first_us:
        raise UserError(f"--to {show_hour(until_us)}: {there}")
    if since_us >= until_us:
        raise UserError(f"--from {show_hour(since_us)}: is not before --to {show_hour(until_us)}")
    return since_us, until_us


def _what(grouped: str) -> str:
    return "module with a type" if grouped == "type" else grouped


def _side_by_side(rows: list[NamedRow]) -> list[NamedRow]:
    """Return one row a place; the tokens of its workloads are side by side."""
    found: dict[str, NamedRow] = {}
    for row in rows:
        tokens = {name: row.pop(name) for name in OF_TOKENS}
        workload = row.pop("workload")
        none = {f"{one}_{name}": None for one in WORKLOADS for name in OF_TOKENS}
        wide = found.setdefault(row["name"], row | none)
        if workload is not None:
            wide.update({f"{workload}_{name}": value for name, value in tokens.items()})
    return [*found.values()]
