"""Imports recorded values of a server's cumulative token counters.

In: a CSV file with a column `timestamp` and columns named after counters of a known server
(`sources.tokens.counters`). Out: rows of `tokens`. When a total falls, the server has restarted: a
new epoch begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.csvfile import BadValueError, CsvFile
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.timestamps import OUTSIDE, BadInstantError, StampReader
from tokenergy_collectors.importers.result import ImportResult, write_new
from tokenergy_collectors.lake.arrays import to_batch
from tokenergy_collectors.lake.contract import TOKENS
from tokenergy_collectors.lake.paths import escape_node
from tokenergy_collectors.sources.tokens.counters import Role, kinds_of, role_of

if TYPE_CHECKING:
    from tokenergy_collectors.lake import Lake

Reading = tuple[int, dict[Role, int]]
"""A stamp (microseconds UTC) and the values of the counters then."""

_MAX_TOKENS = 2**63 - 1
_MAX_DIGITS = 40


def import_counters(
    lake: Lake,
    path: str | Path,
    node: str,
    job_id: str,
    model: str,
    source_id: str | None = None,
) -> ImportResult:
    """Read a file completely, then add the rows that the lake does not hold yet.

    Args:
        lake: where to write.
        path: the file; stamps without an offset are UTC.
        node: the host that it was recorded on.
        job_id: the job whose tokens the counters count.
        model: model name.
        source_id: source name; `import:JOB` if None.

    Raises:
        UserError: the file cannot be used, and nothing was written; or the lake cannot be written.
    """
    import pyarrow as pa

    escape_node(node)
    for option, text in (("job", job_id), ("model", model), ("source", source_id)):
        if text is not None and not text.strip():
            raise UserError(f"{option} {text!r}: expected a name that is not empty")
    result = ImportResult()
    readings = _read(path, result)
    labels = {
        "source_id": source_id or f"import:{job_id}",
        "node": node,
        "job_id": job_id,
        "model": model,
        "engine": "",
    }
    rows = pa.Table.from_batches([to_batch(_rows(readings, labels), TOKENS.schema())])
    if readings:
        result.first_us, result.last_us = readings[0][0], readings[-1][0]
    write_new(lake, "tokens", rows, node, result, apart_from=["epoch"])
    return result


def count_of(text: str) -> int | None:
    """Return a counter's value; None if the cell is empty or NaN.

    Raises:
        BadValueError: it is not a whole number, or is negative.
    """
    text = text.strip()
    if text.lower() in ("", "nan"):
        return None
    try:
        value = Decimal(text)
        # Check the exponent before making an integer: 1e999999999 would fill the memory.
        small = value.is_finite() and abs(value.adjusted()) < _MAX_DIGITS
        if small and value == int(value) and 0 <= value <= _MAX_TOKENS:
            return int(value)
    except InvalidOperation:
        pass
    raise BadValueError(f"cannot read counter {text[:60]!r}: expected a whole number, 0 or more")


def _read(path: str | Path, result: ImportResult) -> list[Reading]:
    """Return the readings, sorted by time; note skipped columns in the result."""
    clock = StampReader()
    readings: list[Reading] = []
    with CsvFile(path) as file:
        stamp, counters = _find_columns(file.header, result)
        for row in file.rows():
            file.check_width(row)
            try:
                readings.append(_reading(row, clock, stamp, counters))
            except BadInstantError:
                result.left_out.add(OUTSIDE, file.line, ",".join(row))
        if file.tail is not None and not _add_tail(file, readings, clock, stamp, counters):
            result.notes.append("skipped the last line: it is cut off")
        if not any(values for _, values in readings) and not result.left_out.count:
            raise BadValueError("has no readings: expected lines after the header")
    return sorted(readings, key=lambda reading: reading[0])


def _reading(
    row: list[str], clock: StampReader, stamp: int, counters: Mapping[Role, int]
) -> Reading:
    values = {role: count_of(row[place]) for role, place in counters.items()}
    return clock.read(row[stamp]), {role: n for role, n in values.items() if n is not None}


def _add_tail(
    file: CsvFile,
    readings: list[Reading],
    clock: StampReader,
    stamp: int,
    counters: Mapping[Role, int],
) -> bool:
    """Add a last line without a newline unless it is cut off; return whether it was added.

    A total that lost its last digits looks like one that fell, so such a line is skipped.
    """
    if file.tail is None or len(file.tail) != len(file.header):
        return False
    try:
        reading = _reading(file.tail, clock, stamp, counters)
    except BadValueError:
        return False
    before = readings[-1] if readings else reading
    if reading[0] < before[0] or _fell(before[1], reading[1]):
        return False
    readings.append(reading)
    return True


def _find_columns(header: list[str], result: ImportResult) -> tuple[int, dict[Role, int]]:
    """Return the positions of the stamp and of each role's counter in a row."""
    counters: dict[Role, int] = {}
    ignored = []
    for place, name in enumerate(header):
        role = role_of(name)
        if role is None:
            ignored += [name] if name.lower() != "timestamp" else []
        elif role in counters:
            raise BadValueError(
                f"columns {header[counters[role]]!r} and {name!r} both count {role}: expected one"
            )
        else:
            counters[role] = place
    names = [name.lower() for name in header]
    if "timestamp" not in names:
        raise BadValueError(f"has no column timestamp; its columns are {', '.join(header)[:200]}")
    if not counters:
        raise BadValueError(
            f"has no known token counter; its columns are {', '.join(header)[:200]}; expected, "
            "for example, vllm:prompt_tokens_total or generation_tokens_total"
        )
    if ignored:
        result.notes.append(f"skipped columns: {', '.join(ignored)}")
    return names.index("timestamp"), counters


def _fell(before: Mapping[Role, int], now: Mapping[Role, int]) -> bool:
    return any(n < before[role] for role, n in now.items() if role in before)


def _rows(readings: list[Reading], labels: Mapping[str, str]) -> list[tuple[Any, ...]]:
    """Return rows of `tokens`; within an epoch no value falls."""
    roles = {role for _, values in readings for role in values}
    rows = []
    epoch = 0
    seen: dict[Role, int] = {}
    highest: dict[str, int] = {}
    for ts_us, values in readings:
        if _fell(seen, values):
            epoch += 1
            seen, highest = {}, {}
        seen.update(values)
        for kind, value in kinds_of(values, roles).items():
            # A kind may be the difference of two counters. The server reads them one after the
            # other, so the difference may fall for a moment.
            highest[kind] = max(value, highest.get(kind, 0))
            rows.append(
                TOKENS.make_row(**labels, ts_us=ts_us, kind=kind, value=highest[kind], epoch=epoch)
            )
    return rows
