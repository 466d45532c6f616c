"""A site with two jobs whose loads are known, for boundaries, swings and limits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.support.lakes import T0, LakeBuilder, S

RATE_HZ = 10
SECONDS = 600
END = T0 + SECONDS * S


def board(
    builder: LakeBuilder,
    name: str,
    power_mw: Callable[[float], float],
    job: str | None = None,
    *,
    seed: int = 0,
    index: int = 0,
    spacing_us: int = 100_000,
    node: str = "n1",
) -> None:
    """A board at site `s` that draws power_mw(seconds since T0), and the job that holds it."""
    rng = np.random.default_rng(seed)
    count = SECONDS * 1_000_000 // spacing_us
    jitter = rng.integers(-spacing_us // 12, spacing_us // 12 + 1, count)
    stamps = T0 + np.arange(count) * spacing_us + np.where(np.arange(count) > 0, jitter, 0)
    rows = [(int(t), round(power_mw((int(t) - T0) / 1e6))) for t in stamps]
    builder.device(name, index=index, node=node, update_us=spacing_us, site="s", rack="r")
    builder.power(name, [*rows, (END, rows[-1][1])], node=node)
    if job is not None:
        builder.job(job, name, T0, END, node=node)


def sine(mean_mw: float, amplitude_mw: float, hz: float, phase: float = 0.0):  # type: ignore[no-untyped-def]
    return lambda t: mean_mw + amplitude_mw * np.sin(2 * np.pi * hz * t + phase)


def lake_of(folder: Path) -> LakeBuilder:
    return LakeBuilder(folder / "lake")
