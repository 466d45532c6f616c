"""Writes one file with the rows of several raw files of a table, hour and node.

In: the files. Out: a file with their rows in the table's sort order. Rows that are equal in it stay
in the order of the files, so that whoever sorts the rows gets them as from the files themselves.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import POWER, Table
from tokenergy_collectors.lake.lake import Lake
from tokenergy_collectors.lake.reading import BrokenFileError, read_columns
from tokenergy_collectors.lake.writing import ParquetWriter

if TYPE_CHECKING:
    import pyarrow as pa

MOST_BYTES = 1 << 28
"""Files of more bytes than this together are large enough as they are."""

_DEPTH = 4
"""Levels of folders between the lake and the file."""


class UnfitError(Exception):
    """A file that cannot be merged, though readers can use it; the message says why.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(why)
        self.path = path


def merge(
    lake: Lake, spec: Table, files: Sequence[Path], path: Path, notes: Mapping[str, str]
) -> bool:
    """Write the rows of some files as one file, read it back, and give it its name.

    Args:
        lake: the lake; its damaged files are moved to quarantine.
        spec: the table.
        files: the files, sorted by name.
        path: of the new one.
        notes: texts to keep in its metadata, by key.

    Returns:
        False if a file was damaged or is gone; then nothing is written.

    Raises:
        UnfitError: a file has columns that the contract does not know, or the files are large.
        UserError: a file cannot be read or written, or reads back differently.
    """
    import pyarrow as pa

    if sum(file.stat().st_size for file in files) > MOST_BYTES:
        raise UnfitError(files[0], f"its node's files are larger than {MOST_BYTES >> 20} MiB")
    parts, whole = [], True
    for file in files:
        try:
            parts.append(_read(file, spec))
        except BrokenFileError as error:
            lake.set_aside(file, str(error))
            whole = False
        except FileNotFoundError:
            whole = False
    if not whole:
        return False
    if spec.name == POWER.name and _at_once(parts):
        raise UnfitError(files[-1], "has readings of a time of which another file has some, too")
    rows = pa.concat_tables(parts).sort_by([(name, "ascending") for name in spec.sort])
    aside = path.with_name(f".{path.name}.new.tmp")
    with ParquetWriter(aside, spec, notes, _DEPTH) as written:
        written.write(rows)
    # The files that it is made from are removed one day.
    if not _same(read_columns(aside, spec, spec.column_names), rows):
        raise UserError(f"{aside}: reads back differently; look after the disk")
    aside.replace(path)
    sync_folder(path.parent)
    return True


def sync_folder(folder: Path) -> None:
    """See that the names in a folder are on the disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _read(file: Path, spec: Table) -> pa.Table:
    """Return all rows of a file.

    Raises:
        UnfitError: a later version wrote more columns than this one knows.
    """
    import pyarrow.parquet as pq

    rows = read_columns(file, spec, spec.column_names)
    unknown = {*pq.read_schema(file).names}.difference(spec.column_names)
    if unknown:
        names = ", ".join(sorted(unknown))
        raise UnfitError(file, f"has columns that this version does not know: {names}")
    return rows


def _at_once(parts: Sequence[pa.Table]) -> bool:
    """Return whether two files have readings of a board at the same time.

    Two recorders may have read it, or one whose clock was set back. The check that finds them
    (`records_take_turns`) needs to know which reading is of which file.
    """
    spans: dict[str, list[tuple[int, int]]] = {}
    for part in parts:
        found = part.group_by("device_id").aggregate([("ts_us", "min_max")]).to_pylist()
        for row in found:
            span = row["ts_us_min_max"]
            spans.setdefault(row["device_id"], []).append((span["min"], span["max"]))
    return any(
        later[0] <= earlier[1]
        for of_board in spans.values()
        for earlier, later in pairwise(sorted(of_board))
    )


def _same(some: pa.Table, others: pa.Table) -> bool:
    """Return whether two tables of a schema have the same rows; NaN is NaN."""
    import numpy as np
    import pyarrow as pa

    return len(some) == len(others) and all(
        np.array_equal(one.to_numpy(), other.to_numpy(), equal_nan=True)
        if pa.types.is_floating(one.type)
        else one.equals(other)
        for one, other in zip(some.columns, others.columns, strict=True)
    )
