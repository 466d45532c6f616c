"""What a table of the contract is made of, and the constants that tables share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pyarrow as pa


Type = Literal["int16", "int32", "int64", "int128", "float64", "string", "bool", "list<int32>"]
Layer = Literal["raw", "derived"]

HOUR_US = 3_600_000_000
"""One hour in microseconds: the size of a partition."""

WHOLE_PPM = 1_000_000
"""The share of a device that one job holds alone, in parts per million."""

TOKEN_KINDS = ("prompt_computed", "prompt_cached", "prompt_external", "generated", "trained")
ACCOUNTS = ("active", "resident_idle", "free_idle", "unattributed", "gap")

IMPLAUSIBLE_SENSOR = "implausible"
"""What `power.sensor` says of a reading that is not recorded: more than the board can draw."""

BOUNDS = {
    "power_mw": (0, 2**31 - 1),
    "gap_limit_us": (1, 600_000_000),
    "share_ppm": (1, WHOLE_PPM),
}
"""Allowed values: within them the integer integration cannot overflow, and a share is a share."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    type: Type
    meaning: str
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the contract.

    Attributes:
        name: its name, and that of its folder in a lake.
        layer: raw tables are collected, derived ones are worked out from them.
        row: what one row is, in words.
        columns: its columns, in order.
        sort: the columns by which the rows of a file are sorted.
        time: the column that says which hour a row belongs to.
    """

    name: str
    layer: Layer
    row: str
    columns: tuple[Column, ...]
    sort: tuple[str, ...]
    time: str
    _schemas: list[Any] = field(
        default_factory=list, init=False, repr=False, compare=False, hash=False
    )
    """The schema, once it was asked for: every file that is opened is compared with it."""

    @property
    def column_names(self) -> list[str]:
        """The column names, in order."""
        return [column.name for column in self.columns]

    def make_row(self, **values: Any) -> tuple[Any, ...]:
        """Return one row, in the order of the columns, from values given by name.

        A nullable column may be left out: it is NULL.

        Raises:
            TypeError: a name is not a column of the table, or a column that may not be NULL has no
                value. Both are mistakes of the caller, not of the data.
        """
        cells = tuple([values.pop(column.name, None) for column in self.columns])
        if values:
            raise TypeError(f"{self.name} has no column {', '.join(values)}")
        if None in cells:
            empty = [
                column.name
                for column, cell in zip(self.columns, cells, strict=True)
                if cell is None and not column.nullable
            ]
            if empty:
                raise TypeError(f"{self.name}.{empty[0]} needs a value")
        return cells

    def as_dict(self, row: tuple[Any, ...]) -> dict[str, Any]:
        """Return a row's values by column name: what `make_row` was given."""
        return dict(zip(self.column_names, row, strict=True))

    def schema(self) -> pa.Schema:
        """Return the Arrow schema of the table."""
        if not self._schemas:
            self._schemas.append(_schema_of(self.columns))
        found: pa.Schema = self._schemas[0]
        return found


def _schema_of(columns: tuple[Column, ...]) -> pa.Schema:
    import pyarrow as pa

    types = {
        "int16": pa.int16(),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "int128": pa.decimal128(38, 0),
        "float64": pa.float64(),
        "string": pa.string(),
        "bool": pa.bool_(),
        "list<int32>": pa.list_(pa.int32()),
    }
    return pa.schema([pa.field(c.name, types[c.type], nullable=c.nullable) for c in columns])


def col(name: str, type_: Type, meaning: str) -> Column:
    """Return a column that always has a value."""
    return Column(name, type_, meaning)


def nullable(name: str, type_: Type, meaning: str) -> Column:
    """Return a column that may be NULL."""
    return Column(name, type_, meaning, nullable=True)
