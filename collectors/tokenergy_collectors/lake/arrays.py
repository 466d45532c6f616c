"""Arrow arrays from Python values, without pandas.

In: a sequence of Python values and an Arrow type of the contract. Out: an Arrow array.

`pyarrow.array` and `pyarrow.scalar` import pandas wherever it is installed, as on most GPU hosts.
That costs the daemon 60 MB and most of a second, so arrays are built from buffers here.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_CODES = {"bool": "b", "int16": "h", "int32": "i", "int64": "q", "double": "d"}
"""Type codes of `array`, which raises for a number that does not fit instead of truncating it."""


def column(values: Sequence[Any], type_: pa.DataType) -> pa.Array:
    """Return values as an Arrow array; None becomes NULL.

    Args:
        values: numbers, booleans, texts or lists of integers, to match the type.
        type_: bool, int16, int32, int64, decimal128 of whole numbers, float64, string, or a list of
            such integers.

    Raises:
        TypeError: a value is of another type.
        OverflowError: a number does not fit the type.
        UnicodeEncodeError: a text is not valid Unicode.
    """
    import pyarrow as pa

    valid, missing = _validity(values)
    if str(type_) in _CODES:
        numbers = values if not missing else [0 if value is None else value for value in values]
        return pa.Array.from_buffers(
            type_, len(values), [valid, _numbers(str(type_), numbers)], missing
        )
    if pa.types.is_decimal128(type_):
        content = b"".join(_wide(0 if value is None else value, type_) for value in values)
        return pa.Array.from_buffers(type_, len(values), [valid, pa.py_buffer(content)], missing)
    if pa.types.is_list(type_):
        lists = [value or () for value in values]
        child = column(list(chain.from_iterable(lists)), type_.value_type)
        return pa.Array.from_buffers(
            type_, len(values), [valid, _offsets(map(len, lists))], missing, children=[child]
        )
    texts = values if not missing else ["" if value is None else value for value in values]
    content, lengths = _encoded(texts)
    return pa.Array.from_buffers(type_, len(values), [valid, _offsets(lengths), content], missing)


def scalar(value: int) -> pa.Scalar:
    """Return a 64-bit integer as an Arrow scalar."""
    import pyarrow as pa

    return column([value], pa.int64())[0]


def to_batch(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    """Return rows as a record batch.

    Args:
        rows: tuples in the order of the schema's columns, as `Table.make_row` returns them.
        schema: the table's schema.

    Raises:
        TypeError, OverflowError, UnicodeEncodeError: as `column`.
        ValueError: the rows are of different lengths.
    """
    import pyarrow as pa

    if not rows:
        # Also of types that `column` does not know.
        return pa.RecordBatch.from_arrays([pa.nulls(0, f.type) for f in schema], schema=schema)
    values = zip(*rows, strict=True)
    columns = [column(found, field.type) for found, field in zip(values, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _encoded(texts: Sequence[str]) -> tuple[pa.Buffer, Iterable[int]]:
    """Return the texts joined in UTF-8, and the number of bytes of each."""
    import pyarrow as pa

    joined = "".join(texts)
    if joined.isascii():  # one byte a character: no need to encode each text
        return pa.py_buffer(joined.encode()), map(len, texts)
    encoded = [text.encode() for text in texts]
    return pa.py_buffer(b"".join(encoded)), map(len, encoded)


def _numbers(type_: str, numbers: Sequence[Any]) -> pa.Buffer:
    import pyarrow as pa

    found = array(_CODES[type_], numbers)
    return _bits(found) if type_ == "bool" else pa.py_buffer(found)


def _wide(value: Any, type_: pa.DataType) -> bytes:
    """Return a whole number in the 16 bytes of a decimal without a fraction."""
    if type(value) is not int:
        raise TypeError(f"{value!r}: expected a whole number")
    if abs(value) >= 10**type_.precision:
        raise OverflowError(f"{value} has more than {type_.precision} digits")
    return value.to_bytes(16, "little", signed=True)


def _offsets(lengths: Iterable[int]) -> pa.Buffer:
    import pyarrow as pa

    return pa.py_buffer(array("i", accumulate(lengths, initial=0)))


def _validity(values: Sequence[Any]) -> tuple[pa.Buffer | None, int]:
    """Return Arrow's validity bitmap (None if all are valid) and the number of missing values."""
    missing = values.count(None)
    return (_bits([value is not None for value in values]) if missing else None), missing


def _bits(flags: Sequence[Any]) -> pa.Buffer:
    """Return flags as a bitmap, the first in the lowest bit."""
    import numpy as np
    import pyarrow as pa

    return pa.py_buffer(np.packbits(np.array(flags, dtype=bool), bitorder="little").tobytes())


def digest_of(rows: pa.Table) -> str:
    """Return the SHA-256 of a table's rows, whatever its chunks are."""
    import pyarrow as pa

    digest = _Digest()
    # A year of allocations has 20 MB: to take new memory for them takes longer than the digest.
    with pa.PythonFile(digest, "w") as sink, pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows.combine_chunks())
    return digest.sha256.hexdigest()


class _Digest:
    """A file that keeps nothing but a digest of what is written to it."""

    closed = False

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        self.sha256.update(data)
        return len(data)

    def flush(self) -> None:
        """Keep nothing back: there is nothing to do."""

    def close(self) -> None:
        """Keep nothing open: there is nothing to do."""
