"""What it would save if jobs that step together did not: their starts shifted by part of a period.

In: amplitude and phase of each job at a common frequency. Out: by how much to delay each. It is a
model: it takes it that a job's steps keep their period and do not depend on when it started.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def delays_s(jobs: Mapping[str, tuple[float, float]], frequency_hz: float) -> dict[str, float]:
    """Return how much later each job would start, in seconds of one period: [0, 1 / f).

    The largest stays. Each further one, the largest first, goes where it works against the sum of
    those before. So the rest is never more than the largest amplitude.

    Args:
        jobs: (amplitude, phase ahead in radians) of each.
        frequency_hz: at which they swing.
    """
    period_s = 1 / frequency_hz
    found: dict[str, float] = {}
    resultant = 0j
    for name, (amplitude, phase) in sorted(jobs.items(), key=lambda one: (-one[1][0], one[0])):
        if abs(resultant) <= 1e-12 * amplitude or not found:
            wanted = phase
        else:
            wanted = float(np.angle(-resultant))
        # A delay of d turns the phase back by 2 pi f d.
        found[name] = ((phase - wanted) / (2 * np.pi) % 1.0) * period_s
        if period_s - found[name] < 1e-9 * period_s:
            found[name] = 0.0
        resultant += amplitude * np.exp(1j * wanted)
    return found


def left_mw(
    jobs: Mapping[str, tuple[float, float]], delays: Mapping[str, float], hz: float
) -> float:
    """Return the amplitude of the sum of all jobs after their delays."""
    turned = (
        amplitude * np.exp(1j * (phase - 2 * np.pi * hz * delays[name]))
        for name, (amplitude, phase) in jobs.items()
    )
    return float(abs(sum(turned)))
