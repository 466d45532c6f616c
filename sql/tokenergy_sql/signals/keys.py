"""The table `[[signal]]` of the site file: which signal serves which purpose, as it is written."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tokenergy_sql.places.dated import Dated, Name, misfit

PURPOSES = ("carbon", "price", "renewable", "cfe")
"""What a job's energy is multiplied with; each is the key of a signal's name."""


class SignalKeys(Dated):
    """Which signals hold for a time, and what else the figures need."""

    carbon: Name | None = None
    kind: Literal["average", "marginal"] | None = None
    price: Name | None = None
    renewable: Name | None = None
    cfe: Name | None = None
    contracted: Name | None = None
    contracted_kw: float | None = Field(default=None, ge=0, le=100_000_000)
    embodied_g_per_gpu_hour: float | None = Field(default=None, ge=0, le=1_000_000)

    @property
    def all_names(self) -> list[str]:
        """Return the keys that the entry gives."""
        keys = (*PURPOSES, "contracted", "contracted_kw", "embodied_g_per_gpu_hour")
        found = [key for key in keys if getattr(self, key) is not None]
        # A contract is a signal or a constant, at one time only one of them.
        return sorted({key.removesuffix("_kw") for key in found})

    @model_validator(mode="after")
    def _fits(self) -> SignalKeys:
        if (self.carbon is None) != (self.kind is None):
            raise misfit(
                "carbon, kind",
                'expected both: kind = "average" (what the grid emits) or "marginal" (what one '
                "kWh more would add); they answer different questions and are never mixed",
            )
        if self.contracted is not None and self.contracted_kw is not None:
            raise misfit("contracted, contracted_kw", "expected one of them")
        if not self.all_names:
            raise misfit("signal", "expected carbon, price, renewable, cfe or contracted")
        return self
