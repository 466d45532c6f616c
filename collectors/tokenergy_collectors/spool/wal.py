"""One write-ahead log: rows of one table on disk, before they are sealed.

In: Arrow batches. Out: an Arrow IPC stream, which any Arrow library opens; after a crash, what of
it is whole. Behind every batch stands an empty one; its metadata hold the CRC-32 of all bytes since
the previous one, because IPC has no checksum of its own and a disk that loses power may leave
zeros, or old blocks, where a batch should be. A batch without its mark does not count.
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
"""End of an IPC stream: a log that ends so was closed, and will not be written again."""


class UnreadableLogError(Exception):
    """Nothing in a log can be read; the message is the reason, on one line."""


class LogRows(NamedTuple):
    """What a log holds: its whole batches, whether it was closed, and the bytes after them."""

    rows: pa.Table
    closed: bool
    cut_bytes: int


class LogWriter:
    """Writes one log; after each call what was given is with the operating system.

    A killed process loses nothing of it; a host that loses power does, until the file is fsynced.

    Args:
        path: a file that does not exist yet.
        table: the table whose rows it takes.
        schema: the Arrow schema of that table.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path, table: str, schema: pa.Schema) -> None:
        self.path = path
        self.table = table
        self.rows = 0
        self.size = 0
        """Bytes up to the last whole batch."""
        self._schema = schema
        self._mark = to_batch([], schema)
        self._begin()
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch and its mark.

        Raises:
            OSError: it cannot be written. The log holds what it held before, and may be used on.
        """
        self._stream.write_batch(batch)
        body = self._take()
        self._stream.write_batch(self._mark, custom_metadata={_CRC_KEY: _crc(body)})
        try:
            self._append(body + self._take())
        except OSError:
            if not self.size:
                self._begin()  # the schema went with the first batch
            with suppress(OSError):  # what stands behind the end is written over, or cut
                os.ftruncate(self._fd, self.size)
            raise
        self.rows += batch.num_rows

    def close(self) -> None:
        """End the stream. On a full disk the end is left out: the log then looks interrupted."""
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
        """Write everything behind the last whole batch; the end moves only if all went well."""
        left, at = memoryview(data), self.size
        while left:
            count = os.pwrite(self._fd, left, at)
            left, at = left[count:], at + count
        self.size = at


def read_log(path: Path, schema: pa.Schema) -> LogRows:
    """Read a log up to its last whole batch.

    Args:
        path: the file; an empty one holds no rows.
        schema: what it must hold.

    Raises:
        UnreadableLogError: the file cannot be read, is no log, or is one of another schema.
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
    if stream.schema != schema:  # not shown: the names may be no text at all
        raise UnreadableLogError("its columns are not those of this version's table")
    batches, end = _whole(stream, source, data)
    closed = data[end:] == _END
    cut_bytes = 0 if closed else len(data) - end
    return LogRows(pa.Table.from_batches(batches, schema), closed, cut_bytes)


def _whole(
    stream: pa.RecordBatchReader, source: pa.BufferReader, data: bytes
) -> tuple[list[pa.RecordBatch], int]:
    """Return the batches whose marks agree, up to the first that does not, and where they end."""
    import pyarrow as pa

    batches: list[pa.RecordBatch] = []
    end = 0
    with suppress(StopIteration, OSError, pa.ArrowException):  # what Arrow says of a torn tail
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
    """Force a file, or the names in a folder, to the disk.

    Raises:
        OSError: it is not there, or the disk refuses.
    """
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
