"""Reads a CSV file that another tool wrote; every error names its line.

In: a path. Out: the header, then rows as lists of text, without blank lines. A last line without a
newline is kept apart: it may be cut off, and the caller decides whether to use it. Byte order marks
and CRLF are understood; a file that is not text is refused.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from tokenergy_collectors.base.errors import UserError

Progress = Callable[[int], None]
"""Called now and then with the number of bytes read so far."""

_FIRST_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 24
_GZIP = b"\x1f\x8b"


class BadValueError(ValueError):
    """A value that cannot be used; `CsvFile` adds the file and the line to the message."""


class CsvFile:
    """An open CSV file; a context manager that turns every error into a `UserError`.

    Inside the `with` block, a `BadValueError` becomes `PATH: line N: MESSAGE`, where N is the last
    line that was read.

    Args:
        path: the file.
        progress: called now and then with the number of bytes read so far.

    Raises:
        UserError: the file is missing, empty, a folder, not readable or not text.
    """

    def __init__(self, path: str | Path, progress: Progress | None = None) -> None:
        self.path = Path(path)
        self.header: list[str] = []
        """Names of the columns."""
        self.tail: list[str] | None = None
        """The last line, if it has no newline; set once all rows were read."""
        self.line = 0
        """Number of the last line that was read, counted from 1."""
        self._progress = progress

    def __enter__(self) -> CsvFile:
        self._handle = self._open()
        try:
            self._read_header()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._handle.close()
        if isinstance(error, UnicodeDecodeError):
            raise UserError(f"{self.path}: is not UTF-8 text: expected a CSV file") from None
        if isinstance(error, BadValueError | csv.Error):
            where = f": line {self.line}" if self.header else ""
            raise UserError(f"{self.path}{where}: {error}") from None
        if isinstance(error, OSError):
            raise UserError(f"{self.path}: cannot be read: {error.strerror}") from None

    def chunks(self) -> Iterator[bytes]:
        """Yield the rest of the file in chunks of whole lines.

        A last line without a newline becomes `tail`. The caller must pass each chunk to `rows_of`
        or `skip`, so that its lines are counted.
        """
        # A short chunk first: from it the reader learns the devices, and the fast way needs them.
        for size in chain([_FIRST_BYTES], repeat(_CHUNK_BYTES)):
            chunk = self._handle.read(size) + self._handle.readline()
            whole = chunk.rfind(b"\n") + 1
            if self._progress is not None:
                self._progress(self._handle.tell())
            if whole:
                yield chunk[:whole]
            if whole < len(chunk) or not chunk:
                self._keep_tail(chunk[whole:])
                return

    def rows_of(self, chunk: bytes) -> Iterator[list[str]]:
        """Yield the rows of a chunk, without blank lines."""
        before = self.line
        reader = csv.reader(io.StringIO(chunk.decode(), newline=""), skipinitialspace=True)
        for row in reader:
            self.line = before + reader.line_num
            if row:
                yield row
        self.line = before + reader.line_num

    def skip(self, chunk: bytes) -> None:
        """Count the lines of a chunk that the caller read in another way."""
        self.line += chunk.count(b"\n")

    def rows(self) -> Iterator[list[str]]:
        """Yield the rows after the header; then, if the last line has no newline, set `tail`."""
        for chunk in self.chunks():
            yield from self.rows_of(chunk)

    def all_rows(self) -> Iterator[list[str]]:
        """Yield the rows after the header, including a last line without a newline."""
        yield from self.rows()
        if self.tail is not None:
            # The tail was decoded with replacement characters, since a cut may split one.
            if any("\ufffd" in cell for cell in self.tail):
                raise BadValueError("is not UTF-8 text")
            yield self.tail

    def check_width(self, row: list[str]) -> None:
        """Check that a row has as many values as the header has names.

        Raises:
            BadValueError: the numbers differ.
        """
        if len(row) != len(self.header):
            raise BadValueError(
                f"{len(row)} values in {','.join(row)[:60]!r}: expected {len(self.header)}"
            )

    def _open(self) -> BinaryIO:
        try:
            handle = self.path.open("rb")
        except FileNotFoundError:
            raise UserError(f"{self.path}: no such file") from None
        except IsADirectoryError:
            raise UserError(f"{self.path}: is a folder: expected a CSV file") from None
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read: {error.strerror}") from None
        return handle

    def _read_header(self) -> None:
        line = self._handle.readline(_FIRST_BYTES)
        if line.startswith(_GZIP):
            raise UserError(f"{self.path}: is compressed: decompress it first (gunzip)")
        if b"\0" in line:
            raise UserError(f"{self.path}: is not text: expected a CSV file")
        self.line = 1
        while line and not line.strip():
            line = self._handle.readline(_FIRST_BYTES)
            self.line += 1
        names = _split(line.decode("utf-8-sig"))
        if not names:
            raise BadValueError("is empty: expected a header line with the names of the columns")
        self.header = [name.strip() for name in names]

    def _keep_tail(self, line: bytes) -> None:
        if line.strip():
            self.line += 1
            self.tail = _split(line.decode(errors="replace"))


def _split(line: str) -> list[str]:
    return next(csv.reader([line], skipinitialspace=True), [])
