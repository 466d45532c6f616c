"""One side of a comparison as a file, so that it outlives its lake: as a baseline in CI.

In and out: a JSON object with the rows of `hours.sql`, `blocks.sql` and `cards.sql`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.output import write_text
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.gate.side import Side

FORMAT = 1
"""Number of the format; a file with another one is refused."""

_TEXT, _WHOLE, _BOOL = (str,), (int,), (bool,)
_MAYBE_TEXT, _MAYBE_WHOLE = (str, type(None)), (int, type(None))

COLUMNS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "hours": {
        "job_id": _TEXT, "hour_us": _WHOLE, "model": _MAYBE_TEXT, "gpu": _MAYBE_TEXT,
        "workload": _TEXT, "boards": _WHOLE, "limit_low_mw": _MAYBE_WHOLE,
        "limit_high_mw": _MAYBE_WHOLE, "device_us": _WHOLE, "prompt": _WHOLE, "tokens": _WHOLE,
        "tokens_low": _MAYBE_WHOLE, "tokens_high": _MAYBE_WHOLE, "energy_nj": _MAYBE_WHOLE,
        "left_out": _MAYBE_TEXT, "emulated": _BOOL,
    },
    "blocks": {
        "job_id": _TEXT, "start_us": _WHOLE, "device_us": _WHOLE, "prompt": _WHOLE,
        "tokens": _WHOLE, "energy_nj": _WHOLE, "quantum": _WHOLE,
    },
    "cards": {
        "job_id": _TEXT, "hour_us": _WHOLE, "device_id": _TEXT, "meter": _MAYBE_TEXT,
        "energy_nj": _WHOLE, "device_us": _WHOLE, "plain_nj": _WHOLE, "plain_us": _WHOLE,
        "low_nj": _WHOLE, "high_nj": _WHOLE, "other_nj": _WHOLE,
        "gain_low_ppm": _MAYBE_WHOLE, "gain_high_ppm": _MAYBE_WHOLE,
        "offset_low_mw": _MAYBE_WHOLE, "offset_high_mw": _MAYBE_WHOLE,
    },
}  # fmt: skip
"""Columns of each list of rows, and what their values may be."""

_POSITIVE = {"blocks": ("device_us", "tokens")}


def write_side(side: Side, out: Path) -> int:
    """Write a side to a file; return how many rows it has."""
    rows = {name: [_plain(row) for row in getattr(side, name)] for name in COLUMNS}
    # A line a row: a diff of two baselines shows what differs.
    lists = ",\n".join(
        f"{json.dumps(name)}: [\n" + ",\n".join(json.dumps(one) for one in of) + "\n]"
        for name, of in rows.items()
    )
    head = f'"tokenergy_gate": {FORMAT},\n"selection": {json.dumps(side.text)},\n'
    write_text(f"{{\n{head}{lists}\n}}\n", out)
    return sum(map(len, rows.values()))


def _plain(row: NamedRow) -> dict[str, Any]:
    """Return a row whose numbers are all int: of a HUGEINT some drivers make a Decimal."""
    return {
        key: value if value is None or isinstance(value, str | bool) else int(value)
        for key, value in row.items()
    }


def read_side_file(path: Path, side: str) -> Side:
    """Return a side from a file.

    Raises:
        UserError: it cannot be read, or is no such file; the message says which row is wrong.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"{side} {path}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise UserError(f"{side} {path}: is no JSON; {_WRITTEN}") from None
    if not isinstance(found, dict) or found.get("tokenergy_gate") != FORMAT:
        raise UserError(f'{side} {path}: has no "tokenergy_gate": {FORMAT}; {_WRITTEN}')
    lists = {}
    for name, columns in COLUMNS.items():
        rows = found.get(name)
        if not isinstance(rows, list):
            raise UserError(f"{side} {path}: has no list {name!r}; {_WRITTEN}")
        for number, row in enumerate(rows):
            _require(row, columns, f"{side} {path}: {name}[{number}]")
            for key in _POSITIVE.get(name, ()):
                if row[key] <= 0:
                    raise UserError(f"{side} {path}: {name}[{number}].{key}: expected more than 0")
        lists[name] = rows
    text = found.get("selection")
    return Side(text if isinstance(text, str) else str(path), **lists)


_WRITTEN = "expected a file of `tokenergy gate BASE --export FILE`"


def _require(row: Any, columns: Mapping[str, tuple[type, ...]], where: str) -> None:
    """Refuse a row that lacks a column, or has a value of another type."""
    if not isinstance(row, dict):
        raise UserError(f"{where}: expected an object; {_WRITTEN}")
    for key, types in columns.items():
        if key not in row:
            raise UserError(f"{where}: has no {key!r}; {_WRITTEN}")
        value = row[key]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise UserError(f"{where}.{key}: {value!r} is not what it should be; {_WRITTEN}")
    if (
        "left_out" in columns
        and row["left_out"] is None
        and not (row["energy_nj"] is not None and row["tokens"] > 0 and row["device_us"] > 0)
    ):
        raise UserError(f"{where}: has no energy or no tokens, and no 'left_out'; {_WRITTEN}")
