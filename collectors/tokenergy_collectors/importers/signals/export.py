"""Imports one signal from a CSV file.

In: the file, which column is what, and what the signal is: name, quantity, unit. Out: rows of
`signal`, of those intervals whose value or state is not what the lake says already. So a second
import changes nothing, and one with other values is a revision that leaves the earlier rows.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tokenergy_collectors.base.csvfile import BadValueError, CsvFile, Progress
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.meters.mapping import MeterMap
from tokenergy_collectors.importers.meters.numbers import number_in
from tokenergy_collectors.importers.result import ImportResult
from tokenergy_collectors.importers.signals.mapping import SignalMap
from tokenergy_collectors.importers.signals.stamps import Cell, LineError, stamps_of
from tokenergy_collectors.lake.contract import LONGEST_SIGNAL_US, SIGNAL_STATES
from tokenergy_collectors.lake.newsignals import SignalName, append_new
from tokenergy_collectors.lake.paths import escape_node
from tokenergy_collectors.lake.signalunits import CARBON, SignalUnit

if TYPE_CHECKING:
    from tokenergy_collectors.lake import Lake

_SOURCE = "csv"
_BILLION = 1_000_000_000
_HIGH_MG = 2_000_000
"""More CO2 per kWh than any grid's: a coal plant emits half of it."""


@dataclass(frozen=True, slots=True)
class SignalFile:
    """What a file is.

    Attributes:
        path: where it is.
        columns: which column is what.
        tz: time zone of times without an offset.
        unit: of its values.
        step_us: length of its intervals; None: as most rows have it.
    """

    path: Path
    columns: SignalMap
    tz: str
    unit: SignalUnit
    step_us: int | None = None


class _Row(NamedTuple):
    cell: Cell
    until: Cell | None
    value: int | None
    status: str | None


def import_signal(
    lake: Lake,
    file: SignalFile,
    name: SignalName,
    node: str,
    read_us: int,
    progress: Progress | None = None,
) -> ImportResult:
    """Read a file completely, then add what the lake does not say yet.

    Args:
        lake: where to write.
        file: the file.
        name: what its values are of.
        node: where it comes from, in the column `node`.
        read_us: when its values were learnt, microseconds UTC.
        progress: called now and then with the number of bytes read so far.

    Raises:
        UserError: the file cannot be used, or it contradicts what the signal was before, and
            nothing was written; or the lake cannot be written.
    """
    escape_node(node)
    result = ImportResult()
    rows = _read(file, result, progress)
    spans = _spans(file, rows)
    values = [(*span, row.value, row.status) for span, row in zip(spans, rows, strict=True)]
    _check_apart(file, rows, spans)
    if file.unit.quantity in CARBON and any((row.value or 0) > _HIGH_MG for row in rows):
        result.warnings.append(
            f"{file.path}: values above {_HIGH_MG // 1000} gCO2e/kWh: is the unit right?"
        )
    if spans:
        result.first_us, result.last_us = min(spans)[0], max(spans)[0]
    holes = sum(row.value is None for row in rows)
    if holes:
        result.notes.append(f"{holes} of them are holes")
    result.devices = 1
    result.rows["signal"] = len(rows)
    result.files = append_new(lake, name, values, node, _SOURCE, read_us, result.written)
    return result


def _read(file: SignalFile, result: ImportResult, progress: Progress | None) -> list[_Row]:
    """Return the rows of a file.

    Raises:
        UserError: one cannot be used.
    """
    found = file.columns
    numbers = MeterMap(
        time=found.time, meter=found.time, value=found.value,
        decimal=found.decimal, thousands=found.thousands, none=found.none,
    )  # fmt: skip
    rows: list[_Row] = []
    with CsvFile(file.path, progress) as csv:
        at = _places(csv.header, found)
        for row in csv.rows():
            csv.check_width(row)
            decides = row[at["decides"]] if "decides" in at else None
            offset = row[at["offset"]] if "offset" in at else None
            until = row[at["until"]] if "until" in at else None
            rows.append(
                _Row(
                    Cell(csv.line, row[at["time"]], offset, decides),
                    None if until is None else Cell(csv.line, until, offset, decides),
                    _value(row[at["value"]], numbers, file.unit),
                    _status(row[at["status"]]) if "status" in at else None,
                )
            )
        if csv.tail is not None:
            result.notes.append("skipped the last line: it has no end, and may be cut off")
    return rows


def _places(header: list[str], found: SignalMap) -> dict[str, int]:
    names = {
        "time": found.time,
        "value": found.value,
        "until": found.until,
        "offset": found.offset,
        "status": found.status,
        "decides": found.summer.column if found.summer is not None else found.fold,
    }
    places = {}
    for key, name in names.items():
        if name is None:
            continue
        if header.count(name) != 1:
            has = "has no column" if name not in header else "has several columns"
            raise BadValueError(
                f"{has} {name!r}; its columns are {', '.join(header)[:200]}: say which is what "
                "with --column-map time=...,value=..."
            )
        places[key] = header.index(name)
    return places


def _value(text: str, numbers: MeterMap, unit: SignalUnit) -> int | None:
    number = number_in(text, numbers)
    if number is None:
        return None
    try:
        return unit.whole(Fraction(number[0], _BILLION))
    except ValueError as error:
        raise BadValueError(f"value {error}") from None


def _status(text: str) -> str | None:
    status = text.strip().lower()
    if not status:
        return None
    if status not in SIGNAL_STATES:
        raise BadValueError(f"status {text!r}: expected {', '.join(SIGNAL_STATES)} or nothing")
    return status


def _spans(file: SignalFile, rows: Sequence[_Row]) -> list[tuple[int, int]]:
    """Return from when until when each row holds.

    Raises:
        UserError: a time is not clear, or an interval is empty or longer than an hour.
    """
    try:
        starts = stamps_of([row.cell for row in rows], file.columns, file.tz)
        if file.columns.until is not None:
            ends = stamps_of([row.until or row.cell for row in rows], file.columns, file.tz)
        else:
            step_us = file.step_us or _usual_step(file, starts)
            ends = [start + step_us for start in starts]
    except LineError as error:
        raise UserError(f"{file.path}: line {error.line}: {error}") from None
    for row, start, end in zip(rows, starts, ends, strict=True):
        if not 0 < end - start <= LONGEST_SIGNAL_US:
            raise UserError(
                f"{file.path}: line {row.cell.line}: the interval is {(end - start) / 1e6:g} s "
                "long: expected more than 0 and at most an hour"
            )
    return list(zip(starts, ends, strict=True))


def _usual_step(file: SignalFile, starts: Sequence[int]) -> int:
    """Return the time between most rows.

    Raises:
        UserError: there are too few rows to say.
    """
    ordered = sorted({*starts})
    steps = Counter(later - before for before, later in itertools.pairwise(ordered))
    if not steps:
        raise UserError(
            f"{file.path}: one row does not say how long its interval is: give --step, such as 15m"
        )
    return min(steps, key=lambda step: (-steps[step], step))


def _check_apart(file: SignalFile, rows: Sequence[_Row], spans: Sequence[tuple[int, int]]) -> None:
    """Check that no two rows are of the same time.

    Raises:
        UserError: two are.
    """
    order = sorted(range(len(spans)), key=lambda place: spans[place])
    for before, place in itertools.pairwise(order):
        if spans[place][0] < spans[before][1]:
            lines = sorted((rows[before].cell.line, rows[place].cell.line))
            raise UserError(
                f"{file.path}: line {lines[1]}: its interval overlaps that of line {lines[0]}: "
                "expected one value at a time; is --timezone or --step right?"
            )
