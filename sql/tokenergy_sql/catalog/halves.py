"""Past and recent halves of what `catalog.duckdb` has of the books and of allocations.

In: the files of the books, allocations. Out: both in two halves, and a digest of each half.

A year of `ledger` is 8,760 files, and of allocations 85,000 rows; a new hour changes few of them.
So the catalog has each in two halves, `past.NAME` and `recent.NAME`: of the months before that of
the books' latest hour, and the rest. `main.NAME` is both, one after the other. A half that is the
same as before is not written again.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.lake.arrays import scalar
from tokenergy_collectors.lake.paths import hour_of_folder

if TYPE_CHECKING:
    import pyarrow as pa

PAST, RECENT = HALVES = ("past", "recent")
"""Names of the halves: schemas in the catalog."""

ALLOCATION = "allocation"

_DATE, _MONTH, _DAY = "/date=", len("2026-01"), len("2026-01-31")


@dataclass(frozen=True, slots=True)
class Part:
    """One half of a table.

    Attributes:
        half: one of `HALVES`.
        table: its name.
    """

    half: str
    table: str


class Halves:
    """The books of a lake in two halves.

    Args:
        books: the paths of the files of each table, in the order of their hours.

    Attributes:
        since: the first day of what is recent, `YYYY-MM-DD`; empty: all is.
        files: the paths of each part.
    """

    def __init__(self, books: Mapping[str, Sequence[str]]) -> None:
        last = max((_date_of(files[-1]) for files in books.values() if files), default="")
        self.since = f"{last[:_MONTH]}-01" if last else ""
        self.files: dict[Part, Sequence[str]] = {}
        for table, files in books.items():
            place = _first_since(files, self.since)
            self.files[Part(PAST, table)] = files[:place]
            self.files[Part(RECENT, table)] = files[place:]

    def digests(self) -> Iterator[tuple[str, str]]:
        """Yield the name of each part, and a digest of the paths of its files."""
        for part, files in self.files.items():
            yield name_of(part), hashlib.sha256("\0".join(files).encode()).hexdigest()

    @property
    def since_us(self) -> int:
        """When what is recent begins, microseconds UTC; 0: all is."""
        return (hour_of_folder(Path(f"date={self.since}") / "hour=00") or 0) if self.since else 0

    def of_allocations(self, held: pa.Table, half: str) -> pa.Table:
        """Return one half of allocations: past are those that ended before what is recent.

        A row of the past half changes only if the past is restated.
        """
        import pyarrow.compute as pc

        held = held.replace_schema_metadata(None)
        if not self.since:
            return held.slice(0, 0) if half == PAST else held
        past = pc.less(held["end_us"], scalar(self.since_us)).fill_null(False)
        return held.filter(past if half == PAST else pc.invert(past))


def name_of(part: Part) -> str:
    """Return the name of a part in the catalog."""
    return f"{part.half}.{part.table}"


def _date_of(path: str) -> str:
    """Return the day of a file of the books, `YYYY-MM-DD`."""
    at = path.rindex(_DATE) + len(_DATE)
    return path[at : at + _DAY]


def _first_since(files: Sequence[str], since: str) -> int:
    """Return how many files are of days before one; the files are in the order of their days."""
    return bisect_left(files, since, key=_date_of)
