"""One write-ahead log: rows of one table on disk, before they are sealed.

In: Arrow batches. Out: an Arrow IPC stream, which any Arrow library opens; after a crash, the part
of it that is intact.

IPC has no checksum, and after a loss of power a disk may hold zeros, or old blocks, in place of a
batch. So an empty batch, the mark, follows every batch: its metadata hold the CRC-32 of all bytes
since the previous mark. A batch without its mark does not count.
"""

from __future__ import annotations

import io
import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tokenergy_collectors.lake.arrays import to_batch
from tokenergy_collectors.lake.modes import FILE_MODE

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIX = ".arrows"
"""Arrow's own suffix for IPC streams."""

_CRC_KEY = b"crc32"
_END = b"\xff\xff\xff\xff\0\0\0\0"
"""End of an IPC stream: a log that ends with it was closed."""


class UnreadableLogError(Exception):
    """A log of which nothing can be read; the message is the reason, on one line."""


class LogRows(NamedTuple):
    """The rows of a log's intact batches, whether it was closed, and the bytes after them."""

    rows: pa.Table
    closed: bool
    cut_bytes: int


class LogWriter:
    """Writes one log; every call hands its rows to the operating system.

    So a killed process loses none of them. A loss of power may, until the file is synced.

    Args:
        path: a file that does not exist yet.
        table: the table whose rows it holds.
        schema: the Arrow schema of that table.

    Raises:
        OSError: the file cannot be created.
    """

    def __init__(self, path: Path, table: str, schema: pa.Schema) -> None:
        self.path = path
        self.table = table
        self.rows = 0
        self.size = 0
        """Bytes up to the end of the last complete batch."""
        self._schema = schema
        self._mark = to_batch([], schema)
        self._begin()
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch and its mark.

        Raises:
            OSError: it cannot be written. The log is as before and can still be used.
        """
        self._stream.write_batch(batch)
        body = self._take()
        self._stream.write_batch(self._mark, custom_metadata={_CRC_KEY: _crc(body)})
        try:
            self._append(body + self._take())
        except OSError:
            if not self.size:
                self._begin()  # the stream writes its schema only once, with the first batch
            with suppress(OSError):  # else the next write, or recovery, cuts these bytes off
                os.ftruncate(self._fd, self.size)
            raise
        self.rows += batch.num_rows

    def close(self) -> None:
        """End the stream. On a full disk the end is missing, and the log looks interrupted."""
        self._append_end()
        os.close(self._fd)

    def _append_end(self) -> None:
        self._stream.close()
        with suppress(OSError):
            self._append(self._take())

    def _begin(self) -> None:
        import pyarrow as pa

        self._made = io.BytesIO()
        self._stream = pa.ipc.new_stream(self._made, self._schema)

    def _take(self) -> bytes:
        made = self._made.getvalue()
        self._made.seek(0)
        self._made.truncate()
        return made

    def _append(self, data: bytes) -> None:
        """Write after the last complete batch; the size changes only if all bytes were written."""
        left, at = memoryview(data), self.size
        while left:
            count = os.pwrite(self._fd, left, at)
            left, at = left[count:], at + count
        self.size = at


def read_log(path: Path, schema: pa.Schema) -> LogRows:
    """Read a log up to its last intact batch.

    Args:
        path: the file; an empty one holds no rows.
        schema: the schema that it must have; a log of an earlier version may lack the last columns,
            if they are nullable: they are NULL then.

    Raises:
        UnreadableLogError: the file cannot be read, is not a log, or has another schema.
    """
    import pyarrow as pa

    try:
        data = path.read_bytes()
        source = pa.BufferReader(data)
        if not data:
            return LogRows(schema.empty_table(), closed=False, cut_bytes=0)
        stream = pa.ipc.open_stream(source)
    except (OSError, pa.ArrowException) as error:
        raise UnreadableLogError(f"not a log: {' '.join(str(error).split())}") from None
    if not _is_earlier(stream.schema, schema):  # its names are not shown: they may not be text
        raise UnreadableLogError("its columns are not those of this version's table")
    batches, end = _intact_batches(stream, source, data)
    closed = data[end:] == _END
    cut_bytes = 0 if closed else len(data) - end
    rows = with_columns(pa.Table.from_batches(batches, stream.schema), schema)
    return LogRows(rows, closed, cut_bytes)


def _is_earlier(found: pa.Schema, schema: pa.Schema) -> bool:
    """Say whether a schema is another one, or lacks only nullable columns at the end of it."""
    fields = list(schema)
    return list(found) == fields[: len(found)] and all(f.nullable for f in fields[len(found) :])


def with_columns(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return rows with all columns of a schema: those that they lack are NULL."""
    import pyarrow as pa

    for field in schema:
        if field.name not in rows.column_names:
            rows = rows.append_column(field, pa.nulls(len(rows), field.type))
    return rows.select(schema.names)


def _intact_batches(
    stream: pa.RecordBatchReader, source: pa.BufferReader, data: bytes
) -> tuple[list[pa.RecordBatch], int]:
    """Return the batches before the first one without a correct mark, and where they end."""
    import pyarrow as pa

    batches: list[pa.RecordBatch] = []
    end = 0
    with suppress(StopIteration, OSError, pa.ArrowException):  # what Arrow raises for a damaged end
        while True:
            batch = stream.read_next_batch()
            body = memoryview(data)[end : source.tell()]
            _, marked = stream.read_next_batch_with_custom_metadata()
            if marked is None or dict(marked).get(_CRC_KEY) != _crc(body):
                break
            batches.append(batch)
            end = source.tell()
    return batches, end


def _crc(data: bytes | memoryview) -> bytes:
    return b"%08x" % zlib.crc32(data)


def sync_path(path: Path) -> None:
    """Sync a file, or the names in a folder, to disk.

    Raises:
        OSError: it does not exist, or the disk reports an error.
    """
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
