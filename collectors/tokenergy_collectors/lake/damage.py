"""Finds the damaged files of a lake.

In: a lake, names of tables, hours. Out: the files that cannot be used, each with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.footers import Footers
from tokenergy_collectors.lake.reading import BrokenFileError, read_columns


class Files(Protocol):
    """What is asked of a lake: its folder, and a table's files in some hours."""

    root: Path

    def files(self, table: str, hours: Iterable[int] | None = None) -> list[Path]:
        """Return them; of all hours if None."""
        ...


def damaged(
    lake: Files, tables: Iterable[str], hours: Iterable[int] | None = None, *, rows: bool = True
) -> Iterator[tuple[Path, str]]:
    """Yield the damaged files of some tables, each with what is wrong with it.

    Args:
        lake: the lake.
        tables: names of tables.
        hours: starts of the hours to look at (us UTC); all hours if None.
        rows: read all rows; else only the Parquet footers of files that are new or were touched
            (see `footers`), which is enough to find those that were cut off.

    Raises:
        UserError: a file cannot be read.
    """
    chosen = None if hours is None else list(hours)
    footers = Footers(lake.root)
    for table in tables:
        spec = TABLES[table]
        for path in lake.files(table, chosen):
            try:
                if rows:
                    read_columns(path, spec, spec.column_names)
                else:
                    footers.columns(path, spec)
            except BrokenFileError as error:
                yield path, str(error)
            except FileNotFoundError:  # another process moved it
                continue
    footers.save()
