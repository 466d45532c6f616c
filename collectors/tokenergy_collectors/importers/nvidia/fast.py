"""A fast reader for most of an nvidia-smi log, with the same result as the exact reader.

In: a chunk of whole lines. Out: all its readings, added to the `Readings`, or none of them. Arrow
splits the lines and finds the distinct texts of each column; only those are parsed, by the exact
reader's parsers. Anything unusual (a new device, another header, a value that cannot be read)
leaves the chunk to the exact reader, which knows the number of every line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tokenergy_collectors.base.csvfile import BadValueError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from tokenergy_collectors.base.timestamps import StampReader
    from tokenergy_collectors.importers.nvidia.readings import Readings

    Ints = npt.NDArray[np.int64]


def add_chunk(log: Readings, chunk: bytes, width: int) -> bool:
    """Add all readings of a chunk, or none.

    Args:
        log: where to add them.
        chunk: whole lines.
        width: number of columns.

    Returns:
        Whether they were added.
    """
    if not log.known:
        return False
    import pyarrow as pa

    before = log.clock.last_us, log.clock.unsure
    try:
        columns = _split(chunk, width, [place for _, place, _ in log.cells], log)
        stamps = _stamps(columns[log.columns.stamp], log.clock)
        codes = _codes(log, columns, len(stamps))
        values = [_values(columns[place], parsed) for _, place, parsed in log.cells]
    except (BadValueError, pa.ArrowInvalid):
        log.clock.last_us, log.clock.unsure = before
        return False
    log.stamps.frombytes(stamps.tobytes())
    log.codes.frombytes(codes.tobytes())
    for (kept, _, _), column in zip(log.cells, values, strict=True):
        kept.frombytes(column.tobytes())
    return True


def _split(
    chunk: bytes, width: int, places: list[int], log: Readings
) -> dict[int, pa.ChunkedArray]:
    """Return the columns that are used, as dictionaries of texts, by their position in a line."""
    import pyarrow as pa
    from pyarrow import csv

    wanted = sorted({log.columns.stamp, *log.columns.naming.values(), *places})
    table = csv.read_csv(
        pa.BufferReader(chunk),
        read_options=csv.ReadOptions(
            column_names=[str(place) for place in range(width)], block_size=len(chunk)
        ),
        parse_options=csv.ParseOptions(delimiter=log.delimiter),
        convert_options=csv.ConvertOptions(
            include_columns=[str(place) for place in wanted],
            column_types={str(place): pa.dictionary(pa.int32(), pa.string()) for place in wanted},
        ),
    )
    return {place: table[str(place)] for place in wanted}


def _codes(log: Readings, columns: dict[int, pa.ChunkedArray], rows: int) -> Ints:
    """Return for each line the number of its combination of names.

    Raises:
        BadValueError: a combination was not seen before.
    """
    import numpy as np

    mixed = np.zeros(rows, dtype=np.int64)
    texts: list[list[str]] = []
    for place in log.columns.naming.values():
        numbers: dict[str, int] = {}
        column = _values(columns[place], _Numbers(numbers))
        texts.append(list(numbers))
        mixed = mixed * max(len(numbers), 1) + column
    found, inverse = np.unique(mixed, return_inverse=True)
    known = []
    for code in found.tolist():
        names = []
        for column_texts in reversed(texts):
            code, number = divmod(code, max(len(column_texts), 1))
            names.append(column_texts[number])
        key = tuple(reversed(names))
        if key not in log.known:
            raise BadValueError(f"not seen before: {key}")
        known.append(log.known[key])
    return np.array(known, dtype=np.int64)[inverse]


def _values(column: pa.ChunkedArray, parsed: Mapping[str, int]) -> Ints:
    """Return a column's integers, parsing each distinct text once."""
    import numpy as np

    parts = [np.empty(0, dtype=np.int64)]
    for part in column.chunks:
        values = [parsed[text.lstrip(" ")] for text in part.dictionary.to_pylist()]
        parts.append(np.array(values, dtype=np.int64)[part.indices.to_numpy()])
    return np.concatenate(parts)


def _stamps(column: pa.ChunkedArray, clock: StampReader) -> Ints:
    """Return the stamps, parsing each distinct text once.

    Raises:
        BadValueError: one cannot be read, or is in the hour that came twice when the clocks went
            back: then the same text may mean two instants.
    """
    before = clock.ambiguous
    stamps = _values(column, _Stamps(clock))
    if clock.ambiguous != before:
        raise BadValueError("local time that came twice")
    return stamps


class _Numbers(dict[str, int]):
    """Numbers texts, without the spaces around them, as they appear."""

    def __init__(self, numbers: dict[str, int]) -> None:
        self._numbers = numbers

    def __missing__(self, text: str) -> int:
        return self._numbers.setdefault(text.strip(), len(self._numbers))


class _Stamps(dict[str, int]):
    """A clock with the interface of a dictionary."""

    def __init__(self, clock: StampReader) -> None:
        self._clock = clock

    def __missing__(self, text: str) -> int:
        return self._clock.read(text)
