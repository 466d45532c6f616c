"""One store for the whole, or one for each part: what pooling saves.

In: the loads of the parts and the limits of the whole. Out: limits for each part that together keep
those of the whole, and the sums. A part gets of the ramp limit what its swing (highest less lowest
cell) is of all swings; of the peak limit it gets its mean and, of what the limit leaves above all
means, the same share. Then the sum of the parts keeps the limits of the whole whatever they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tokenergy_transforms.loadprofile.course import LoadCourse
from tokenergy_transforms.storage.wanted import Limits

Row = dict[str, Any]


def shares(parts: Sequence[LoadCourse], limits: Limits) -> list[Limits]:
    """Return the limits of each part; see the module."""
    loads = [part.energy_nj[part.known] / (part.step_us * 1e3) for part in parts]
    swings = np.array([np.ptp(load) if len(load) else 0.0 for load in loads])
    means = np.array([load.mean() if len(load) else 0.0 for load in loads])
    total = swings.sum()
    share = swings / total if total > 0 else np.full(len(parts), 1 / len(parts))
    found = []
    for part, mean in zip(share.tolist(), means.tolist(), strict=True):
        ramp, peak = limits.ramp_w_s, limits.peak_w
        found.append(
            Limits(
                None if ramp is None else ramp * part,
                None if peak is None else mean + (peak - float(means.sum())) * part,
            )
        )
    return found


def pooled(whole: Row, parts: Sequence[Row]) -> Row:
    """Return the columns that compare the parts with the whole; NULL where one is not known."""
    energy, power = _sum(parts, "optimal_energy_nj"), _sum(parts, "optimal_power_mw")
    return {
        "parts": len(parts),
        "parts_energy_nj": energy,
        "parts_power_mw": power,
        "parts_causal_nj": _sum(parts, "causal_energy_nj"),
        "pooling_energy": _quotient(energy, whole["optimal_energy_nj"]),
        "pooling_power": _quotient(power, whole["optimal_power_mw"]),
    }


def _sum(rows: Sequence[Row], column: str) -> Any:
    values = [row[column] for row in rows]
    return None if None in values else sum(values)


def _quotient(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None
