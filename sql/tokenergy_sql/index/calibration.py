"""Calibration of single cards against an external meter: gain and offset of sensor and counter.

In: `calibration.toml` at the root of a lake. Out: a small table for the models, `calibration`.

    [reference]                       # the meter that the cards were compared with
    gain_uncertainty_ppm = 1_000
    offset_uncertainty_mw = 0

    [cards.GPU-5d4f0c1e-0001]         # a device_id
    sensor.gain_ppm = -46_000         # the card reads 4.6 % too low
    sensor.gain_uncertainty_ppm = 3_000
    sensor.offset_mw = -1_200         # and another 1.2 W too low, at any power
    sensor.offset_uncertainty_mw = 200
    counter.gain_ppm = -44_000
    ...

    [boards."NVIDIA A100-SXM4-80GB"]  # all boards of that name without a table of their own
    ...

A meter reads P (1 + gain) + offset where P is the true power. Uncertainties are limits of the
remaining error, not standard deviations: enter three times a standard uncertainty. Those of a card
are its own; those of the reference are the same in all cards, those of a board's name in all boards
of that name. Booked energy stays what the meter shows: a calibration moves and narrows [low, high].
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
"""Name of the file, at the root of a lake."""

_MOST_PPM = 200_000
_MOST_MW = 100_000

Scope = Literal["card", "board"]


class Errors(Strict):
    """The errors of one meter of a card; all of them are required."""

    gain_ppm: int = Field(ge=-_MOST_PPM, le=_MOST_PPM)
    gain_uncertainty_ppm: int = Field(ge=0, le=_MOST_PPM)
    offset_mw: int = Field(ge=-_MOST_MW, le=_MOST_MW)
    offset_uncertainty_mw: int = Field(ge=0, le=_MOST_MW)


class Calibrated(Strict):
    """A calibrated card, or all boards of a name; a meter left out keeps its class."""

    sensor: Errors | None = None
    counter: Errors | None = None


class Reference(Strict):
    """How far off the meter that the cards were compared with may be."""

    gain_uncertainty_ppm: int = Field(ge=0, le=_MOST_PPM)
    offset_uncertainty_mw: int = Field(ge=0, le=_MOST_MW)


class CalibrationFile(Strict):
    """The whole file."""

    reference: Reference
    cards: dict[str, Calibrated] = Field(default_factory=dict)
    boards: dict[str, Calibrated] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """One meter of a card or of all boards of a name: a row of the table `calibration`."""

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
"""Sorted, so that the order in a file does not matter."""


def load_calibration(lake_root: Path) -> Calibration:
    """Load the calibration file of a lake; without one no card is calibrated.

    Raises:
        UserError: the file cannot be read or is invalid.
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
    """Return the content of a file as rows for the models."""
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
    """Create the table `calibration`: the fields of `Row`, one row a meter."""
    import pyarrow as pa

    fields = Row.__dataclass_fields__
    texts = {"scope", "name", "meter"}
    schema = pa.schema([(name, pa.string() if name in texts else pa.int64()) for name in fields])
    rows = [{name: getattr(row, name) for name in fields} for row in calibration]
    con.register("incoming_calibration", pa.Table.from_pylist(rows, schema=schema))
    con.execute("CREATE TEMP TABLE calibration AS FROM incoming_calibration")
    con.unregister("incoming_calibration")
