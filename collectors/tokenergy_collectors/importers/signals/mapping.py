"""The map of a signal's columns: `time=start,value=price`, or a TOML file with the same keys.

In: `--column-map`. Out: a checked `SignalMap`, or an error of one line that names the key.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.strict import Strict, load_toml
from tokenergy_collectors.importers.meters.mapping import Summer

_SUFFIX = ".toml"
_INLINE = ("time", "value", "until", "offset", "fold", "status", "format", "decimal")


class SignalMap(Strict):
    """Which column is what.

    Attributes:
        time: column of the start of each interval.
        value: column of the values.
        until: column of their ends; None: each interval is as long as most are.
        format: of the times, as for `strptime`; None: Unix seconds or ISO 8601.
        offset: column of the times' offset to UTC, such as +02:00.
        fold: column that says 0 in the first pass of the hour that comes twice and 1 in the second.
        summer: column that says whether summer time holds.
        status: column that says actual, estimated or forecast.
        decimal: what comes before the fraction of a number.
        thousands: what stands between groups of three digits; None: nothing.
        none: texts that mean a hole, in lower case.
    """

    time: str = Field(default="time", min_length=1)
    value: str = Field(default="value", min_length=1)
    until: str | None = None
    format: str | None = None
    offset: str | None = None
    fold: str | None = None
    summer: Summer | None = None
    status: str | None = None
    decimal: Literal[".", ","] = "."
    thousands: Literal[".", ",", " ", "'"] | None = None
    none: tuple[str, ...] = Field(default=("", "-", "n/a", "nan", "null"), strict=False)

    @model_validator(mode="after")
    def _one_decides(self) -> SignalMap:
        if sum(one is not None for one in (self.offset, self.fold, self.summer)) > 1:
            raise ValueError("offset, fold, summer: expected one of them")
        if self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}")
        return self


def column_map(text: str | None) -> SignalMap:
    """Return the map that `--column-map` gives.

    Args:
        text: `key=column` pairs, separated by commas, or the path of a TOML file; None: the columns
            are called time and value.

    Raises:
        UserError: it cannot be read, or a key is not known.
    """
    if text is None:
        return SignalMap()
    if text.endswith(_SUFFIX):
        return load_toml(Path(text), SignalMap)
    pairs: dict[str, str] = {}
    for part in text.split(","):
        key, equals, column = (one.strip() for one in part.partition("="))
        if not equals or key not in _INLINE or not column:
            raise UserError(
                f"--column-map: {part!r}: expected KEY=COLUMN with a key of {', '.join(_INLINE)}; "
                "or a TOML file, for names with a comma and for all keys"
            )
        pairs[key] = column
    try:
        return SignalMap.model_validate(pairs)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UserError(f"--column-map: {key or text}: {first['msg']}") from None
