"""What an external meter has found of single cards: gain and offset of sensor and counter.

In: `calibration.toml` at the root of a lake. Out: a small table for the models, `calibration`.

    [reference]                       # the meter that the cards were held against
    gain_uncertainty_ppm = 1_000
    offset_uncertainty_mw = 0

    [cards.GPU-5d4f0c1e-0001]         # a device_id
    sensor.gain_ppm = -46_000         # the card tells 4.6 % too little
    sensor.gain_uncertainty_ppm = 3_000
    sensor.offset_mw = -1_200         # and 1.2 W less on top, at any power
    sensor.offset_uncertainty_mw = 200
    counter.gain_ppm = -44_000
    ...

    [boards."NVIDIA A100-SXM4-80GB"]  # all boards of that name that have no table of their own
    ...

A meter that reads P(1 + gain) + offset where P is true is described by both figures. Uncertainties
are limits that the error left is not to pass, not standard deviations. Those of a card are its own;
those of the reference are in all cards alike, those of a board's name in all boards of that name.
The energy that is booked stays the meter's: what is here moves and narrows [low, high].
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.strict import Strict, load_toml

if TYPE_CHECKING:
    import duckdb

NAME = "calibration.toml"
"""A file of this name at the root of a lake is used."""

_MOST_PPM = 200_000
_MOST_MW = 100_000

Scope = Literal["card", "board"]


class Errors(Strict):
    """The errors of one meter of a card. What is not told is not known: there are no defaults."""

    gain_ppm: int = Field(ge=-_MOST_PPM, le=_MOST_PPM)
    gain_uncertainty_ppm: int = Field(ge=0, le=_MOST_PPM)
    offset_mw: int = Field(ge=-_MOST_MW, le=_MOST_MW)
    offset_uncertainty_mw: int = Field(ge=0, le=_MOST_MW)


class Calibrated(Strict):
    """What was found of a card, or of all boards of a name; a meter left out keeps its class."""

    sensor: Errors | None = None
    counter: Errors | None = None


class Reference(Strict):
    """How far the meter that the cards were held against may itself be off."""

    gain_uncertainty_ppm: int = Field(ge=0, le=_MOST_PPM)
    offset_uncertainty_mw: int = Field(ge=0, le=_MOST_MW)


class CalibrationFile(Strict):
    """The whole file."""

    reference: Reference
    cards: dict[str, Calibrated] = Field(default_factory=dict)
    boards: dict[str, Calibrated] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """One meter of a card or of all boards of a name, as the models see it."""

    scope: Scope
    name: str
    meter: str
    gain_ppm: int
    gain_uncertainty_ppm: int
    offset_mw: int
    offset_uncertainty_mw: int
    reference_ppm: int
    reference_mw: int


Calibration = tuple[Row, ...]
"""Sorted, so that the order in a file says nothing."""


def load_calibration(lake_root: Path) -> Calibration:
    """Load the calibration file of a lake; without one nothing is calibrated.

    Raises:
        UserError: the file cannot be read or does not fit.
    """
    path = lake_root / NAME
    if not path.exists():
        return ()
    file = load_toml(path, CalibrationFile)
    for group, scope in (("cards", file.cards), ("boards", file.boards)):
        for name, found in scope.items():
            if found.sensor is None and found.counter is None:
                raise UserError(f"{path}: {group}.{name}: empty; expected sensor, counter or both")
    return calibration_of(file)


def calibration_of(file: CalibrationFile) -> Calibration:
    """Return a file's content as the models see it."""
    return tuple(sorted(_rows(file)))


def _rows(file: CalibrationFile) -> Iterator[Row]:
    scopes: tuple[tuple[Scope, dict[str, Calibrated]], ...] = (
        ("card", file.cards),
        ("board", file.boards),
    )
    for scope, tables in scopes:
        for name, found in tables.items():
            for meter, errors in (("sensor", found.sensor), ("counter", found.counter)):
                if errors is not None:
                    yield Row(
                        scope,
                        name,
                        meter,
                        **errors.model_dump(),
                        reference_ppm=file.reference.gain_uncertainty_ppm,
                        reference_mw=file.reference.offset_uncertainty_mw,
                    )


def create_calibration(con: duckdb.DuckDBPyConnection, calibration: Calibration) -> None:
    """Make the table `calibration`: the fields of `Row`, one row a meter."""
    import pyarrow as pa

    fields = Row.__dataclass_fields__
    texts = {"scope", "name", "meter"}
    schema = pa.schema([(name, pa.string() if name in texts else pa.int64()) for name in fields])
    rows = [{name: getattr(row, name) for name in fields} for row in calibration]
    con.register("incoming_calibration", pa.Table.from_pylist(rows, schema=schema))
    con.execute("CREATE TEMP TABLE calibration AS FROM incoming_calibration")
    con.unregister("incoming_calibration")
