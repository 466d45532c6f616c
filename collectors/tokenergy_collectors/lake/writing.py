"""Writes one Parquet file of the lake, piece by piece, aside and then renamed into place.

In: rows in the table's sort order, in pieces of any size. Out: a file whose bytes depend on the
rows alone, not on the pieces, so that writing the same rows again finds the same file.

How a column is stored was chosen by measuring (docs/performance.md): whole numbers as differences
(DELTA_BINARY_PACKED), texts in a dictionary. Raw tables, which are kept and sent over the network,
go through zstd at its quickest level; derived ones through LZ4, which is quicker and packs them as
well. The extremes of a row group are noted of raw columns, and of the derived ones that rows are
sorted by.
"""

from __future__ import annotations

import filecmp
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import Table

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS = 1 << 18
"""Rows of a row group: what is read at once, and what a reader may leave out by its extremes."""

_DELTA_TYPES = ("int32", "int64")


class ParquetWriter:
    """A file that is being written; leaving the block without an error puts it in place.

    A file that already holds the same bytes is left untouched.

    Args:
        path: where it belongs.
        spec: its table.

    Raises:
        UserError: it cannot be written.
    """

    def __init__(self, path: Path, spec: Table) -> None:
        self._path, self._spec = path, spec
        self._aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._writer: Any = None
        self._waiting: list[pa.Table] = []
        self._count = 0

    def __enter__(self) -> ParquetWriter:
        import pyarrow.parquet as pq

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            raw = self._spec.layer == "raw"
            self._writer = pq.ParquetWriter(
                self._aside,
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
            raise self._blame(error) from None
        return self

    def write(self, rows: pa.Table) -> None:
        """Add rows behind those that were added before; texts may be dictionaries."""

        self._waiting.append(rows)
        self._count += len(rows)
        if self._count < GROUP_ROWS:
            return
        waiting = self._take()
        whole = self._count // GROUP_ROWS * GROUP_ROWS
        self._put(waiting.slice(0, whole))
        self._waiting = [waiting.slice(whole)]
        self._count -= whole

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:

        if error is not None:
            with suppress(OSError):
                self._writer.close()
            self._drop()
            return
        try:
            if self._waiting:
                self._put(self._take())
            self._writer.close()
            with self._aside.open("rb") as handle:
                os.fsync(handle.fileno())
            if self._path.exists() and filecmp.cmp(self._path, self._aside, shallow=False):
                self._aside.unlink()
            else:
                self._aside.replace(self._path)
        except OSError as failure:
            self._drop()
            raise self._blame(failure) from None
        except BaseException:
            self._drop()
            raise

    def _take(self) -> pa.Table:
        """Return what is waiting as one table, texts as dictionaries."""
        import pyarrow as pa

        schema = _file_schema(self._spec)
        return pa.concat_tables(rows.cast(schema) for rows in self._waiting)

    def _put(self, rows: pa.Table) -> None:
        try:
            for first in range(0, len(rows), GROUP_ROWS):
                group = _plain(rows.slice(first, GROUP_ROWS))
                self._writer.write_table(group, row_group_size=GROUP_ROWS)
        except OSError as error:
            raise self._blame(error) from None

    def _drop(self) -> None:
        with suppress(OSError):
            self._aside.unlink(missing_ok=True)

    def _blame(self, error: OSError) -> UserError:
        return UserError(f"{self._path}: cannot be written: {error.strerror or error}")


def _file_schema(spec: Table) -> pa.Schema:
    """Return the schema that rows are written with: texts are dictionaries, which is quicker."""
    import pyarrow as pa

    texts = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        field.with_type(texts) if field.type == pa.string() else field for field in spec.schema()
    )


def _plain(rows: pa.Table) -> pa.Table:
    """Return rows whose dictionaries hold the texts that occur, in the order of their coming.

    What a file's bytes are would otherwise depend on the pieces that its rows came in.
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


def write_parquet(rows: pa.Table, path: Path, spec: Table) -> None:
    """Write one file whole: rows in the table's sort order.

    Raises:
        UserError: it cannot be written.
    """
    with ParquetWriter(path, spec) as file:
        file.write(rows)
