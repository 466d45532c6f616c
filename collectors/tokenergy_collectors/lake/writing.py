"""Writes one Parquet file of the lake, piece by piece.

In: rows in the table's sort order, in pieces of any size. Out: a file whose bytes depend on the
rows (and notes) alone, not on the pieces: writing the same rows again produces the same file.
"""

from __future__ import annotations

import filecmp
import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.interrupt import scratch
from tokenergy_collectors.lake.contract import Table
from tokenergy_collectors.lake.modes import make_file, make_folders
from tokenergy_collectors.lake.unfinished import hidden_name, make_locked, unlock

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS = 1 << 18
"""Rows of a row group: the unit that is read at once, or skipped by its statistics."""

_DELTA_TYPES = ("int32", "int64")


class ParquetWriter:
    """Writes a file under a temporary name; leaving the block without an error renames it.

    So a reader never sees half a file. A file that already holds the same bytes is left untouched.

    Args:
        path: the file.
        spec: its table.
        notes: texts to keep in the file's metadata, by key.
        depth: levels of folders between the lake and the file: TABLE/date=.../hour=...
        locked: whether the temporary name is locked meanwhile: see `unfinished`.

    Attributes:
        rows: written so far.

    Raises:
        UserError: it cannot be written.
    """

    def __init__(
        self,
        path: Path,
        spec: Table,
        notes: Mapping[str, str] | None = None,
        depth: int = 3,
        *,
        locked: bool = True,
    ) -> None:
        self._path, self._spec, self._notes, self._depth = path, spec, notes, depth
        self._temporary, self._locked = hidden_name(path), locked
        self._writer: Any = None
        self._ends = ExitStack()
        self._buffered: list[pa.Table] = []
        self._buffered_rows = 0
        self.rows = 0

    def __enter__(self) -> ParquetWriter:
        import pyarrow.parquet as pq

        try:
            make_folders(self._path.parent, self._depth)
            self._ends.enter_context(scratch(self._temporary))
            if self._locked:
                self._ends.callback(unlock, make_locked(self._temporary))
            else:
                make_file(self._temporary)
            # Chosen by measuring (docs/performance.md). Raw files are kept and sent over the
            # network, so zstd at its fastest level; LZ4 is faster and packs derived files as well.
            # Statistics let readers skip row groups: of derived files, by the sort columns only.
            raw = self._spec.layer == "raw"
            self._writer = pq.ParquetWriter(
                self._temporary,
                _file_schema(self._spec),
                store_schema=False,
                compression="zstd" if raw else "lz4",
                compression_level=1 if raw else None,
                write_statistics=True if raw else list(self._spec.sort),
                use_dictionary=[c.name for c in self._spec.columns if c.type == "string"],
                column_encoding={
                    c.name: "DELTA_BINARY_PACKED"
                    for c in self._spec.columns
                    if c.type in _DELTA_TYPES
                },
                write_page_checksum=True,
            )
        except OSError as error:
            self._drop()
            self._ends.close()
            raise self._write_error(error) from None
        return self

    def write(self, rows: pa.Table) -> None:
        """Append rows; columns of texts may be dictionaries.

        Raises:
            UserError: the file cannot be written.
        """
        self._buffered.append(rows)
        self._buffered_rows += len(rows)
        self.rows += len(rows)
        if self._buffered_rows < GROUP_ROWS:
            return
        buffered = self._take()
        whole = self._buffered_rows // GROUP_ROWS * GROUP_ROWS
        self._put(buffered.slice(0, whole))
        self._buffered = [buffered.slice(whole)]
        self._buffered_rows -= whole

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._ends:
            self._end(error)

    def _end(self, error: BaseException | None) -> None:
        """Rename a finished file to its place; remove one that an error left unfinished."""
        if error is not None:
            with suppress(OSError):
                self._writer.close()
            self._drop()
            return
        try:
            if self._buffered:
                self._put(self._take())
            if self._notes:
                self._writer.add_key_value_metadata(self._notes)
            self._writer.close()
            # The rename may reach the disk before the bytes do, unless they are synced first.
            with self._temporary.open("rb") as handle:
                os.fsync(handle.fileno())
            self._finish()
        except OSError as failure:
            self._drop()
            raise self._write_error(failure) from None
        except BaseException:
            self._drop()
            raise

    def _finish(self) -> None:
        """Give the finished file its name, unless the same bytes have it already."""
        if self._path.exists() and filecmp.cmp(self._path, self._temporary, shallow=False):
            self._temporary.unlink()
        else:
            self._temporary.replace(self._path)

    def _take(self) -> pa.Table:
        """Return the buffered rows as one table, texts as dictionaries."""
        import pyarrow as pa

        schema = _file_schema(self._spec)
        return pa.concat_tables(rows.cast(schema) for rows in self._buffered)

    def _put(self, rows: pa.Table) -> None:
        try:
            for first in range(0, len(rows), GROUP_ROWS):
                group = _with_own_dictionaries(rows.slice(first, GROUP_ROWS))
                self._writer.write_table(group, row_group_size=GROUP_ROWS)
        except OSError as error:
            raise self._write_error(error) from None

    def _drop(self) -> None:
        with suppress(OSError):
            self._temporary.unlink(missing_ok=True)

    def _write_error(self, error: OSError) -> UserError:
        return UserError(f"{self._path}: cannot be written: {error.strerror or error}")


def _file_schema(spec: Table) -> pa.Schema:
    """Return the schema that rows are written with: texts are dictionaries, which is faster."""
    import pyarrow as pa

    texts = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        field.with_type(texts) if field.type == pa.string() else field for field in spec.schema()
    )


def _with_own_dictionaries(rows: pa.Table) -> pa.Table:
    """Return rows whose dictionaries hold the texts that occur, in the order of occurrence.

    Otherwise a file's bytes would depend on the pieces that its rows came in.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    for place, column in enumerate(rows.columns):
        if not pa.types.is_dictionary(column.type):
            continue
        whole = column.unify_dictionaries().combine_chunks()
        used = whole.indices.unique().drop_null()
        indices = pc.index_in(whole.indices, value_set=used)
        texts = pa.DictionaryArray.from_arrays(indices, whole.dictionary.take(used))
        rows = rows.set_column(place, rows.field(place), texts)
    return rows


def write_parquet(rows: pa.Table, path: Path, spec: Table, *, locked: bool = True) -> None:
    """Write one file.

    Args:
        rows: all its rows, in the table's sort order.
        path: the file.
        spec: its table.
        locked: as for `ParquetWriter`.

    Raises:
        UserError: it cannot be written.
    """
    with ParquetWriter(path, spec, locked=locked) as file:
        file.write(rows)
