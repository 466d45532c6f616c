"""The readings of one meter as arrays: a site of 10,000 meters has 86 million of them a day.

In: raw rows. Out: for each meter, its stamps and what its register said, ascending, each stamp
once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenergy_sql.places import Reading

if TYPE_CHECKING:
    import pyarrow as pa

Array = np.ndarray[tuple[int], np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Readings:
    """Readings of one meter.

    Attributes:
        ts_us: stamps, ascending: int64 (n,).
        values: billionths of the register's own unit (n,): int64; objects where one is too large.
    """

    ts_us: Array
    values: Array

    @classmethod
    def of(cls, *readings: tuple[int, int]) -> Readings:
        """Return some readings: stamps and values."""
        ts_us, values = ([one[at] for one in readings] for at in (0, 1))
        small = all(-(2**62) < value < 2**62 for value in values)
        return cls(np.array(ts_us, np.int64), np.array(values, np.int64 if small else object))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.ts_us)

    def at(self, place: int) -> Reading:
        """Return one of them."""
        return Reading(int(self.ts_us[place]), int(self.values[place]))

    def part(self, begin: int, end: int) -> Readings:
        """Return those of some places, without a copy."""
        return Readings(self.ts_us[begin:end], self.values[begin:end])

    def chosen(self, places: Array) -> Readings:
        """Return those at some places, or of a mask."""
        return Readings(self.ts_us[places], self.values[places])

    def around(self, from_us: int, until_us: int) -> Readings:
        """Return those of an interval, the last one before it and the first one after it."""
        begin = max(int(np.searchsorted(self.ts_us, from_us, "right")) - 1, 0)
        end = int(np.searchsorted(self.ts_us, until_us, "left")) + 1
        return self.part(begin, end)


NONE = Readings.of()
"""No reading."""


def by_meter(rows: pa.Table) -> Iterator[tuple[str, Readings]]:
    """Yield the readings of each meter.

    Args:
        rows: `meter_id`, `ts_us` and `value_n` of raw rows, in any order.
    """
    import pyarrow as pa

    if not len(rows):
        return
    order = ("meter_id", "ts_us", "value_n")
    rows = rows.sort_by([(name, "ascending") for name in order]).combine_chunks()
    ts_us = rows["ts_us"].to_numpy()
    try:
        values = rows["value_n"].cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:  # a register beyond 9.2e9 of its units
        values = np.array([int(value) for value in rows["value_n"].to_pylist()], object)
    ids = rows["meter_id"].chunk(0).dictionary_encode()
    codes = ids.indices.to_numpy()
    starts = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    for begin, end in pairwise(starts):
        stamps = ts_us[begin:end]
        # Two hosts may read a meter in one microsecond: the lower value counts, whoever came first.
        once = np.concatenate([[True], stamps[1:] != stamps[:-1]])
        found = Readings(stamps, values[begin:end])
        yield ids.dictionary[int(codes[begin])].as_py(), found if once.all() else found.chosen(once)
