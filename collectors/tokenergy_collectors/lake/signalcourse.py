"""What is known of one signal: at each instant the row that was read last counts.

In: rows of `signal`, of one name and quantity. Out: disjoint pieces of time in order, each with the
row that counts there. So a later read of an interval is a revision, also one of other edges: hourly
values that are learnt after those of a quarter replace all four. A piece may be a hole.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable
from typing import Any, NamedTuple

Row = dict[str, Any]


class Piece(NamedTuple):
    """A piece of time and the row that counts there: from `from_us` on, before `until_us`."""

    from_us: int
    until_us: int
    row: Row


def pieces_of(rows: Iterable[Row], as_of_us: int | None = None) -> list[Piece]:
    """Return the pieces of one signal, ascending; those of one row that adjoin are one.

    Args:
        rows: of one name and quantity, with `ts_us`, `until_us`, `value` and `read_us`.
        as_of_us: leave out what was read later than this.
    """
    known = [row for row in rows if as_of_us is None or row["read_us"] <= as_of_us]
    # Of two rows that were read at once the one that begins later counts, then the shorter one,
    # then one that is known, then the larger value: any rule will do, if it is the same everywhere.
    known.sort(key=_rank)
    edges = sorted({edge for row in known for edge in (row["ts_us"], row["until_us"])})
    starting: dict[int, list[int]] = {}
    for place, row in enumerate(known):
        starting.setdefault(row["ts_us"], []).append(place)
    open_: list[int] = []  # places negated: the last in rank comes first
    found: list[Piece] = []
    for at_us, next_us in itertools.pairwise(edges):
        for place in starting.get(at_us, ()):
            heapq.heappush(open_, -place)
        while open_ and known[-open_[0]]["until_us"] <= at_us:
            heapq.heappop(open_)
        if not open_:
            continue
        row = known[-open_[0]]
        if found and found[-1].until_us == at_us and found[-1].row is row:
            found[-1] = found[-1]._replace(until_us=next_us)
        else:
            found.append(Piece(at_us, next_us, row))
    return found


def _rank(row: Row) -> tuple[int, int, int, bool, int]:
    value = row["value"]
    return (row["read_us"], row["ts_us"], -row["until_us"], value is not None, value or 0)
