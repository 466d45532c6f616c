"""J per token by power cap on the terminal.

In: a lake. Out: a table, CSV or JSON; what is not known is a dash, or empty, or null.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.asking import AnyLake, ask
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.flexibility.caps import HOURS, Wanted, caps
from tokenergy_sql.terminal.grid import Grid
from tokenergy_sql.terminal.output import Output
from tokenergy_sql.terminal.table import (
    Column,
    count,
    interval,
    percent,
    significant,
    table_of,
)

if TYPE_CHECKING:
    import duckdb


def print_caps(lake: AnyLake, wanted: Wanted, output: Output) -> None:
    """Print one row for each group and cap.

    Args:
        lake: the lake, indexed.
        wanted: what is asked for.
        output: in which form, and where.

    Raises:
        UserError: no hour counts.
    """

    def read(con: duckdb.DuckDBPyConnection) -> list[NamedRow]:
        views.define(con, views.UNITS)
        return caps(con, wanted)

    rows = ask(lake, "caps", read, HOURS)
    output.show(rows, lambda: [caps_table(rows, wanted)])


def caps_table(rows: Sequence[NamedRow], wanted: Wanted) -> Grid:
    """Return caps as a table."""
    title = "J/token by power cap, at full rate, GPU; saved and lost against the highest cap"
    first = "model" if wanted.job is None else "job_id"
    columns = [
        Column(first.removesuffix("_id"), lambda r: str(r[first] or "-"), justify="left"),
        Column(
            "GPU",
            lambda r: str(r["gpu"] or "-"),
            rank=_rank(rows, (first, "boards"), 3),
            justify="left",
        ),
        Column("boards", lambda r: count(r["boards"]), rank=_rank(rows, (first,), 2)),
        Column("cap W", lambda r: f"{r['cap_w']:g}"),
        Column("hours", lambda r: count(r["hours"]), rank=3),
        Column("W", lambda r: significant(r["watts"]), rank=2),
        Column("tokens/s", lambda r: significant(r["tokens_s"]), rank=1),
        Column("J/token", lambda r: significant(r["te"])),
        Column("[low, high]", lambda r: interval(r["te_low"], r["te_high"]), rank=2),
        Column("saved J/token", lambda r: significant(r["saved_j_per_token"])),
        Column("lost tokens/s", lambda r: significant(r["lost_tokens_s"]), rank=1),
        Column("held back %", lambda r: percent(r["capped_share"], 1, 0), rank=3),
    ]
    if wanted.least_tokens_s is not None:
        floor = f">= {wanted.least_tokens_s:,g} tokens/s"
        columns.append(Column(floor, lambda r: r["reaches"] or "-", justify="left"))
    columns += [
        Column("verdict", lambda r: r["verdict"], justify="left"),
        Column("left out", lambda r: (r["left_out"] or "-").replace(",", " "), rank=3,
               justify="left"),
    ]  # fmt: skip
    return table_of(title, rows, columns)


def _rank(rows: Sequence[NamedRow], names: Sequence[str], rank: int) -> int:
    """Return a column's rank: 0 where rows of one cap look the same by what is beside it."""
    keys = {tuple(row[name] for name in (*names, "cap_w")) for row in rows}
    return 0 if len(keys) < len(rows) else rank
