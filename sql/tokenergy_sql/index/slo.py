"""The SLO that the site file declares: how long a request may take.

In: the tables `[slo]` and `[period.slo]`. Out: limits by model, in the units of the models.

    [slo]
    ttft_s = 0.5        # time to first token
    tpot_s = 0.05       # mean time per output token of a request
    [slo.models.llama-3.1-70b]
    tpot_s = 0.1        # another limit for one model
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from tokenergy_collectors.base.strict import Strict

Slo = dict[str, dict[str, int]]
"""Limits by model (empty: of all models) and latency (`ttft`, `tpot`, `e2e`), microseconds."""


class Limits(Strict):
    """Longest latencies of a request within the SLO, seconds; what is not given has no limit."""

    ttft_s: float | None = Field(default=None, gt=0, le=86_400)
    tpot_s: float | None = Field(default=None, gt=0, le=86_400)
    e2e_s: float | None = Field(default=None, gt=0, le=86_400)

    def limits_us(self) -> dict[str, int]:
        """Return the limits that are given, by latency."""
        given = {"ttft": self.ttft_s, "tpot": self.tpot_s, "e2e": self.e2e_s}
        return {kind: round(s * 1e6) for kind, s in given.items() if s is not None}


class SloDeclared(Limits):
    """Limits of all models, and others of some."""

    models: dict[str, Limits] = Field(default_factory=dict)

    def by_model(self) -> Slo:
        """Return the limits by model."""
        found = {"": self.limits_us(), **{m: one.limits_us() for m, one in self.models.items()}}
        return {model: limits for model, limits in found.items() if limits}


def merged(slo: Slo, other: Slo) -> Slo:
    """Return limits with those of another SLO in their place, latency by latency."""
    return {
        model: dict(sorted({**slo.get(model, {}), **other.get(model, {})}.items()))
        for model in sorted({*slo, *other})
    }


def named(slo: Slo) -> Iterator[tuple[str, int]]:
    """Yield each limit under its name in the site file."""
    for model, limits in slo.items():
        table = f"slo.models.{model}" if model else "slo"
        for kind, limit_us in limits.items():
            yield f"{table}.{kind}_s", limit_us
