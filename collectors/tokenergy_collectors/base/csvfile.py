"""Reads a CSV file that another tool wrote; every error names its line.

In: a path. Out: the header, then rows as lists of text, without blank lines. A last line without a
newline is kept apart: it may be cut off, and the caller decides whether to use it. Byte order
marks, UTF-16 (what `>` writes in PowerShell), CRLF, and semicolons or tabs in place of commas are
understood; a file that is not text is refused.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.leftout import shown

Progress = Callable[[int], None]
"""Called now and then with the number of bytes read so far."""

_FIRST_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 24
_GZIP = b"\x1f\x8b"
_WIDE = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: it begins with the same bytes
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_GUESSED_BYTES = 16


class BadValueError(ValueError):
    """A value that cannot be used; `CsvFile` adds the file and the line to the message."""


class CsvFile:
    """An open CSV file; a context manager that turns every error into a `UserError`.

    Inside the `with` block, a `BadValueError` becomes `PATH: line N: MESSAGE`, where N is the last
    line that was read.

    Args:
        path: the file.
        progress: called now and then with the number of bytes read so far.
        headed: whether the first line holds the names of the columns; else it is left to the
            caller.
        strict: refuse a file with bytes that are not UTF-8; else they become replacement
            characters.

    Raises:
        UserError: the file is missing, empty, a folder, not readable or not text.
    """

    def __init__(
        self,
        path: str | Path,
        progress: Progress | None = None,
        *,
        headed: bool = True,
        strict: bool = True,
    ) -> None:
        self.path = Path(path)
        self.header: list[str] = []
        """Names of the columns."""
        self.tail: list[str] | None = None
        """The last line, if it has no newline; set once all rows were read."""
        self.tail_text: str | None = None
        """The same as it stands in the file."""
        self.line = 0
        """Number of the last line that was read, counted from 1."""
        self._progress = progress
        self._headed = headed
        self._errors = "strict" if strict else "replace"
        self._delimiter = ","

    def __enter__(self) -> CsvFile:
        self._handle = self._open()
        try:
            self._check_text()
            if self._headed:
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
            where = f": line {self.line}" if self.header or (self.line and not self._headed) else ""
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
        text = io.StringIO(chunk.decode(errors=self._errors), newline="")
        reader = csv.reader(text, delimiter=self._delimiter, skipinitialspace=True)
        for row in reader:
            self.line = before + reader.line_num
            if row:
                yield row
        self.line = before + reader.line_num

    def lines_of(self, chunk: bytes) -> Iterator[str]:
        """Yield the lines of a chunk, without blank ones, without their ends."""
        for raw in chunk.removesuffix(b"\n").split(b"\n"):
            self.line += 1
            line = raw.decode(errors=self._errors).rstrip("\r")
            if line.strip():
                yield line.removeprefix("\ufeff")

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
                f"{len(row)} values in {shown(','.join(row))}: expected {len(self.header)}"
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
        return _as_utf8(handle)

    def _check_text(self) -> None:
        """Look at the first bytes, without moving on.

        Raises:
            UserError: the file is compressed, or is not text.
        """
        first = self._handle.read(_FIRST_BYTES)
        self._handle.seek(0)
        if first.startswith(_GZIP):
            raise UserError(f"{self.path}: is compressed: decompress it first (gunzip)")
        # A host that lost power may leave a block of zeros, but not among other bytes of a line.
        line = first.lstrip(b"\0").partition(b"\n")[0]
        if b"\0" in (line if not self._headed else first.partition(b"\n")[0]):
            raise UserError(f"{self.path}: is not text: expected a CSV file")

    def _read_header(self) -> None:
        line = self._handle.readline(_FIRST_BYTES)
        self.line = 1
        while line and not line.strip():
            line = self._handle.readline(_FIRST_BYTES)
            self.line += 1
        text = line.decode("utf-8-sig")
        if "," not in text:
            self._delimiter = max(",;\t", key=text.count)
        names = self._split(text)
        if not names:
            raise BadValueError("is empty: expected a header line with the names of the columns")
        self.header = [name.strip() for name in names]

    def _keep_tail(self, line: bytes) -> None:
        if line.strip():
            self.line += 1
            self.tail_text = line.decode(errors="replace").removeprefix("\ufeff")
            self.tail = self._split(self.tail_text)

    def _split(self, line: str) -> list[str]:
        reader = csv.reader([line], delimiter=self._delimiter, skipinitialspace=True)
        return next(reader, [])


def _as_utf8(handle: BinaryIO) -> BinaryIO:
    """Return a file in UTF-8: the same one, or what is in a file of UTF-16."""
    first = handle.read(_GUESSED_BYTES)
    handle.seek(0)
    encoding = next((name for mark, name in _WIDE if first.startswith(mark)), None)
    # Without a mark, every second byte of plain text is 0.
    halves = first[::2], first[1::2]
    if encoding is None and len(first) == _GUESSED_BYTES and b"\0" not in halves[0]:
        encoding = None if halves[1].strip(b"\0") else "utf-16-le"
    if encoding is None:
        return handle
    with handle:
        return io.BytesIO(handle.read().decode(encoding, errors="replace").encode())
