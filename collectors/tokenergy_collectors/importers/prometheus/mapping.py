"""The mapping file: which metrics and labels of a site are what.

In: a TOML file. Out: `Names`, with the file's own metrics and labels added to the known ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from tokenergy_collectors.base.strict import Strict, load_toml
from tokenergy_collectors.importers.prometheus.names import (
    GAUGES,
    Gauge,
    LabelNames,
    Meaning,
    Names,
)
from tokenergy_collectors.sources.tokens.counters import COUNTERS, Counter, Counters
from tokenergy_collectors.sources.tokens.mapping import Mapping as TokenNames

_FACTORS: dict[str, tuple[Meaning, float]] = {
    "mW": ("power", 1), "W": ("power", 1e3), "kW": ("power", 1e6),
    "mJ": ("energy", 1), "J": ("energy", 1e3), "kJ": ("energy", 1e6), "Wh": ("energy", 3.6e6),
    "kWh": ("energy", 3.6e9),
}  # fmt: skip


class Metric(Strict):
    """A metric that is a board's power or its energy counter."""

    name: str = Field(min_length=1, pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")
    unit: Literal["mW", "W", "kW", "mJ", "J", "kJ", "Wh", "kWh"]
    late_s: float = Field(default=0.0, ge=0, le=3600)
    sensor: Literal["instant", "average_1s", "unknown"] = "unknown"


class Labels(Strict):
    """Which labels name what; each list replaces the known names."""

    device: tuple[str, ...] | None = Field(default=None, strict=False)
    node: tuple[str, ...] | None = Field(default=None, strict=False)
    job: tuple[str, ...] | None = Field(default=None, strict=False)
    model: tuple[str, ...] | None = Field(default=None, strict=False)
    replica: tuple[str, ...] | None = Field(default=None, strict=False)


class Owner(Strict):
    """A job of series that have all of some labels."""

    labels: dict[str, str] = Field(min_length=1)
    job_id: str = Field(min_length=1)
    node: str | None = None
    model: str | None = None


class Mapping(Strict):
    """A mapping file."""

    power: tuple[Metric, ...] = Field(default=(), strict=False)
    tokens: tuple[TokenNames, ...] = Field(default=(), strict=False)
    jobs: tuple[Owner, ...] = Field(default=(), strict=False)
    labels: Labels = Field(default_factory=Labels)

    def names(self) -> Names:
        """Return the known names with those of the file."""
        own = []
        for metric in self.power:
            meaning, factor = _FACTORS[metric.unit]
            # The file says what to use: its metrics come before all known ones.
            own.append(Gauge(metric.name, meaning, factor, metric.name, -1, metric.sensor))
        told = {
            name: value for name, value in self.labels.model_dump().items() if value is not None
        }
        return Names((*GAUGES, *own), LabelNames(**told))

    @property
    def own_counters(self) -> list[Counter]:
        """The counters of tokens that the file names."""
        return [counter for one in self.tokens for counter in one.named]

    @property
    def counters(self) -> Counters:
        """What to look for: all known counters, under their full names, and the file's own."""
        # A bare `generation_tokens_total` in a store could be anybody's.
        return Counters([*COUNTERS, *self.own_counters], bare=False)

    def late_s(self) -> dict[str, float]:
        """Return how old the values of the file's own metrics may be, seconds, by metric."""
        return {metric.name: metric.late_s for metric in self.power}


def read_mapping(path: Path | None) -> Mapping:
    """Read a mapping file; without one, the known names are all.

    Raises:
        UserError: it is missing, is not TOML, or has unknown keys or values.
    """
    return Mapping() if path is None else load_toml(path, Mapping)
