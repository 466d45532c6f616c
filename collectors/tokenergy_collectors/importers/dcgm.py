"""Imports what `dcgmi dmon` prints, with a stamp before each line.

In: such a file. Out: rows of `power`, `device` and `state`.

    dcgmi dmon -e 155,156,203 -d 1000 | ts '%FT%.T%z' >> power.txt

dcgmi itself prints no stamps; `ts` of moreutils puts them there. It prints what the host engine
read last, so a value is up to one delay (`-d`) older than its stamp: `device.stamp_step_us` and
`counter_us` carry that. The numbers of boards are taken for their indexes: DCGM numbers them in the
order of NVML. Source: dcgmi/DeviceMonitor.cpp and dcgmlib/src/dcgm_fields.cpp of NVIDIA/DCGM 4.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tokenergy_collectors.base.csvfile import BadValueError, CsvFile, Progress
from tokenergy_collectors.base.leftout import shown
from tokenergy_collectors.base.timestamps import BadInstantError, StampReader
from tokenergy_collectors.importers.prometheus.boards import Board, Name, spacing_us
from tokenergy_collectors.importers.prometheus.names import Gauge
from tokenergy_collectors.importers.prometheus.power import Power, power_of
from tokenergy_collectors.importers.prometheus.samples import Samples
from tokenergy_collectors.importers.prometheus.writing import Writer
from tokenergy_collectors.importers.result import ImportResult
from tokenergy_collectors.lake.paths import escape_node

if TYPE_CHECKING:
    from tokenergy_collectors.lake import Lake

WANTED = "dcgmi dmon -e 155,156 -d 1000 | ts '%FT%.T%z'"
"""A command that writes a log as it is wanted."""

NO_READING, CUT_OFF = "no reading", "cut off"
INSTANCE = "an instance or another part, whose board has the power"

_DCGM = "dcgm"
_FIELDS = {
    gauge.metric: gauge
    for gauge in (
        Gauge("POWINST", "power", 1e3, _DCGM, 0, "instant"),
        Gauge("POWER", "power", 1e3, _DCGM, 1),
        Gauge("TOTEC", "energy", 1.0, _DCGM),
        Gauge("PMLMT", "limit", 1e3, _DCGM),
        Gauge("GPUTL", "sm_util", 1.0, _DCGM),
        Gauge("MCUTL", "mem_util", 1.0, _DCGM),
        Gauge("SMCLK", "sm_mhz", 1.0, _DCGM),
        Gauge("TMPTR", "temp_c", 1.0, _DCGM),
    )
}
"""DCGM's short names of fields."""

_DELAY_US = 1_000_000
"""dcgmi's own delay, for a log too short to show its."""

_HEADER = re.compile(r"#\s*Entity\b")
_UNITS = re.compile(r"(?:.*\s)?ID(?:\s|$)")
_ROW = re.compile(
    r"(?P<stamp>.*?)\s*\b(?P<entity>v?GPU(?:-C?I)?|Switch|CPU|Core|Link)\s+(?P<id>\d+)\s"
)


@dataclass(slots=True)
class _Log:
    """What was read: for each board and field its stamps (us UTC) and values."""

    result: ImportResult = field(default_factory=ImportResult)
    found: dict[tuple[int, str], tuple[array[int], array[float]]] = field(default_factory=dict)
    lines: int = 0


def import_dcgm(
    lake: Lake, path: str | Path, node: str, tz: str = "UTC", progress: Progress | None = None
) -> ImportResult:
    """Read a log completely, then add the rows that the lake does not hold yet.

    Args:
        lake: where to write.
        path: the log.
        node: the host that it was recorded on.
        tz: time zone of stamps without an offset.
        progress: called now and then with the number of bytes read so far.

    Raises:
        UserError: the log cannot be used, and nothing was written; or the lake cannot be written.
    """
    escape_node(node)
    clock = StampReader(tz)
    log = _Log()
    with CsvFile(path, progress, headed=False, strict=False) as file:
        _read(file, clock, log)
    result = log.result
    boards = [(board, power_of(board, late)) for board, late in _boards(log, node)]
    late_s = {_DCGM: max((power.late_us for _, power in boards), default=0) / 1e6}
    Writer(lake, result).boards(boards, late_s)
    _describe(result, boards, log.lines)
    return result


def _read(file: CsvFile, clock: StampReader, log: _Log) -> None:
    """Read all lines.

    Raises:
        BadValueError: the log has no header, no power or no stamps; the message says what to do.
    """
    fields: list[str] | None = None
    for chunk in file.chunks():
        for line in file.lines_of(chunk):
            if header := _HEADER.search(line):
                fields = _fields(line[header.end() :])
            elif fields is None:
                raise BadValueError(
                    f"has no header, but begins with {shown(line)}: expected a log of {WANTED}"
                )
            else:
                _add(log, clock, fields, line, file.line)
    if fields is None:
        raise BadValueError(f"is empty: expected a log of {WANTED}")
    if file.tail_text:
        # dcgmi ends every line that it completes.
        log.result.left_out.add(CUT_OFF, file.line + 1, file.tail_text)
    if not log.lines:
        raise BadValueError("has no readings: expected lines such as `GPU 0  78.125  1234567`")


def _fields(text: str) -> list[str]:
    """Return the names of the fields of a header.

    Raises:
        BadValueError: neither power nor energy is among them.
    """
    names = text.split()
    if not {"POWER", "POWINST", "TOTEC"} & {*names}:
        raise BadValueError(
            f"has neither power (field 155) nor energy (156), but {', '.join(names) or 'nothing'}: "
            f"record {WANTED}"
        )
    return names


def _add(log: _Log, clock: StampReader, fields: list[str], line: str, number: int) -> None:
    """Add the values of a line, or leave it out.

    Raises:
        BadValueError: it has no stamp.
    """
    row = _ROW.match(line)
    if row is None:
        if not _UNITS.match(line):
            log.result.left_out.add(NO_READING, number, line)
        return
    if row["entity"] != "GPU":
        log.result.left_out.add(INSTANCE, number, line)
        return
    cells = line[row.end() :].split()
    if len(cells) != len(fields):
        log.result.left_out.add(CUT_OFF, number, line)
        return
    try:
        ts_us = clock.read(row["stamp"].strip())
    except BadInstantError as error:
        log.result.left_out.add(str(error), number, line)
        return
    except BadValueError as error:
        raise BadValueError(_unstamped(row["stamp"], error)) from None
    log.lines += 1
    for name, cell in zip(fields, cells, strict=True):
        if name in _FIELDS and (value := _number(cell)) is not None:
            stamps, values = log.found.setdefault((int(row["id"]), name), (array("q"), array("d")))
            stamps.append(ts_us)
            values.append(value)


def _unstamped(stamp: str, error: BadValueError) -> str:
    if not stamp.strip():
        return f"has no stamps: dcgmi prints none. Record it through ts: {WANTED}"
    return f"{error}; record it with {WANTED}"


def _number(cell: str) -> float | None:
    """Return a value; None for N/A and what else is no number."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _boards(log: _Log, node: str) -> list[tuple[Board, dict[str, float]]]:
    """Return the boards, and for each how late its values may be, in seconds."""
    found = []
    for number in sorted({number for number, _ in log.found}):
        series = [
            (_FIELDS[name], _samples(name, stamps, values))
            for (of, name), (stamps, values) in sorted(log.found.items())
            if of == number
        ]
        board = Board(Name(node, f"{node}/{number}", number), series)
        found.append((board, {_DCGM: (spacing_us(board.stamps()) or _DELAY_US) / 1e6}))
    return found


def _samples(name: str, stamps: array[int], values: array[float]) -> Samples:
    """Return a series in the order of its stamps; of one stamp, the last value."""
    ts_us = np.array(stamps, dtype=np.int64)[::-1]
    ts_us, last = np.unique(ts_us, return_index=True)
    return Samples(name, {}, ts_us, np.array(values, dtype=np.float64)[::-1][last])


def _describe(result: ImportResult, boards: list[tuple[Board, Power]], lines: int) -> None:
    stamps = [power.rows["ts_us"].to_numpy() for _, power in boards if power.rows.num_rows]
    result.devices = len(boards)
    if stamps:
        result.first_us = min(int(one.min()) for one in stamps)
        result.last_us = max(int(one.max()) for one in stamps)
    if repeated := lines - sum(map(len, stamps)):
        result.notes.append(
            f"skipped lines without power, or that repeat what was read before: {repeated}"
        )
