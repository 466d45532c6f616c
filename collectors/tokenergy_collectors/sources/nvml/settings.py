"""The configuration keys of the GPUs: how often they are read, and where their node is."""

from __future__ import annotations

from pydantic import Field, field_validator

from tokenergy_collectors.base.strict import Strict


class Place(Strict):
    """Where the node is."""

    site: str | None = Field(default=None, description="The site.", examples=["north"])
    hall: str | None = Field(default=None, description="The hall on the site.", examples=["h1"])
    pod: str | None = Field(default=None, description="The pod in the hall.", examples=["p3"])
    rack: str | None = Field(default=None, description="The rack.", examples=["r17"])


class GpuKeys(Strict):
    """How the GPUs are read."""

    gpus: bool = Field(
        default=True,
        description="Whether this host has GPUs to read; false on one that only reads meters.",
    )
    rate_hz: float | None = Field(
        default=None,
        ge=0.1,
        le=50,
        description=(
            'Power readings per second. "auto", or no key, means twice per shortest update period '
            "learned at start, between 10 and 50; 20 if no period was learned."
        ),
        examples=[20.0],
    )
    counter_every_s: float = Field(
        default=1.0,
        ge=1.0,
        le=60,
        description=(
            "Seconds between two readings of the energy counter; some boards are reported to "
            "under-count when it is read more often."
        ),
    )
    state_every_s: float = Field(
        default=1.0,
        ge=1.0,
        le=60,
        description=(
            "Seconds between two readings of utilization, clock, temperature and clock "
            "event reasons."
        ),
    )
    processes_every_s: float = Field(
        default=5.0,
        ge=3.5,
        le=300,
        description="Seconds between two process lists; each takes a lock in the driver.",
    )
    learn_s: float = Field(
        default=1.5,
        ge=0,
        le=10,
        description=(
            "Seconds at start in which the collector watches each board's power reading to learn "
            "how often it changes; up to twice as long if it hardly changes. 0 turns this off."
        ),
    )
    place: Place = Field(default=Place(), description="Where the node is; all keys are optional.")

    @field_validator("rate_hz", mode="before")
    @classmethod
    def _auto_is_none(cls, rate_hz: object) -> object:
        return None if rate_hz == "auto" else rate_hz
