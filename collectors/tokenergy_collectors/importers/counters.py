"""Imports recorded values of a server's cumulative token counters.

In: a CSV file with a column `timestamp`, columns named after counters of a known server
(`sources.tokens.counters`), and columns that are labels (`counterfile.py`). Out: rows of `tokens`,
one counter a series.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.csvfile import BadValueError, CsvFile
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.timestamps import OUTSIDE, BadInstantError, StampReader
from tokenergy_collectors.importers.counterdoubts import of_cluster, of_copies
from tokenergy_collectors.importers.counterfile import Layout, count_of, quantum_of
from tokenergy_collectors.importers.result import ImportResult, write_new
from tokenergy_collectors.lake.arrays import to_batch
from tokenergy_collectors.lake.contract import TOKENS
from tokenergy_collectors.lake.jobkey import checked_cluster
from tokenergy_collectors.lake.paths import escape_node
from tokenergy_collectors.sources.tokens.counters import Counter, Role
from tokenergy_collectors.sources.tokens.epochs import Epochs
from tokenergy_collectors.sources.tokens.kinds import Value, preferred, values_of
from tokenergy_collectors.sources.tokens.page import Series, labels_text

if TYPE_CHECKING:
    from tokenergy_collectors.lake import Lake

_FALLS = 4
"""One fall in so many steps: more are not those of a server that restarts now and then."""


@dataclass(slots=True)
class _Reading:
    """One line: its number, its stamp and its series; `text` are its labels."""

    line: int
    ts_us: int
    text: str
    series: list[Series]


def import_counters(
    lake: Lake,
    path: str | Path,
    node: str,
    job_id: str,
    model: str,
    source_id: str | None = None,
    cluster: str | None = None,
) -> ImportResult:
    """Read a file completely, then add the rows that the lake does not hold yet.

    Args:
        lake: where to write.
        path: the file; stamps without an offset are UTC.
        node: the host that it was recorded on.
        job_id: the job whose tokens the counters count.
        model: model name, where the file does not name it.
        source_id: source name; `import:JOB` if None.
        cluster: the cluster that the job's id belongs to.

    Raises:
        UserError: the file cannot be used, and nothing was written; or the lake cannot be written.
    """
    import pyarrow as pa

    escape_node(node)
    for option, text in (("job", job_id), ("model", model), ("source", source_id)):
        if text is not None and not text.strip():
            raise UserError(f"{option} {text!r}: expected a name that is not empty")
    try:
        named = {"cluster": checked_cluster(cluster)}
    except ValueError as error:
        raise UserError(str(error)) from None
    result = ImportResult()
    readings = _read(path, result)
    same = {"source_id": source_id or f"import:{job_id}", "node": node, "job_id": job_id, **named}
    rows = list(_rows(readings, same, model))
    _note_falls(rows, result)
    table = pa.Table.from_batches([to_batch(rows, TOKENS.schema())])
    if readings:
        result.first_us, result.last_us = readings[0].ts_us, readings[-1].ts_us
    result.warnings += of_cluster(lake, job_id, named["cluster"])
    result.warnings += of_copies(lake, table.to_pylist())
    write_new(lake, "tokens", table, node, result, apart_from=["epoch"])
    return result


def _read(path: str | Path, result: ImportResult) -> list[_Reading]:
    """Return the readings, sorted by time; note skipped columns in the result."""
    clock = StampReader()
    rows: list[tuple[int, int, list[str]]] = []
    with CsvFile(path) as file:
        layout = Layout.of(file.header)
        for row in file.rows():
            file.check_width(row)
            for column in layout.counters:
                count_of(row[column.place])
            try:
                rows.append((file.line, clock.read(row[layout.stamp]), row))
            except BadInstantError:
                result.left_out.add(OUTSIDE, file.line, ",".join(row))
        skipped = layout.name_series((ts_us, row) for _, ts_us, row in rows)
        if skipped:
            result.notes.append(f"skipped columns: {', '.join(skipped)}")
        tail = _tail(file, clock, layout, rows[-1][1] if rows else None)
        readings = _readings(layout, rows + tail)
        if file.tail is not None and (not tail or _is_cut_off(readings)):
            readings = readings[: len(readings) - len(tail)]
            result.notes.append("skipped the last line: it is cut off")
        if not any(reading.series for reading in readings) and not result.left_out.count:
            raise BadValueError("has no readings: expected lines after the header")
        readings.sort(key=lambda reading: reading.ts_us)
        _refuse_two_values(readings)
    return readings


def _readings(layout: Layout, rows: list[tuple[int, int, list[str]]]) -> list[_Reading]:
    steps = {
        column.place: quantum_of(row[column.place] for _, _, row in rows)
        for column in layout.counters
    }
    found = []
    for line, ts_us, row in rows:
        labels = layout.labels_in(row)
        series = []
        for column in layout.counters:
            value = count_of(row[column.place])
            if value is not None:
                step = steps[column.place].get(row[column.place].strip(), 1)
                own = {**labels, **column.labels}
                metric = column.name.partition("{")[0].strip()
                series.append(Series(column.counter, metric, own, value, step))
        found.append(_Reading(line, ts_us, labels_text(labels), series))
    return found


def _tail(
    file: CsvFile, clock: StampReader, layout: Layout, last_us: int | None
) -> list[tuple[int, int, list[str]]]:
    """Return a last line without a newline as a row, unless it cannot be one."""
    row = file.tail
    if row is None or len(row) != len(file.header):
        return []
    try:
        ts_us = clock.read(row[layout.stamp])
        for column in layout.counters:
            count_of(row[column.place])
    except BadValueError:
        return []
    return [(file.line, ts_us, row)] if last_us is None or ts_us >= last_us else []


def _is_cut_off(readings: list[_Reading]) -> bool:
    """Return whether the last line's totals fell: one that lost its last digits looks so."""
    *before, last = readings
    for one in last.series:
        for reading in reversed(before):
            same = [s for s in reading.series if (s.metric, s.labels) == (one.metric, one.labels)]
            if same:
                if one.value < same[0].value:
                    return True
                break
    return False


def _refuse_two_values(readings: list[_Reading]) -> None:
    """Refuse two different values of one series at one stamp.

    Raises:
        BadValueError: there are such values; names stamp, series and both lines.
    """
    seen: dict[tuple[int, str, str], tuple[int, int]] = {}
    for reading in readings:
        for one in reading.series:
            key = (reading.ts_us, one.metric, labels_text(one.labels))
            line, value = seen.setdefault(key, (reading.line, one.value))
            if value != one.value:
                raise BadValueError(
                    f"{one.metric} is {value} in line {line} and {one.value} in line "
                    f"{reading.line}, at the same time: expected one value; if these lines are of "
                    "several servers, name each in a column instance"
                )


def _rows(readings: list[_Reading], same: dict[str, Any], model: str) -> Iterator[tuple[Any, ...]]:
    """Yield rows of `tokens`."""
    roles: dict[tuple[str | None, str], set[Role]] = {}
    counters: dict[tuple[str | None, str], set[Counter]] = {}
    for one in (one for reading in readings for one in reading.series):
        roles.setdefault((one.model, one.engine), set()).add(one.counter.role)
        counters.setdefault((one.model, one.engine), set()).add(one.counter)
    epochs = Epochs()
    for reading in readings:
        by_engine: dict[tuple[str | None, str], list[Series]] = {}
        for one in reading.series:
            by_engine.setdefault((one.model, one.engine), []).append(one)
        for engine, found in by_engine.items():
            for value in values_of(preferred(found, counters[engine]), roles[engine]):
                yield _row(reading.ts_us, value, engine, epochs, model, same)


def _row(
    ts_us: int,
    value: Value,
    engine: tuple[str | None, str],
    epochs: Epochs,
    model: str,
    same: dict[str, Any],
) -> tuple[Any, ...]:
    epoch, count = epochs.follow(value)
    return TOKENS.make_row(
        ts_us=ts_us, model=engine[0] or model, engine=engine[1], kind=value.kind, value=count,
        epoch=epoch, metric=value.metric, series=value.series, quantum=value.quantum, **same,
    )  # fmt: skip


def _note_falls(rows: list[tuple[Any, ...]], result: ImportResult) -> None:
    """Note values that fall so often that they cannot be those of a counter."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for row in map(TOKENS.as_dict, rows):
        key = (row["kind"], row["metric"], row["series"], row["model"])
        found.setdefault(key, []).append(row["value"])
    for (_, metric, *_), values in found.items():
        falls = sum(now < before for before, now in pairwise(values))
        if falls * _FALLS > len(values) - 1:
            result.notes.append(
                f"{metric} falls in {falls} of {len(values) - 1} steps: expected totals that only "
                "grow; numbers of single requests or intervals give wrong tokens"
            )
            return
