"""A fast reader for most of an nvidia-smi log, with the same result as the exact reader.

In: a chunk of whole lines. Out: all its readings, added to the `Readings`, or none of them. Arrow
splits the lines and finds the distinct texts of each column; only those are parsed, by the exact
reader's parsers. Anything unusual (a new device, a repeated header, a value that cannot be read)
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


def add_chunk(log: Readings, chunk: bytes, width: int) -> bool:
    """Add all readings of a chunk, or none.

    Args:
        log: where to add them.
        chunk: whole lines.
        width: number of columns.

    Returns:
        Whether they were added.
    """
    if not log.devices.ids:
        return False
    import pyarrow as pa

    before_us = log.clock.last_us
    try:
        columns = _split(chunk, width, [place for _, place, _ in log.cells], log)
        stamps = _stamps(columns[log.columns.stamp], log.clock)
        codes = _values(columns[log.columns.device], log.devices)
        values = [_values(columns[place], parsed) for _, place, parsed in log.cells]
    except (BadValueError, pa.ArrowInvalid):
        log.clock.last_us = before_us
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

    wanted = sorted({log.columns.stamp, log.columns.device, *places})
    table = csv.read_csv(
        pa.BufferReader(chunk),
        read_options=csv.ReadOptions(
            column_names=[str(place) for place in range(width)], block_size=len(chunk)
        ),
        convert_options=csv.ConvertOptions(
            include_columns=[str(place) for place in wanted],
            column_types={str(place): pa.dictionary(pa.int32(), pa.string()) for place in wanted},
        ),
    )
    return {place: table[str(place)] for place in wanted}


def _values(column: pa.ChunkedArray, parsed: Mapping[str, int]) -> npt.NDArray[np.int64]:
    """Return a column's integers, parsing each distinct text once."""
    import numpy as np

    parts = [np.empty(0, dtype=np.int64)]
    for part in column.chunks:
        try:
            values = [parsed[text.lstrip(" ")] for text in part.dictionary.to_pylist()]
        except KeyError as error:
            raise BadValueError(f"not seen before: {error}") from None
        parts.append(np.array(values, dtype=np.int64)[part.indices.to_numpy()])
    return np.concatenate(parts)


def _stamps(column: pa.ChunkedArray, clock: StampReader) -> npt.NDArray[np.int64]:
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


class _Stamps(dict[str, int]):
    """A clock with the interface of a dictionary."""

    def __init__(self, clock: StampReader) -> None:
        self._clock = clock

    def __missing__(self, text: str) -> int:
        return self._clock.read(text)
