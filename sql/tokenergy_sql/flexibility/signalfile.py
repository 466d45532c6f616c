"""Reads a signal from a CSV file: intervals of carbon intensity or prices.

In: a file with the columns `start`, `end`, `value`, `quantity` and `unit`. Out: a `Signal`. A line
without a value is a hole. One file holds one signal: a second quantity or unit is an error.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from tokenergy_collectors.base.csvfile import BadValueError, CsvFile
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.timestamps import StampReader
from tokenergy_sql.flexibility.signal import BILLION, CARBON_UNIT, QUANTITIES, Quantity, Signal

COLUMNS = ("start", "end", "value", "quantity", "unit")

_CARBON_UNITS = {
    "gCO2e/kWh": Fraction(1),
    "gCO2/kWh": Fraction(1),
    "kgCO2e/MWh": Fraction(1),
    "kgCO2/MWh": Fraction(1),
}


class _Kind(NamedTuple):
    quantity: Quantity
    unit: str
    factor: Fraction


def read_signal_file(path: Path) -> Signal:
    """Return the signal of a file.

    Raises:
        UserError: the file is none of a signal; the message names the line and what was expected.
    """
    rows: dict[int, tuple[int, int | None]] = {}
    kind: _Kind | None = None
    stamps = StampReader()
    with CsvFile(path) as file:
        missing = [name for name in COLUMNS if name not in file.header]
        if missing:
            raise BadValueError(
                f"has no column {missing[0]!r}: expected the columns {', '.join(COLUMNS)}"
            )
        places = {name: file.header.index(name) for name in COLUMNS}
        for row in file.all_rows():
            file.check_width(row)
            cell = {name: row[place].strip() for name, place in places.items()}
            here = _kind(cell["quantity"], cell["unit"])
            if kind not in (None, here):
                raise BadValueError("another quantity or unit than above: expected one a file")
            kind = here
            start_us, end_us = stamps.read(cell["start"]), stamps.read(cell["end"])
            if end_us <= start_us:
                raise BadValueError("the interval does not end after it begins")
            if start_us in rows:
                raise BadValueError(f"{cell['start']}: a second interval begins here")
            rows[start_us] = (end_us, _value(cell["value"], here.factor))
    if kind is None:
        raise UserError(f"{path}: has no intervals: expected lines after the header")
    starts = sorted(rows)
    try:
        return Signal(
            tuple(starts),
            tuple(rows[one][0] for one in starts),
            tuple(rows[one][1] for one in starts),
            kind.quantity,
            kind.unit,
            path.name,
        )
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None


def _kind(quantity: str, unit: str) -> _Kind:
    """Return what a line says that it is of.

    Raises:
        BadValueError: no such quantity, or the unit is none of it.
    """
    found = next((one for one in QUANTITIES if one == quantity), None)
    if found is None:
        raise BadValueError(f"quantity {quantity!r}: expected {', '.join(QUANTITIES)}")
    if found == "price":
        currency, _, per = unit.partition("/")
        if len(currency) == 3 and currency.isupper() and per in ("kWh", "MWh"):
            return _Kind(found, f"{currency}/kWh", Fraction(1, 1000 if per == "MWh" else 1))
        raise BadValueError(f"unit {unit!r} of a price: expected EUR/MWh, USD/kWh or the like")
    if unit not in _CARBON_UNITS:
        raise BadValueError(f"unit {unit!r} of {found}: expected {CARBON_UNIT}")
    return _Kind(found, CARBON_UNIT, _CARBON_UNITS[unit])


def _value(text: str, factor: Fraction) -> int | None:
    """Return a value in billionths of the unit; None for an empty cell.

    Raises:
        BadValueError: it is no number.
    """
    if not text:
        return None
    try:
        return round(Fraction(text) * factor * BILLION)
    except (ValueError, ZeroDivisionError):
        raise BadValueError(f"value {text!r}: expected a number, or nothing for a hole") from None
