"""A profile of limits: what a grid operator or vendor allows, as a TOML file.

In: the file. Out: its limits, in mW and microseconds. No utility's limits are public enough to ship
some; each site writes down its own.

    [[limit]]
    name = "our contract, 4.2"       # yours; it is printed
    kind = "ramp"                    # ramp, dynamic_range, band_rms or peak
    horizon = ["1s", "10s"]          # ramp: over how long; one result for each
    value = 250
    unit = "kW"                      # W, kW, MW, or percent of the mean load
    boundary = "it"                  # boards, it or connection
    min_coverage = 0.98              # how much must be known before it can pass
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.strict import Strict, load_toml
from tokenergy_transforms.cuts import parse_window
from tokenergy_transforms.loadprofile.loadcourse import Boundary

Kind = Literal["ramp", "dynamic_range", "band_rms", "peak"]
Unit = Literal["W", "kW", "MW", "percent"]
Direction = Literal["up", "down", "both"]

_MW_PER = {"W": 1e3, "kW": 1e6, "MW": 1e9}
LEAST_PERIODS = 4
"""A window must hold so many periods of the lowest frequency of its band."""

_OWN_KEYS: dict[str, tuple[str, ...]] = {
    "ramp": ("horizon", "direction"),
    "dynamic_range": ("average",),
    "band_rms": ("low_hz", "high_hz", "window"),
    "peak": ("average",),
}


class LimitKeys(Strict):
    """One `[[limit]]`."""

    name: str = Field(min_length=1)
    kind: Kind
    value: float = Field(gt=0)
    unit: Unit
    boundary: Boundary = "boards"
    min_coverage: float = Field(default=0.95, ge=0, le=1)
    horizon: str | list[str] | None = None
    direction: Direction | None = None
    average: str | None = None
    low_hz: float | None = Field(default=None, gt=0)
    high_hz: float | None = Field(default=None, gt=0)
    window: str | None = None

    @model_validator(mode="after")
    def _fits_kind(self) -> LimitKeys:
        own = _OWN_KEYS[self.kind]
        for key in sorted({key for keys in _OWN_KEYS.values() for key in keys}):
            if getattr(self, key) is not None and key not in own:
                raise ValueError(f"{self.name}: {key} is no key of kind {self.kind}")
        if self.kind == "ramp" and not self.horizon:
            raise ValueError(f'{self.name}: expected a horizon, such as horizon = ["1s", "10s"]')
        edges = (self.low_hz, self.high_hz)
        if self.kind == "band_rms" and (None in edges or (self.low_hz or 0) >= (self.high_hz or 0)):
            raise ValueError(f"{self.name}: expected low_hz below high_hz")
        return self


class LimitsFile(Strict):
    """The whole file."""

    limit: list[LimitKeys] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit, in the units of the product.

    Attributes:
        name: as the file has it.
        kind: what is limited.
        value: the limit in mW; or a share of the mean load if `relative`.
        relative: whether it is a share.
        unit: as the file has it.
        boundary: which load.
        min_coverage: share of cells that must be known for a pass.
        horizon_us: of a ramp.
        direction: of a ramp.
        average_us: of a peak or a range: over how long power is averaged; None: over a cell.
        band_hz: of a band.
        window_us: in which the rms of a band is taken.
    """

    name: str
    kind: Kind
    value: float
    relative: bool
    unit: Unit
    boundary: Boundary
    min_coverage: float
    horizon_us: int | None = None
    direction: Direction = "both"
    average_us: int | None = None
    band_hz: tuple[float, float] | None = None
    window_us: int = 60_000_000

    @property
    def what(self) -> str:
        """What is limited, in words: `ramp 1 s`, `rms 0.1-2.5 Hz`."""
        if self.horizon_us is not None:
            sides = "" if self.direction == "both" else f" {self.direction}"
            return f"ramp{sides} {self.horizon_us / 1e6:g} s"
        if self.band_hz is not None:
            return f"rms {self.band_hz[0]:g}-{self.band_hz[1]:g} Hz"
        over = f" of {self.average_us / 1e6:g} s" if self.average_us else ""
        return f"{self.kind.replace('_', ' ')}{over}"


def load_limits(path: Path) -> list[Limit]:
    """Return the limits of a file, a ramp once for each horizon.

    Raises:
        UserError: the file cannot be read or does not fit; in one line.
    """
    file = load_toml(path, LimitsFile)
    return [limit for keys in file.limit for limit in _limits(keys, path)]


def _limits(keys: LimitKeys, path: Path) -> Iterator[Limit]:
    relative = keys.unit == "percent"
    value = keys.value / 100 if keys.unit == "percent" else keys.value * _MW_PER[keys.unit]
    horizons: Sequence[str | None] = keys.horizon or [None]
    if isinstance(keys.horizon, str):
        horizons = [keys.horizon]
    window_us = _duration(path, keys, keys.window) or 60_000_000
    band = None
    if keys.low_hz is not None and keys.high_hz is not None:
        band = (keys.low_hz, keys.high_hz)
        least_s = LEAST_PERIODS / keys.low_hz
        if window_us < least_s * 1e6:
            raise UserError(
                f"{path}: {keys.name}: a window of {window_us / 1e6:g} s is too short for "
                f"{keys.low_hz:g} Hz; expected at least {math.ceil(least_s)} s"
            )
    for horizon in horizons:
        yield Limit(
            keys.name,
            keys.kind,
            value,
            relative,
            keys.unit,
            keys.boundary,
            keys.min_coverage,
            _duration(path, keys, horizon),
            keys.direction or "both",
            _duration(path, keys, keys.average),
            band,
            window_us,
        )


def _duration(path: Path, keys: LimitKeys, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_window(text)
    except UserError:
        raise UserError(
            f"{path}: {keys.name}: {text!r}: expected a duration that divides an hour, such as "
            "100ms, 1s or 10m"
        ) from None
