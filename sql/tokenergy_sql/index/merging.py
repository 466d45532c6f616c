"""Puts the parts of an hour together, a few rows at a time.

In: parts, each in the order of the ledger. Out: the rows of all, in that order, and the tables that
booking leaves for the models, as if the hour had been booked at once.

Every device is in one part alone, so whole devices take turns and no row is compared.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tokenergy_sql.index.bookedrows import Booked
from tokenergy_sql.index.modelrun import store_rows

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from tokenergy_sql.index.parts import Part

Run = tuple[str, "pa.Table"]
"""A device, and some of its rows that follow one another."""


def joined(con: duckdb.DuckDBPyConnection, parts: Sequence[Part]) -> Booked:
    """Return the ledger of an hour, and create the tables that booking leaves.

    Args:
        con: gets the tables of `booking.LEFT`.
        parts: of all groups of the hour.

    Raises:
        UserError: a part is damaged.
    """
    import pyarrow as pa

    for name in ("node_watched", "longest_segment"):
        store_rows(con, name, pa.concat_tables(part.table(name) for part in parts))
    seen, claims = [], []
    first = 0
    for part in parts:  # each counts its spans from 0
        seen.append(_from(first, part.table("seen")))
        claims.append(_from(first, part.table("claim")))
        first = 1 + max(seen[-1]["span"].to_pylist(), default=first - 1)
    store_rows(con, "seen", pa.concat_tables(seen))
    store_rows(con, "claim", pa.concat_tables(claims))
    return Booked(
        merged(parts),
        [part.table("sums") for part in parts],
        [part.table("caps") for part in parts],
    )


def _from(first: int, rows: pa.Table) -> pa.Table:
    """Return rows whose spans are numbered from another number on."""
    import pyarrow as pa
    import pyarrow.compute as pc

    spans = pc.add(rows["span"].cast(pa.int64()), pa.scalar(first, pa.int64()))
    return rows.set_column(rows.column_names.index("span"), "span", spans)


def merged(parts: Sequence[Part]) -> Iterator[pa.Table]:
    """Yield the rows of the parts in the order of their devices."""
    opened = [_runs(part) for part in parts]
    heads = [(run[0], place, run) for place, runs in enumerate(opened) if (run := next(runs, None))]
    heapq.heapify(heads)
    while heads:
        device, place, (_, rows) = heads[0]
        yield rows
        following = next(opened[place], None)
        if following is None:
            heapq.heappop(heads)
        elif following[0] == device:
            heads[0] = (device, place, following)
        else:
            heapq.heapreplace(heads, (following[0], place, following))


def _runs(part: Part) -> Iterator[Run]:
    """Yield the rows of a part, device by device, in pieces of one batch."""
    import pyarrow as pa

    for batch in part.ledger():
        rows = pa.Table.from_batches([batch])
        column = batch.column("device_id")
        codes = column.indices.to_numpy()
        bounds = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
        for first, end in itertools.pairwise(bounds):
            yield column.dictionary[codes[first]].as_py(), rows.slice(first, end - first)
