"""Reads one file of the lake, and checks it against the contract of its table.

In: a file and its table. Out: rows typed as in the contract, or the reason why the file cannot be
used: `BrokenFileError` if its content is wrong, `UserError` if it cannot be read at all (no
permission, a failing disk).

A nullable column may be missing, as in files of an earlier version; extra columns are ignored;
integers of any width are accepted for an integer column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.absent import present
from tokenergy_collectors.lake.contract import BOUNDS, Table

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


class BrokenFileError(Exception):
    """A file that can be read but breaks the contract; the message says how."""


def columns_of(path: Path, table: Table) -> frozenset[str]:
    """Return the names of the contract's columns that a file has; only its footer is read.

    Raises:
        BrokenFileError: it is not a complete Parquet file, or its columns are not the table's.
        FileNotFoundError: it does not exist (any more).
        UserError: it cannot be read.
    """
    import pyarrow.parquet as pq

    with _sorted_errors(path):
        found = pq.read_schema(path)
    return _columns_in(found, table)


def note_of(path: Path, key: str) -> str | None:
    """Return the text that a file's metadata has under a key, or None; only its footer is read.

    Raises:
        BrokenFileError: it is not a complete Parquet file.
        FileNotFoundError: it does not exist (any more).
        UserError: it cannot be read.
    """
    import pyarrow.parquet as pq

    with _sorted_errors(path):
        found = pq.read_metadata(path).metadata or {}
    text = found.get(key.encode())
    return None if text is None else text.decode()


def rows_of(path: Path) -> int:
    """Return how many rows a file has; only its footer is read.

    Raises:
        BrokenFileError, FileNotFoundError, UserError: as `note_of`.
    """
    import pyarrow.parquet as pq

    with _sorted_errors(path):
        return int(pq.read_metadata(path).num_rows)


_SEEN: dict[str, tuple[pa.Schema, Table, frozenset[str]]] = {}
"""The schema of the last sound file of each table, and what follows from it: an hour of a fleet has
thousands of files that have one schema."""


def _columns_in(found: pa.Schema, table: Table) -> frozenset[str]:
    """Return the names of the contract's columns that a schema has.

    Raises:
        BrokenFileError: its columns are not the table's.
    """
    seen = _SEEN.get(table.name)
    if seen is not None and seen[1] is table and seen[0].equals(found):
        return seen[2]
    names = _fitting(found, table)
    _SEEN[table.name] = found, table, names
    return names


def _fitting(found: pa.Schema, table: Table) -> frozenset[str]:
    for column in table.schema():
        places = found.get_all_field_indices(column.name)
        if len(places) > 1:
            raise BrokenFileError(f"column {column.name} occurs {len(places)} times")
        if places and kind_of_type(found.field(places[0]).type) != kind_of_type(column.type):
            kind = found.field(places[0]).type
            raise BrokenFileError(f"column {column.name} is {kind}, not {column.type}")
        if not places and not column.nullable:
            raise BrokenFileError(f"column {column.name} is missing")
    return frozenset(found.names) & frozenset(table.column_names)


def read_columns(
    path: Path, table: Table, names: Sequence[str], between_us: tuple[int, int] | None = None
) -> pa.Table:
    """Return some columns of a file, typed as in the contract.

    Args:
        path: the file.
        table: its table.
        names: the columns to read.
        between_us: only rows whose stamp t has `between_us[0] <= t < between_us[1]`; all if None.

    Raises:
        BrokenFileError: as `columns_of`, or the rows are damaged or break the contract.
        FileNotFoundError: it does not exist (any more).
        UserError: it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = table.schema()
    wanted = pa.schema([schema.field(name) for name in names])
    # `read_table` imports pandas, and with a filter takes ten times as long.
    with (
        _sorted_errors(path),
        pq.ParquetFile(path, page_checksum_verification=True) as file,
    ):
        present = _columns_in(file.schema_arrow, table)
        found = [name for name in names if name in present]
        if between_us is None:
            part = file.read(columns=found, use_threads=False)
        else:
            part = _read_between(file, found, table.time, between_us)
        rows = _fit(part, table, names)
        return rows if rows.schema.equals(wanted) else rows.cast(wanted)


def _read_between(
    file: pq.ParquetFile, names: Sequence[str], time: str, between_us: tuple[int, int]
) -> pa.Table:
    """Return the rows of an open file whose stamp is in a time; see `read_columns`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    first_us, end_us = (pa.scalar(ts_us, pa.int64()) for ts_us in between_us)
    groups = [
        number
        for number in range(file.metadata.num_row_groups)
        if _overlaps(file.metadata.row_group(number), time, between_us)
    ]
    if not groups:
        return file.schema_arrow.empty_table().select(names)
    rows = file.read_row_groups(groups, columns=[*{*names, time}], use_threads=False)
    stamps = rows[time]
    inside = pc.and_(pc.greater_equal(stamps, first_us), pc.less(stamps, end_us))
    return rows.filter(inside).select(names)


def _overlaps(group: Any, time: str, between_us: tuple[int, int]) -> bool:
    """Return whether a row group may have stamps in a time, by its statistics."""
    for place in range(group.num_columns):
        column = group.column(place)
        if column.path_in_schema == time:
            stats = column.statistics
            if stats is None or not stats.has_min_max:
                return True
            return bool(stats.max >= between_us[0] and stats.min < between_us[1])
    return True


def _fit(part: pa.Table, table: Table, names: Sequence[str]) -> pa.Table:
    """Return some columns of rows, typed as in the contract; texts may stay dictionaries."""
    import pyarrow as pa

    schema = table.schema()
    arrays = []
    for name in names:
        field = schema.field(name)
        if name not in part.column_names:
            array = pa.chunked_array([pa.nulls(len(part), field.type)])
        elif part[name].type == field.type or pa.types.is_dictionary(part[name].type):
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
    """One row group of a file and its statistics; None where a column has none.

    `constant` names the numeric columns that hold the same value in every row, `empty` the columns
    that are NULL in every row, `full` those that are NULL in none.
    """

    number: int
    rows: int
    first: dict[str, Any]
    last: dict[str, Any]
    constant: frozenset[str]
    empty: frozenset[str]
    full: frozenset[str] = frozenset()


class RawFile:
    """An open raw file, read and checked row group by row group.

    Args:
        path: the file.
        table: its table.
        texts: columns of texts to read as dictionaries.

    Raises:
        BrokenFileError, FileNotFoundError, UserError: as `read_columns`; every method raises them.
    """

    def __init__(self, path: Path, table: Table, texts: Sequence[str] = ()) -> None:
        import pyarrow.parquet as pq

        self._path, self._table = path, table
        with _sorted_errors(path):
            self._file = pq.ParquetFile(
                path,
                read_dictionary=list(texts),
                pre_buffer=False,  # several threads read a row group each: this is faster
                page_checksum_verification=True,
            )
            self._present = _columns_in(self._file.schema_arrow, table)

    def __enter__(self) -> RawFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def groups(self, names: Sequence[str]) -> list[RowGroup]:
        """Return the row groups, with the smallest and largest values of some columns.

        A column that the file lacks is NULL in every row.
        """
        with _sorted_errors(self._path):
            metadata = self._file.metadata
            places = {metadata.schema.column(i).path: i for i in range(metadata.num_columns)}
            found = []
            for number in range(metadata.num_row_groups):
                group = metadata.row_group(number)
                stats = {
                    name: group.column(places[name]).statistics if name in places else None
                    for name in names
                }
                ranges = {name: s if s and s.has_min_max else None for name, s in stats.items()}
                first = {name: s.min if s else None for name, s in ranges.items()}
                last = {name: s.max if s else None for name, s in ranges.items()}
                constant = frozenset(
                    name
                    for name, s in ranges.items()
                    if s
                    and s.min == s.max
                    and not isinstance(s.min, str)  # statistics of texts may be truncated
                    and s.has_null_count
                    and s.null_count == 0
                )
                empty = frozenset(
                    name
                    for name, s in stats.items()
                    if name not in places
                    or (s and s.has_null_count and s.null_count == group.num_rows)
                )
                full = frozenset(
                    name
                    for name, s in stats.items()
                    if s and s.has_null_count and s.null_count == 0
                )
                found.append(RowGroup(number, group.num_rows, first, last, constant, empty, full))
            return found

    def read(self, number: int, names: Sequence[str]) -> pa.Table:
        """Return some columns of one row group, using only the calling thread.

        They are typed as in the contract, except texts that are read as dictionaries.
        """
        wanted = [name for name in names if name in self._present]
        with _sorted_errors(self._path):
            part = self._file.read_row_group(number, columns=wanted, use_threads=False)
            return _fit(part, self._table, names)


def kind_of_type(type_: pa.DataType) -> str:
    """Return the kind of a type: only types of the same kind are cast into each other."""
    import pyarrow as pa

    if pa.types.is_dictionary(type_):
        return kind_of_type(type_.value_type)
    if pa.types.is_integer(type_):
        return "integer"
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return "string"
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return f"list of {kind_of_type(type_.value_type)}"
    return str(type_)


@contextmanager
def _sorted_errors(path: Path) -> Iterator[None]:
    """Turn what Arrow raises into `BrokenFileError` (damage) or `UserError` (cannot be read)."""
    import pyarrow as pa

    present([path])
    try:
        yield
    except (FileNotFoundError, pa.ArrowMemoryError, pa.ArrowCancelled):
        raise
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:  # the last: of a name
        # Arrow reports damage as an OSError too, but without an errno of the system.
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from None
        raise BrokenFileError(" ".join(str(error).split())[:500]) from None
