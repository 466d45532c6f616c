"""Reads one file of the lake; a raw one that breaks the contract goes to quarantine.

In: a file and the contract of its table. Out: rows that fit it, or the reason why there are none.
The quarantine is `<lake>/quarantine/TABLE/date=.../hour=.../NAME.parquet`, the reason beside it; a
file that was mended is put back by moving it where it was. Nothing is moved that merely cannot be
reached: a file without permission to read, a disk that fails, a file that has gone.

A column that may be NULL may also be missing, as in files of an earlier version; further columns do
no harm. Whole numbers of any width are taken where whole numbers are due.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import BOUNDS, Table

if TYPE_CHECKING:
    import pyarrow as pa


class BrokenFileError(Exception):
    """A file that can be reached and breaks the contract; the text says how."""


def columns_of(path: Path, table: Table) -> frozenset[str]:
    """Return the names of the contract's columns that a file has; only its end is read.

    Raises:
        BrokenFileError: the file is no whole Parquet file, or its columns are not the table's.
        FileNotFoundError: it is not there (any more).
        UserError: it cannot be reached.
    """
    import pyarrow.parquet as pq

    with _blame(path):
        found = pq.read_schema(path)
    return _columns_in(found, table)


def _columns_in(found: pa.Schema, table: Table) -> frozenset[str]:
    """Return the names of the contract's columns that a schema has.

    Raises:
        BrokenFileError: its columns are not the table's.
    """
    for column in table.schema():
        places = found.get_all_field_indices(column.name)
        if len(places) > 1:
            raise BrokenFileError(f"column {column.name} is there {len(places)} times")
        if places and _kind(found.field(places[0]).type) != _kind(column.type):
            kind = found.field(places[0]).type
            raise BrokenFileError(f"column {column.name} is {kind}, not {column.type}")
        if not places and not column.nullable:
            raise BrokenFileError(f"column {column.name} is missing")
    return frozenset(found.names) & frozenset(table.column_names)


def read_columns(path: Path, table: Table, names: Sequence[str], where: Any = None) -> pa.Table:
    """Return some columns of a file, typed as in the contract.

    Args:
        path: the file.
        table: its table.
        names: the columns wanted.
        where: which rows, as a pyarrow expression; all if None.

    Raises:
        BrokenFileError: as `columns_of`, or the rows are damaged or break the contract.
        FileNotFoundError: it is not there (any more).
        UserError: it cannot be reached.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    there = columns_of(path, table)
    schema = table.schema()
    wanted = pa.schema([schema.field(name) for name in names])
    with _blame(path):
        found = [name for name in names if name in there]
        if where is None:  # `read_table` imports pandas
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                part = file.read(columns=found, use_threads=False)
        else:
            part = pq.read_table(
                path,
                columns=found,
                filters=where,
                partitioning=None,
                page_checksum_verification=True,
            )
        return _fit(part, table, names).cast(wanted)


def _fit(part: pa.Table, table: Table, names: Sequence[str]) -> pa.Table:
    """Return some columns of what was read, typed as in the contract; texts may be dictionaries."""
    import pyarrow as pa

    schema = table.schema()
    arrays = []
    for name in names:
        field = schema.field(name)
        if name not in part.column_names:
            array = pa.chunked_array([pa.nulls(len(part), field.type)])
        elif pa.types.is_dictionary(part[name].type):
            array = part[name]
        else:
            array = part[name].cast(field.type)
        _check_values(name, array, nullable=field.nullable)
        arrays.append(array)
    return pa.Table.from_arrays(arrays, names=list(names))


def _check_values(name: str, array: pa.ChunkedArray, *, nullable: bool) -> None:
    import pyarrow.compute as pc

    if array.null_count and not nullable:
        raise BrokenFileError(f"column {name} has {array.null_count} NULLs; expected none")
    if name in BOUNDS and len(array) > array.null_count:
        found, (low, high) = pc.min_max(array).as_py(), BOUNDS[name]
        if found["min"] < low or found["max"] > high:
            raise BrokenFileError(
                f"column {name} goes from {found['min']} to {found['max']}; "
                f"expected {low} to {high}"
            )


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group of a file, and what its statistics say; None where they are missing.

    `constant` names the columns of numbers that hold one and the same value in every row.
    """

    number: int
    rows: int
    first: dict[str, Any]
    last: dict[str, Any]
    constant: frozenset[str]


class RawFile:
    """An open raw file that is read row group by row group, each held to the contract.

    Args:
        path: the file.
        table: its table.
        texts: columns of texts to read as dictionaries.

    Raises:
        BrokenFileError, FileNotFoundError, UserError: as `read_columns`, from every method too.
    """

    def __init__(self, path: Path, table: Table, texts: Sequence[str] = ()) -> None:
        import pyarrow.parquet as pq

        self._path, self._table = path, table
        with _blame(path):
            self._file = pq.ParquetFile(
                path,
                read_dictionary=list(texts),
                pre_buffer=False,  # a row group at a time, by several threads: this is quicker
                page_checksum_verification=True,
            )
            self._there = _columns_in(self._file.schema_arrow, table)

    def __enter__(self) -> RawFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def groups(self, names: Sequence[str]) -> list[RowGroup]:
        """Return the row groups, with the extremes of some columns."""
        with _blame(self._path):
            metadata = self._file.metadata
            places = {metadata.schema.column(i).path: i for i in range(metadata.num_columns)}
            found = []
            for number in range(metadata.num_row_groups):
                group = metadata.row_group(number)
                stats = {name: group.column(places[name]).statistics for name in names}
                known = {name: s if s and s.has_min_max else None for name, s in stats.items()}
                first = {name: s.min if s else None for name, s in known.items()}
                last = {name: s.max if s else None for name, s in known.items()}
                constant = frozenset(
                    name
                    for name, s in known.items()
                    if s
                    and s.min == s.max
                    and not isinstance(s.min, str)  # statistics of texts may be shortened
                    and s.has_null_count
                    and s.null_count == 0
                )
                found.append(RowGroup(number, group.num_rows, first, last, constant))
            return found

    def read(self, number: int, names: Sequence[str]) -> pa.Table:
        """Return some columns of one row group, on this thread alone.

        They are typed as in the contract, but for texts that are read as dictionaries.
        """
        wanted = [name for name in names if name in self._there]
        with _blame(self._path):
            part = self._file.read_row_group(number, columns=wanted, use_threads=False)
            return _fit(part, self._table, names)


def _kind(type_: pa.DataType) -> str:
    """Return what a type is good for: types of one kind are cast, or the file is broken."""
    import pyarrow as pa

    if pa.types.is_dictionary(type_):
        return _kind(type_.value_type)
    if pa.types.is_integer(type_):
        return "integer"
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return "string"
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return f"list of {_kind(type_.value_type)}"
    return str(type_)


@contextmanager
def _blame(path: Path) -> Iterator[None]:
    """Tell a broken file from one that cannot be reached, whatever is raised inside."""
    import pyarrow as pa

    try:
        yield
    except (FileNotFoundError, pa.ArrowMemoryError, pa.ArrowCancelled):
        raise
    except (OSError, pa.ArrowException) as error:
        # Arrow reports damage as an OSError too, but one that the system knows nothing of.
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from None
        raise BrokenFileError(" ".join(str(error).split())[:500]) from None
