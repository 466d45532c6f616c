"""The result of an import, and how importers write.

In: rows that were read and checked completely. Out: only the rows that the lake does not hold yet,
so a file can be imported again, also after it has grown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.leftout import LeftOut
from tokenergy_collectors.lake.contract import HOUR_US, TABLES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from tokenergy_collectors.lake import Lake


@dataclass(slots=True)
class ImportResult:
    """What was read from a file, and what of it is new in the lake."""

    rows: dict[str, int] = field(default_factory=dict)
    """Distinct rows that the file holds, by table."""

    written: dict[str, int] = field(default_factory=dict)
    """Rows that were added to the lake, by table; empty if it held all of them."""

    files: list[Path] = field(default_factory=list)
    """Files written."""

    notes: list[str] = field(default_factory=list)
    """What was skipped, in words."""

    warnings: list[str] = field(default_factory=list)
    """What may be wrong with what was read, a line each."""

    left_out: LeftOut = field(default_factory=LeftOut)
    """Lines that could not be used."""

    devices: int = 0
    """Number of devices in the file."""

    first_us: int | None = None
    """Earliest stamp, microseconds UTC."""

    last_us: int | None = None
    """Latest stamp, microseconds UTC."""


def write_new(
    lake: Lake,
    table: str,
    rows: pa.Table,
    node: str,
    result: ImportResult,
    *,
    apart_from: Sequence[str] = (),
    repeats: bool = False,
) -> None:
    """Add the rows that the lake does not hold yet, and record in `result` what was done.

    Args:
        lake: where to write.
        table: name of the raw table.
        rows: rows in its schema; identical ones count once, unless `repeats`.
        node: the host that they belong to.
        result: gets the numbers of rows, the files written and how many repeated rows were skipped.
        apart_from: columns that are not compared.
        repeats: identical rows count as often as they are in the file.

    Raises:
        UserError: the lake cannot be written.
    """
    spec = TABLES[table]
    keys = [c.name for c in spec.columns if not c.type.startswith("list")]
    keys = [name for name in keys if name not in apart_from]
    distinct = written = 0
    for hour_us, part in _by_hour(rows, spec.time):
        found, fresh = _fresh(part, lake.read(table, [hour_us], node=node), keys, repeats)
        distinct += found
        if fresh.num_rows:
            result.files += lake.append(table, fresh, node)
            written += fresh.num_rows
    result.rows[table] = distinct
    if written:
        result.written[table] = written
    if dropped := rows.num_rows - distinct:
        result.notes.append(f"skipped repeated rows of {table}: {dropped}")


def _by_hour(rows: pa.Table, time: str) -> Iterator[tuple[int, pa.Table]]:
    """Yield each hour's start (microseconds) and rows."""
    import numpy as np

    # By hour, so that a long log needs the memory of one hour of the lake, not of all its hours.
    hours = rows[time].to_numpy() // HOUR_US
    if np.any(np.diff(hours) < 0):
        rows = rows.sort_by([(time, "ascending")])
        hours = np.sort(hours)
    edges = [0, *(np.flatnonzero(np.diff(hours)) + 1), len(hours)]
    for first, end in pairwise(edges):
        if end > first:
            yield int(hours[first]) * HOUR_US, rows.slice(int(first), int(end - first))


def _fresh(part: pa.Table, old: pa.Table, keys: list[str], repeats: bool) -> tuple[int, pa.Table]:
    """Return the number of distinct rows of a part, and its rows that are not among the old.

    With `repeats`, the second of two identical rows differs from the first: it is the second.
    """
    import numpy as np
    import pyarrow as pa

    news, olds = part.select(keys), old.select(keys)
    if repeats:
        news, olds = (
            rows.append_column("nth", pa.array(_nth(rows, keys))) for rows in (news, olds)
        )
        keys = [*keys, "nth"]
    both = pa.concat_tables([news, olds])
    place = np.arange(both.num_rows)
    both = both.append_column("place", pa.array(place))
    both = both.append_column("old", pa.array(place >= part.num_rows))
    # One thread: with several, the order of the groups, and so the files, would vary.
    groups = both.group_by(keys, use_threads=False).aggregate(
        [("place", "min"), ("old", "min"), ("old", "max")]
    )
    places = groups["place_min"].to_numpy()
    found = int((~groups["old_min"].to_numpy()).sum())
    fresh = np.sort(places[~groups["old_max"].to_numpy()])
    return found, part if len(fresh) == part.num_rows else part.take(pa.array(fresh))


def _nth(rows: pa.Table, keys: list[str]) -> npt.NDArray[np.int64]:
    """Return for each row how many identical ones come before it."""
    import numpy as np
    import pyarrow as pa

    place = np.arange(rows.num_rows)
    numbered = rows.append_column("place", pa.array(place))
    order = [(name, "ascending") for name in (*keys, "place")]
    numbered = numbered.sort_by(order)
    new = np.zeros(rows.num_rows, dtype=bool)
    new[:1] = True
    for name in keys:
        codes = numbered[name].combine_chunks().dictionary_encode(null_encoding="encode").indices
        new[1:] |= np.diff(codes.to_numpy()) != 0
    first = np.maximum.accumulate(np.where(new, place, 0))
    found = np.empty(rows.num_rows, dtype=np.int64)
    found[numbered["place"].to_numpy()] = place - first
    return found
