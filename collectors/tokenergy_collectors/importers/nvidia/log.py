"""Reads an nvidia-smi log.

In: a path. Out: its readings, every value checked, and what was left out. Most of a log goes
through the fast reader; the rest is read line by line.

A log is often written by a loop that is restarted and appends. So a header in mid-file gives the
columns from there on, and what is no reading is left out and counted: lines of the driver, lines
that were cut off, blocks of NULs from a host that lost power.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tokenergy_collectors.base.csvfile import BadValueError, CsvFile, Progress
from tokenergy_collectors.base.leftout import LeftOut, shown
from tokenergy_collectors.base.timestamps import OUTSIDE, BadInstantError, StampReader
from tokenergy_collectors.importers.nvidia.columns import column_name, is_header, parse_header
from tokenergy_collectors.importers.nvidia.dmon import Dmon
from tokenergy_collectors.importers.nvidia.fast import add_chunk
from tokenergy_collectors.importers.nvidia.naming import Name
from tokenergy_collectors.importers.nvidia.readings import Readings
from tokenergy_collectors.importers.nvidia.shapes import (
    DMON,
    WANTED,
    begins_with_stamp,
    shape_of,
)
from tokenergy_collectors.importers.nvidia.splitting import delimiter_of, joined

NO_READING = "no reading"
CUT_OFF = "cut off"
NO_DATE = OUTSIDE

_PIECE_BYTES = 1 << 18
"""Lines that the fast reader leaves are looked for in pieces of this size."""

_HEADER_INSIDE = re.compile(r"(?<=[^\s\"])\s*\"?timestamp\s*[,;\t]", re.IGNORECASE)
"""A header right after a line that was cut off."""


@dataclass(slots=True)
class NvidiaLog:
    """What was read of a log.

    Attributes:
        sections: the readings, by header.
        left_out: what was left out.
        cut_off: whether the last line was left out because it is cut off.
    """

    sections: list[Readings] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)
    cut_off: bool = False

    @property
    def readings(self) -> int:
        """How many lines are readings."""
        return sum(len(section.stamps) + section.unnamed for section in self.sections)


def read_log(
    path: str | Path,
    node: str,
    clock: StampReader,
    progress: Progress | None = None,
    *,
    device: Name | None = None,
    columns: str | None = None,
) -> NvidiaLog:
    """Read and check a whole log.

    Args:
        path: the log.
        node: the host that it was recorded on.
        clock: reads its stamps.
        progress: called now and then with the number of bytes read so far.
        device: the device of a log that has no column for it.
        columns: the names of the columns, separated by commas, in place of headers in the log.

    Raises:
        UserError: the log cannot be used; the message names the line.
    """
    with CsvFile(path, progress, headed=False, strict=False) as file:
        reader = _LogReader(file, node, clock, device, columns)
        for chunk in file.chunks():
            reader.take(chunk)
        if file.tail_text is not None:
            reader.take_tail(file.tail_text)
        reader.check()
    return reader.log


def _pieces(chunk: bytes) -> Iterator[bytes]:
    """Yield a chunk in pieces of whole lines; one line that is odd then delays only its piece."""
    start = 0
    while start < len(chunk):
        # A piece may be a line too long only if that is all of it: then it is not divided again.
        end = chunk.rfind(b"\n", start, start + _PIECE_BYTES) + 1
        end = end or chunk.find(b"\n", start) + 1 or len(chunk)
        yield chunk[start:end]
        start = end


class _LogReader:
    """Reads the lines of one log."""

    def __init__(
        self,
        file: CsvFile,
        node: str,
        clock: StampReader,
        device: Name | None,
        columns: str | None,
    ) -> None:
        self._file, self._node, self._clock, self._device = file, node, clock, device
        self.log = NvidiaLog()
        self.section: Readings | None = None
        self._given = columns is not None
        self._delimiter = ","
        self._dmon: Dmon | None = None
        self._row: list[str] = []
        self._problem: tuple[int, str] | None = None
        if columns is not None:
            self._begin(columns.split(","))

    def take(self, chunk: bytes) -> None:
        """Read whole lines."""
        section = self.section
        # The fast reader knows separators; dmon's columns are in line.
        fast = section is not None and self._dmon is None
        if fast and section and add_chunk(section, chunk, len(section.columns.names)):
            self._file.skip(chunk)
            return
        if section is not None and len(chunk) > _PIECE_BYTES:
            for piece in _pieces(chunk):
                self.take(piece)
            return
        for line in self._file.lines_of(chunk):
            self._line(line)

    def take_tail(self, line: str) -> None:
        """Read a last line without a newline, if it looks whole."""
        section = self.section
        if section is None:
            self._before_header(line)
            return
        cells = self._cells(line)
        if "\0" not in line and (self._names_columns(line) or is_header(cells, first=False)):
            return
        whole = len(cells) == len(section.columns.names) and not (
            self._row and _outline(cells[-1]) != _outline(self._row[-1])
        )
        if not whole:
            self.log.cut_off = True
            return
        try:
            section.add(cells)
        except BadInstantError:
            self._leave_out(NO_DATE, line)
        except BadValueError:
            self.log.cut_off = True

    def check(self) -> None:
        """Refuse a log without readings, or one in which lines that are cut off are the rule.

        Raises:
            BadValueError: it cannot be used.
        """
        left_out = self.log.left_out
        cut = left_out.of(CUT_OFF)
        if self._problem is not None and (not self.log.readings or cut > self.log.readings):
            self._file.line, message = self._problem
            raise BadValueError(message)
        if self.section is None:
            raise BadValueError(f"is empty: expected a log of {WANTED}")
        if not self.log.readings and not left_out.of(NO_DATE):
            raise BadValueError("has no readings: expected lines after the header")

    def _line(self, line: str) -> None:
        if "\0" in line:
            # What stands before the zeros was cut off by them; what follows was written later.
            self._leave_out(NO_READING, line)
            line = line.rpartition("\0")[2]
            if not line.strip():
                return
        inside = _HEADER_INSIDE.search(line) if begins_with_stamp(line) else None
        if inside is not None:
            self._leave_out(CUT_OFF, line[: inside.start()])
            line = line[inside.start() :].lstrip()
        if self.section is None:
            self._before_header(line)
            return
        if self._names_columns(line):
            return
        if self._given and not self._row:
            self._delimiter = self.section.delimiter = delimiter_of(line)
        cells = self._cells(line)
        if is_header(cells, first=False):
            if not self._given and list(map(column_name, cells)) != self.section.columns.names:
                self._begin(cells)
            return
        self._reading(self.section, cells, line)

    def _before_header(self, line: str) -> None:
        """Look for the first header; a log may begin with a line of the driver."""
        shape = shape_of(line)
        if shape == DMON:
            self._dmon = Dmon(line)
            self._begin(self._dmon.names)
            return
        if shape is not None:
            raise BadValueError(f"is {shape}: expected a log of {WANTED}; record that instead")
        if begins_with_stamp(line):
            raise BadValueError(
                f"has no header, but begins with {shown(line)}: expected the names of its "
                "columns: --columns timestamp,index,power.draw"
            )
        self._delimiter = delimiter_of(line)
        cells = self._cells(line)
        if len(cells) > 1 or is_header(cells, first=True):
            self._begin(cells)
            return
        self._leave_out(NO_READING, line)
        self._problem = self._problem or (
            self._file.line,
            f"has no header, but begins with {shown(line)}: expected a log of {WANTED}",
        )

    def _begin(self, names: list[str]) -> None:
        columns = parse_header(names, None if self._device is None else self._device.device_id)
        self.section = Readings(columns, self._node, self._clock, self._device, self._delimiter)
        self.log.sections.append(self.section)
        self._row = []

    def _reading(self, section: Readings, cells: list[str], line: str) -> None:
        """Add a line, or leave it out.

        Raises:
            BadValueError: it is a reading, and cannot be used.
        """
        width = len(section.columns.names)
        if len(cells) == width + 1:
            cells = joined(cells, section.columns)
        dated = begins_with_stamp(cells[min(section.columns.stamp, len(cells) - 1)])
        if len(cells) != width:
            problem = f"{len(cells)} values in {shown(line)}: expected {width}"
            if dated and len(cells) > width:
                raise BadValueError(problem)
            self._problem = self._problem or (self._file.line, problem)
            self._leave_out(CUT_OFF if dated else NO_READING, line)
            return
        try:
            section.add(cells)
            self._row = cells
        except BadInstantError:
            self._leave_out(NO_DATE, line)
        except BadValueError as error:
            if dated:
                raise
            self._problem = self._problem or (self._file.line, str(error))
            self._leave_out(NO_READING, line)

    def _leave_out(self, reason: str, line: str) -> None:
        self.log.left_out.add(reason, self._file.line, line)

    def _names_columns(self, line: str) -> bool:
        """Whether a line is one of dmon's headers, which it repeats; others begin a section."""
        if self._dmon is None or not line.lstrip().startswith("#"):
            return False
        if self._dmon.is_header(line) and self.section is not None:
            names = self._dmon.header(line)
            if list(map(column_name, names)) != self.section.columns.names:
                self._begin(names)
        return True

    def _cells(self, line: str) -> list[str]:
        if self._dmon is not None:
            return self._dmon.cells(line)
        if '"' in line:
            return next(csv.reader([line], delimiter=self._delimiter, skipinitialspace=True), [])
        return [cell.lstrip(" ") for cell in line.split(self._delimiter)]


def _outline(text: str) -> str:
    """Return what is the same in every line: the number of decimals, units, lengths of names."""
    return re.sub(r"\w", "0", re.sub(r"^\d+(?=\D|$)", "", text))
