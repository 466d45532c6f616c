"""Puts the allocations of some jobs in the place of those that were kept of them.

In: all rows in their order, and the rows of some jobs as they are now. Out: all rows as they are
now, in the order in which `allocations` has them.

A year has 85,000 rows, of which a new hour changes some ten. So rows that stay are not copied: the
result has slices of what was there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

NEVER_US = 2**63 - 1
"""When an allocation ends that goes on."""

_FEW = 1_000
"""Up to so many rows, to look for the place of each takes less time than to sort all."""

_TEXTS = ("device_id", "job_id", "mig_id")
"""What rows are sorted by, besides their start, which comes after the device."""

_Key = tuple[str, int, str, str]


def replaced(rows: pa.Table, jobs: frozenset[str], fresh: pa.Table) -> pa.Table:
    """Return rows with those of some jobs replaced, in the order of all.

    Args:
        rows: sorted.
        jobs: their keys.
        fresh: the rows of these jobs as they are now, sorted.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not jobs:
        return rows
    of_jobs = pc.is_in(rows["job_id"], value_set=pa.array(sorted(jobs), pa.string())).to_numpy()
    if len(fresh) > _FEW:
        return _sorted(pa.concat_tables([rows.filter(pa.array(~of_jobs)), fresh]))
    gone = np.flatnonzero(of_jobs).tolist()
    # Of rows that are equal, those that stay come first.
    key_of, places = _keys(rows), range(len(rows))
    at = [bisect_right(places, key, key=key_of) for key in map(_keys(fresh), range(len(fresh)))]
    parts = [rows.slice(0, 0)]
    cuts = sorted({0, len(rows), *at, *gone, *(place + 1 for place in gone)})
    left = {*gone}
    added = 0
    for begin, end in pairwise([*cuts, len(rows)]):
        many = bisect_right(at, begin) - added
        parts.append(fresh.slice(added, many))
        added += many
        if begin not in left:
            parts.append(rows.slice(begin, end - begin))
    return pa.concat_tables([part for part in parts if len(part)] or parts)


def differs_since(rows: pa.Table, jobs: frozenset[str], fresh: pa.Table) -> int:
    """Return when the first of the allocations ended that `replaced` lets come, go or change.

    Args:
        rows, jobs, fresh: as for `replaced`.

    Returns:
        Microseconds UTC; `NEVER_US` if none has ended that differs.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    of_jobs = pc.is_in(rows["job_id"], value_set=pa.array(sorted(jobs), pa.string()))
    were, are = (
        Counter(tuple(row.values()) for row in some.to_pylist())
        for some in (rows.filter(of_jobs), fresh.select(rows.column_names))
    )
    end = rows.column_names.index("end_us")
    ends = (row[end] for row in ((were - are) + (are - were)))
    return min((end_us for end_us in ends if end_us is not None), default=NEVER_US)


def _keys(rows: pa.Table) -> Callable[[int], _Key]:
    """Return what gives the place of a row in the order; a NULL `mig_id` is the empty text."""
    device, start, job, mig = (rows[n] for n in ("device_id", "start_us", "job_id", "mig_id"))

    def key(place: int) -> _Key:
        found: tuple[Any, ...] = tuple(one[place].as_py() for one in (device, start, job, mig))
        return found[0], found[1], found[2], found[3] or ""

    return key


def _sorted(rows: pa.Table) -> pa.Table:
    # The last key of `lexsort` is the first one of the order; rows that are equal stay in order.
    device, job, mig = (_ranks(rows[name]) for name in _TEXTS)
    order = np.lexsort((mig, job, rows["start_us"].to_numpy(), device))
    return rows.take(order).combine_chunks()


def _ranks(texts: pa.ChunkedArray) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return numbers in the order of texts; a NULL, as the board itself has, is the empty text."""
    import pyarrow.compute as pc

    found = texts.fill_null("").combine_chunks().dictionary_encode()
    ranks = np.empty(len(found.dictionary), np.int64)
    # Texts of UTF-8 have the same order in Arrow and in Python.
    ranks[pc.sort_indices(found.dictionary).to_numpy()] = np.arange(len(ranks))
    places: np.ndarray[tuple[int], np.dtype[np.int64]] = ranks[found.indices.to_numpy()]
    return places
