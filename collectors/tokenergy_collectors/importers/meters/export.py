"""Imports readings of facility meters from a CSV file.

In: the file, and the map of its columns. Out: rows of `meter`: the numbers as they are printed,
without unit and scale, as of a register.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tokenergy_collectors.base.csvfile import BadValueError, CsvFile, Progress
from tokenergy_collectors.base.strict import load_toml
from tokenergy_collectors.base.timestamps import OUTSIDE, BadInstantError
from tokenergy_collectors.importers.meters.mapping import MeterMap
from tokenergy_collectors.importers.meters.numbers import number_in
from tokenergy_collectors.importers.meters.times import Stamps
from tokenergy_collectors.importers.result import ImportResult, write_new
from tokenergy_collectors.lake.arrays import to_batch
from tokenergy_collectors.lake.contract import METER
from tokenergy_collectors.lake.paths import escape_node, hour_of

if TYPE_CHECKING:
    from tokenergy_collectors.lake import Lake

_SOURCE = "csv"
_MOST_SHOWN = 5


class _Reading(NamedTuple):
    value_n: int
    line: int


_Readings = dict[tuple[str, int], _Reading]
"""By meter id and stamp (us UTC)."""


def import_meters(
    lake: Lake,
    path: str | Path,
    map_path: str | Path,
    node: str,
    progress: Progress | None = None,
) -> ImportResult:
    """Read a file completely, then add the rows that the lake does not hold yet.

    Args:
        lake: where to write.
        path: the file.
        map_path: the map of its columns (TOML).
        node: where it comes from, in the column `node`.
        progress: called now and then with the number of bytes read so far.

    Raises:
        UserError: the map or the file cannot be used, and nothing was written; or the lake cannot
            be written.
    """
    import pyarrow as pa

    escape_node(node)
    found = load_toml(Path(map_path), MeterMap)
    result = ImportResult()
    readings: _Readings = {}
    steps: dict[str, int] = {}
    _read(Path(path), found, readings, steps, result, progress)
    rows = [
        METER.make_row(
            ts_us=ts_us,
            meter_id=meter,
            node=node,
            source=_SOURCE,
            value_n=reading.value_n,
            resolution_n=steps[meter],
        )
        for (meter, ts_us), reading in sorted(readings.items())
    ]
    result.devices = len(steps)
    if rows:
        stamps = [ts_us for _, ts_us in readings]
        result.first_us, result.last_us = min(stamps), max(stamps)
    _warn_of_others(lake, readings, result)
    table = pa.Table.from_batches([to_batch(rows, METER.schema())])
    # A file that has grown may show a finer step of the readings that are there already.
    write_new(lake, "meter", table, node, result, apart_from=["resolution_n"])
    return result


def _warn_of_others(lake: Lake, readings: _Readings, result: ImportResult) -> None:
    """Warn of readings that the lake has with another value, from whatever node."""
    hours = sorted({hour_of(ts_us) for _, ts_us in readings})
    old = lake.read("meter", hours, columns=["meter_id", "ts_us", "value_n"])
    columns = (old[name].to_pylist() for name in ("meter_id", "ts_us", "value_n"))
    others = [
        (meter, ts_us)
        for meter, ts_us, value_n in zip(*columns, strict=True)
        if (found := readings.get((meter, ts_us))) is not None and found.value_n != value_n
    ]
    if others:
        meter, ts_us = min(others)
        line = readings[meter, ts_us].line
        result.warnings.append(
            f"the lake has other values at {len(others)} of these times, such as {meter!r} in line "
            f"{line}: both are kept"
        )


def _read(
    path: Path,
    found: MeterMap,
    readings: _Readings,
    steps: dict[str, int],
    result: ImportResult,
    progress: Progress | None,
) -> None:
    """Fill in the readings of a file, and the finest step in which each meter's are printed."""
    stamps = Stamps(found)
    with CsvFile(path, progress) as file:
        place = _Places(file.header)
        time = place(found.time)
        offset = None if found.offset is None else place(found.offset)
        summer = None if found.summer is None else place(found.summer.column)
        cells_of = _cells(found, place)
        unnamed: dict[str, None] = {}
        for row in file.rows():
            file.check_width(row)
            try:
                ts_us = stamps.read(
                    row[time],
                    None if offset is None else row[offset],
                    None if summer is None else row[summer],
                )
            except BadInstantError:
                result.left_out.add(OUTSIDE, file.line, ",".join(row))
                continue
            for meter, cell in cells_of(row):
                if meter is None:
                    unnamed[row[place(found.meter or "")].strip()] = None
                elif (number := number_in(cell, found)) is not None:
                    _keep(readings, (meter, ts_us), _Reading(number[0], file.line))
                    steps[meter] = min(number[1], steps.get(meter, number[1]))
        if file.tail is not None:
            result.notes.append("skipped the last line: it has no end, and may be cut off")
        if unnamed:
            shown = ", ".join([*unnamed][:_MOST_SHOWN])
            more = len(unnamed) - _MOST_SHOWN
            also = f" and {more} more" if more > 0 else ""
            result.notes.append(f"skipped meters that names does not have: {shown}{also}")


class _Places:
    """Looks up the columns of a file by name."""

    def __init__(self, header: list[str]) -> None:
        self._header = header

    def __call__(self, name: str) -> int:
        """Return the place of a column.

        Raises:
            BadValueError: the file has no such column, or two.
        """
        count = self._header.count(name)
        if count == 1:
            return self._header.index(name)
        has = "has no column" if not count else f"has {count} columns"
        raise BadValueError(f"{has} {name!r}; its columns are {', '.join(self._header)[:200]}")


_Cells = Callable[[list[str]], Iterator[tuple[str | None, str]]]
"""Yields the meter ids and cells of a row; a meter that is not wanted has no id."""


def _cells(found: MeterMap, place: _Places) -> _Cells:
    if found.meter is None or found.value is None:
        columns = [(meter, place(name)) for name, meter in found.columns.items()]
        return lambda row: ((meter, row[at]) for meter, at in columns)
    meter_at, value_at = place(found.meter), place(found.value)

    def one(row: list[str]) -> Iterator[tuple[str | None, str]]:
        name = row[meter_at].strip()
        if not name:
            raise BadValueError(f"has no name in column {found.meter!r}")
        yield (found.names.get(name) if found.names else name), row[value_at]

    return one


def _keep(readings: _Readings, key: tuple[str, int], reading: _Reading) -> None:
    """Keep a reading; the same one twice counts once.

    Raises:
        BadValueError: the meter has another value at the same time.
    """
    first = readings.setdefault(key, reading)
    if first.value_n != reading.value_n:
        raise BadValueError(
            f"{key[0]!r} has another value at the time of line {first.line}: expected one"
        )
