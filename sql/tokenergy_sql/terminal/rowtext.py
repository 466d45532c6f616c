"""Rows of any result for other programs: JSON, CSV and Parquet, exact.

In: names and rows. Out: text, or a Parquet table. No number is rounded.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TextIO

from tokenergy_sql.terminal import jsontext

if TYPE_CHECKING:
    import pyarrow as pa

_LEAST, _MOST = -(2**63), 2**63 - 1


def write_rows(
    names: Sequence[str], rows: Sequence[Sequence[Any]], output_format: str, out: TextIO
) -> None:
    """Write rows as `csv`, or as `json`: an array of objects."""
    if output_format == "json":
        jsontext.write_json(names, rows, out)
        return
    writer = csv.writer(out, lineterminator="\n")
    if names:
        writer.writerow(names)
    writer.writerows(rows)


def arrow_table(
    names: Sequence[str], rows: Sequence[Sequence[Any]], schema: pa.Schema | None = None
) -> pa.Table:
    """Return rows as an Arrow table; names that occur twice are numbered, as in JSON.

    Args:
        names: of the columns.
        rows: values in their order; lists and objects become JSON text.
        schema: types by name, where they are known; others follow from the values.
    """
    import pyarrow as pa

    columns = {}
    for place, name in enumerate(jsontext.unique(names)):
        known = None if schema is None or name not in schema.names else schema.field(name).type
        values = [row[place] for row in rows]
        columns[name] = pa.array(values, known) if known is not None else _array(values)
    return pa.table(columns)


def _array(values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    plain = [jsontext.text(v) if isinstance(v, Mapping | list | tuple) else v for v in values]
    there = [value for value in plain if value is not None]
    if not there:
        return pa.array(plain, pa.string())  # a column of nulls alone, which all readers take
    if any(isinstance(value, float) for value in there) and not _text(there):
        return pa.array([None if value is None else float(value) for value in plain], pa.float64())
    if any(isinstance(value, Decimal) or _is_long(value) for value in there) and not _text(there):
        return pa.array([None if value is None else Decimal(value) for value in plain])
    if _text(there):
        return pa.array([None if value is None else str(value) for value in plain], pa.string())
    return pa.array(plain)


def _text(values: Sequence[Any]) -> bool:
    return any(not isinstance(value, int | float | Decimal) for value in values)


def _is_long(value: Any) -> bool:
    return isinstance(value, int) and not _LEAST <= value <= _MOST
