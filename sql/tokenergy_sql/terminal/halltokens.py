"""J per token of each hall: of the jobs whose boards were all in it.

In: the places, and the index of a lake. Out: rows as `site_tokens_by` has them, by hall.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.catalog.sqlfile import read_sql
from tokenergy_sql.places import Place, Places

if TYPE_CHECKING:
    import duckdb

SQL = read_sql("tokenergy_sql.terminal", "hall_tokens")


def hall_tokens(
    con: duckdb.DuckDBPyConnection, places: Places, periods: Sequence[tuple[int, int]]
) -> list[NamedRow]:
    """Return tokens and J per token of each hall and period.

    Args:
        con: of the lake.
        places: where each node stood.
        periods: start and end of each, microseconds UTC; at least one.
    """
    import pyarrow as pa

    first, last = min(one for one, _ in periods), max(end for _, end in periods)
    named = "SELECT DISTINCT node FROM ledger_hour WHERE hour_us >= $1 AND hour_us < $2"
    nodes = [node for (node,) in con.execute(named, [first, last]).fetchall()]
    spots = [*_spots(places, nodes, first, last)]
    columns = ("node", "place", "from_us", "until_us")
    types = (pa.string(), pa.string(), pa.int64(), pa.int64())
    schema = pa.schema([*zip(columns, types, strict=True)])
    spot_rows = [dict(zip(columns, one, strict=True)) for one in spots]
    con.register("hall_spot", pa.Table.from_pylist(spot_rows, schema=schema))
    period_rows = [{"from_us": begin, "to_us": end} for begin, end in periods]
    of_periods = pa.schema([("from_us", pa.int64()), ("to_us", pa.int64())])
    con.register("hall_period", pa.Table.from_pylist(period_rows, schema=of_periods))
    try:
        return named_rows(con, SQL)
    finally:
        con.unregister("hall_spot")
        con.unregister("hall_period")


def _spots(
    places: Places, nodes: Iterable[str], from_us: int, until_us: int
) -> Iterator[tuple[str, str, int, int]]:
    """Yield each node's halls, and from when to when it stood there."""
    edges = [from_us, *places.edges(from_us, until_us), until_us]
    trees = [places.at(edge) for edge in edges[:-1]]
    for node in nodes:
        begin, here = from_us, ""
        for (start, _), tree in zip(pairwise(edges), trees, strict=True):
            hall = next(
                (str(one) for one in tree.path(Place("node", node)) if one.kind == "hall"), ""
            )
            if hall != here:
                if here:
                    yield node, here, begin, start
                begin, here = start, hall
        if here:
            yield node, here, begin, until_us
