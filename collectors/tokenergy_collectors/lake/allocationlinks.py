"""Which records of `jobs` belong together, and in which hours they are.

In: rows of `jobs`. Out: for each link, a job or an allocation's own id, the hours that have records
with it, and how many.

Whether a record counts depends on those of the same job and of the same allocation alone. So when
one comes, these are read again, and no others.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenergy_collectors.lake.arrays import scalar
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.jobkey import job_key

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("job_id", "cluster", "allocation_id", "start_us")
"""The columns of `jobs` that are needed."""

_BYTES = 8

_EVERY = 0
"""The link of all records; no hash is 0, for all that matters."""


def links_of(row: Mapping[str, Any]) -> list[int]:
    """Return the links of a record: of its job, and of its allocation if that has an id."""
    found = [_hashed("job", job_key(row["cluster"], row["job_id"]))]
    if row["allocation_id"] is not None:
        found.append(_hashed("id", row["cluster"] or "", row["allocation_id"]))
    return found


def _hashed(*parts: str) -> int:
    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=_BYTES)
    return int.from_bytes(digest.digest(), "little")


def counted(rows: pa.Table) -> Counter[tuple[int, int]]:
    """Return how many records there are of each link and hour (start, us UTC)."""
    import pyarrow.compute as pc

    hours = pc.divide(rows["start_us"], scalar(HOUR_US))  # of stamps from 2000 on: rounds down
    keys = [*COLUMNS[:3], "hour"]
    groups = rows.append_column("hour", hours).group_by(keys).aggregate([([], "count_all")])
    found: Counter[tuple[int, int]] = Counter()
    for row in groups.to_pylist():
        for link in links_of(row):
            found[link, row["hour"] * HOUR_US] += row["count_all"]
        found[_EVERY, row["hour"] * HOUR_US] += row["count_all"]
    return found


@dataclass(frozen=True, slots=True)
class Links:
    """Links of all records of a lake: three arrays of one length.

    Attributes:
        link: hash of a job or an allocation.
        hour_us: an hour that has records with it.
        rows: how many.
    """

    link: np.ndarray[tuple[int], np.dtype[np.uint64]]
    hour_us: np.ndarray[tuple[int], np.dtype[np.int64]]
    rows: np.ndarray[tuple[int], np.dtype[np.int64]]

    @classmethod
    def of(cls, found: Mapping[tuple[int, int], int]) -> Links:
        """Return links as arrays: see `counted`."""
        ordered = sorted(found.items(), key=lambda one: one[0][::-1])  # by hour: that packs best
        return cls(
            np.array([link for (link, _), _ in ordered], np.uint64),
            np.array([hour for (_, hour), _ in ordered], np.int64),
            np.array([rows for _, rows in ordered], np.int64),
        )

    def with_hours(self, hours: Collection[int], found: Mapping[tuple[int, int], int]) -> Links:
        """Return them with those of some hours replaced."""
        stay = ~np.isin(self.hour_us, np.array(sorted(hours), np.int64))
        fresh = Links.of(found)
        return Links(
            np.concatenate([self.link[stay], fresh.link]),
            np.concatenate([self.hour_us[stay], fresh.hour_us]),
            np.concatenate([self.rows[stay], fresh.rows]),
        )

    def hours_of(self, links: Iterable[int]) -> set[int]:
        """Return the hours that have records with any of some links."""
        return set(self.hour_us[self._with(links)].tolist())

    def count_of(self, links: Iterable[int]) -> dict[int, int]:
        """Return how many records each of some links has."""
        found: dict[int, int] = {}
        chosen = self._with(links)
        for link, rows in zip(self.link[chosen].tolist(), self.rows[chosen].tolist(), strict=True):
            found[link] = found.get(link, 0) + rows
        return found

    def rows_in(self, hour_us: int) -> int:
        """Return how many records there are in an hour."""
        return int(self.rows[self._with([_EVERY]) & (self.hour_us == hour_us)].sum())

    def _with(self, links: Iterable[int]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return np.isin(self.link, np.array(sorted(links), np.uint64))

    def dump(self) -> list[str]:
        """Return them as texts, for a file."""
        little = (part.astype(part.dtype.newbyteorder("<")).tobytes() for part in self._parts)
        return [base64.b64encode(zlib.compress(one, 1)).decode() for one in little]

    @classmethod
    def load(cls, texts: list[str]) -> Links:
        """Return what `dump` made texts of."""
        link, hour_us, rows = (zlib.decompress(base64.b64decode(text)) for text in texts)
        return cls(
            np.frombuffer(link, "<u8"), np.frombuffer(hour_us, "<i8"), np.frombuffer(rows, "<i8")
        )

    @property
    def _parts(self) -> tuple[np.ndarray[tuple[int], np.dtype[Any]], ...]:
        return self.link, self.hour_us, self.rows
