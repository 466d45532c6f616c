"""Rows as JSON that every reader of RFC 8259 takes: strict, exact, and without a lost column.

In: names and rows as DuckDB returns them. Out: an array of objects. The names of an object are
unique; whole numbers and decimals keep all their digits, as numbers; infinity and NaN, which JSON
has no name for, are null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, TextIO


def write_json(names: Sequence[str], rows: Sequence[Sequence[Any]], out: TextIO) -> None:
    """Write rows as an array of objects, one member a line."""
    keys = [json.dumps(name) for name in unique(names)]
    if not rows or not keys:
        out.write("[]\n")
        return
    for number, row in enumerate(rows):
        members = (f"  {key}: {text(value)}" for key, value in zip(keys, row, strict=True))
        out.write(("[\n" if number == 0 else ",\n") + " {\n" + ",\n".join(members) + "\n }")
    out.write("\n]\n")


def unique(names: Sequence[str]) -> list[str]:
    """Return names of which each occurs once: x, x becomes x, x_2."""
    found: dict[str, None] = {}
    for name in names:
        numbered, number = name, 1
        # A number that a later column has as its own name is left to that.
        while numbered in found or (number > 1 and numbered in names):
            number += 1
            numbered = f"{name}_{number}"
        found[numbered] = None
    return list(found)


def text(value: Any) -> str:
    """Return one value as JSON."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else "null"
    if isinstance(value, Decimal):
        return f"{value:f}" if value.is_finite() else "null"
    if isinstance(value, Mapping):
        return "{" + ", ".join(_members(value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(text(one) for one in value) + "]"
    if isinstance(value, bytes | bytearray):
        return json.dumps("".join(chr(b) if 32 <= b < 127 else f"\\x{b:02X}" for b in value))
    return json.dumps(str(value))


def finite(value: Any) -> Any:
    """Return a document of JSON types with None for the numbers that JSON has no name for."""
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _members(value: Mapping[Any, Any]) -> Iterator[str]:
    keys = unique(["null" if key is None else str(key) for key in value])
    for key, one in zip(keys, value.values(), strict=True):
        yield f"{json.dumps(key)}: {text(one)}"
