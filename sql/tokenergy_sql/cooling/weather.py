"""A year of weather from the user's own file: EnergyPlus EPW, or NREL's TMY3 as CSV.

In: a file with a row an hour. Out: dry and wet bulb of each hour. What a file marks as missing is
left out and counted; nothing is filled in, but for pressure: where it is missing, that of the
standard atmosphere at the station's elevation holds.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.cooling.laws import Floats
from tokenergy_sql.cooling.moistair import standard_pressure_pa, wet_bulb_c
from tokenergy_sql.cooling.plant import Outdoors

_EXPECTED = "expected an EPW file or a TMY3 CSV file"


class _Column(NamedTuple):
    """A column: its place or its heading, what makes it SI, and what it may be; else missing."""

    at: int | str
    factor: float
    least: float
    most: float


_EPW = {
    "dry_c": _Column(6, 1.0, -90.0, 70.0),
    "dew_c": _Column(7, 1.0, -90.0, 70.0),
    "humidity": _Column(8, 0.01, 0.0, 1.1),
    "pressure_pa": _Column(9, 1.0, 31_000.0, 120_000.0),
}
"""Columns of EPW (EnergyPlus, Auxiliary Programs): 99.9, 999 and 999999 mean missing."""
_EPW_HEAD = 8

_TMY3 = {
    "dry_c": _Column("Dry-bulb (C)", 1.0, -90.0, 70.0),
    "dew_c": _Column("Dew-point (C)", 1.0, -90.0, 70.0),
    "humidity": _Column("RHum (%)", 0.01, 0.0, 1.1),
    "pressure_pa": _Column("Pressure (mbar)", 100.0, 31_000.0, 120_000.0),
}
"""Columns of TMY3 (NREL/TP-581-43156): -9900 means missing."""
_TMY3_HEAD = 2


@dataclass(frozen=True, slots=True, eq=False)
class Weather:
    """Weather by hour.

    Attributes:
        name: of the station, as the file has it.
        outdoors: of the hours that are known.
        left_out: hours of which the file does not have the dry bulb or the humidity.
    """

    name: str
    outdoors: Outdoors
    left_out: int

    @property
    def hours(self) -> int:
        """Return how many hours are known."""
        return len(self.outdoors.dry_c)


def load_weather(path: Path) -> Weather:
    """Read a weather file.

    Raises:
        UserError: it cannot be read, is no such file, or no hour of it is known.
    """
    try:
        # Names of stations are in whatever encoding; the numbers are ASCII in all of them.
        with path.open(encoding="utf-8", errors="replace", newline="") as handle:
            rows = [row for row in csv.reader(handle) if row]
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except csv.Error as error:
        raise UserError(f"{path}: {error}; {_EXPECTED}") from None
    if rows and rows[0][0].strip().upper() == "LOCATION":
        name, elevation, head, columns = rows[0][1:2], rows[0][9:10], _EPW_HEAD, _EPW
        places = {key: int(column.at) for key, column in columns.items()}
    elif len(rows) > 1 and _TMY3["dry_c"].at in rows[1]:
        name, elevation, head, columns = rows[0][1:2], rows[0][6:7], _TMY3_HEAD, _TMY3
        places = {key: _place(path, rows[1], str(column.at)) for key, column in columns.items()}
    else:
        raise UserError(f"{path}: {_EXPECTED}")
    values = {
        key: _values(path, rows[head:], head, places[key], column)
        for key, column in columns.items()
    }
    return _weather(path, " ".join(name).strip(), _number(elevation), values)


def _place(path: Path, headings: Sequence[str], heading: str) -> int:
    if heading not in headings:
        raise UserError(f"{path}: has no column {heading!r}; {_EXPECTED}")
    return headings.index(heading)


def _values(
    path: Path, rows: Sequence[Sequence[str]], head: int, place: int, column: _Column
) -> Floats:
    """Return a column in SI units (n,); NaN where it is missing."""
    try:
        found = np.array([float(row[place]) for row in rows], np.float64) * column.factor
    except (IndexError, ValueError):
        at = next(n for n, row in enumerate(rows) if not _is_number(row[place : place + 1]))
        raise UserError(
            f"{path}: row {at + head + 1}: expected a number in column {place + 1}"
        ) from None
    return np.where((found >= column.least) & (found <= column.most), found, np.nan)


def _is_number(cells: Sequence[str]) -> bool:
    return not math.isnan(_number(cells))


def _number(cells: Sequence[str]) -> float:
    try:
        return float(cells[0])
    except (IndexError, ValueError):
        return math.nan


def _weather(path: Path, name: str, elevation_m: float, values: dict[str, Floats]) -> Weather:
    pressure = values["pressure_pa"]
    if math.isfinite(elevation_m):
        pressure = np.where(np.isnan(pressure), standard_pressure_pa(elevation_m), pressure)
    wet = wet_bulb_c(values["dry_c"], values["humidity"], values["dew_c"], pressure)
    known = np.isfinite(values["dry_c"]) & np.isfinite(wet)
    if not known.any():
        raise UserError(f"{path}: no hour has a dry bulb and a humidity; {_EXPECTED}")
    outdoors = Outdoors(values["dry_c"][known], wet[known])
    return Weather(name or path.name, outdoors, int((~known).sum()))
