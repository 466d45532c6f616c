"""The map of an export's columns: a TOML file that its owner writes once.

In: `--map MAP.toml`. Out: a checked `MeterMap`. An unknown key or a bad value is an error of one
line that names the key.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

from pydantic import Field, model_validator

from tokenergy_collectors.base.strict import Strict


class Summer(Strict):
    """A column that says whether summer time holds: it decides the hour that comes twice."""

    column: str = Field(min_length=1)
    yes: tuple[str, ...] = Field(strict=False, min_length=1)
    no: tuple[str, ...] = Field(strict=False, min_length=1)


class MeterMap(Strict):
    """Which column is what.

    Attributes:
        time: column of the stamps.
        format: of the stamps, as for `strptime`; None: Unix seconds or ISO 8601.
        tz: time zone of stamps without an offset.
        offset: column of their offset to UTC, such as +02:00.
        summer: column that says whether summer time holds.
        meter: column of the meters' names, where each line is of one meter.
        value: column of the values then.
        names: meter ids by these names; without it the names are the ids.
        columns: meter ids by column, where each meter has one.
        decimal: what comes before the fraction of a number.
        thousands: what stands between groups of three digits; None: nothing. A space is any space.
        none: texts that mean no reading, in lower case.
    """

    time: str = Field(min_length=1)
    format: str | None = None
    tz: str = "UTC"
    offset: str | None = None
    summer: Summer | None = None
    meter: str | None = None
    value: str | None = None
    names: dict[str, str] = Field(default={})
    columns: dict[str, str] = Field(default={})
    decimal: Literal[".", ","] = "."
    thousands: Literal[".", ",", " ", "'"] | None = None
    none: tuple[str, ...] = Field(default=("", "-", "n/a", "nan", "null"), strict=False)

    @model_validator(mode="after")
    def _is_of_one_form(self) -> MeterMap:
        pair = [self.meter is not None, self.value is not None]
        if any(pair) == bool(self.columns) or any(pair) != all(pair):
            raise ValueError(
                "expected either meter and value (one line per meter) or [columns] (one column "
                "per meter)"
            )
        if self.names and self.columns:
            raise ValueError("names: expected only with meter and value")
        if self.offset is not None and self.summer is not None:
            raise ValueError("offset and summer: expected one of them")
        if self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}")
        ids = Counter([*self.names.values(), *self.columns.values()])
        for meter, count in ids.items():
            if not meter.strip():
                raise ValueError("a meter id is empty")
            # Two registers of one id would be one meter that jumps to and fro.
            if count > 1 and meter in self.columns.values():
                raise ValueError(f"columns: {meter!r} is used twice; expected one column per meter")
        return self
