"""Prefill and decode from the definition, in NumPy: from the seconds of a staged server.

In: a `Server`, its energy and tokens second by second. Out: what the index must say of it. Nothing
here reads the lake or the models; docs/index-definition.md has the rules.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.support.servers import Floats, Server, counted_of, power_of

GAIN = 0.055
"""Error of a meter's gain: boards that are no data centre boards by name."""

QUANTILES = {5: 4.0321, 9: 3.2498, 22: 2.8188, 23: 2.8073}
"""Student's t at 99.5 %, by degrees of freedom, from a printed table."""

BLOCK_S = 300


def window_s(server: Server) -> int:
    """Return the shortest window that holds five times between readings at which counts grow."""
    return next(length for length in (30, 60, 120, 300) if length >= 5 * max(server.late_s - 1, 5))


@dataclass(frozen=True)
class Told:
    """What the index must say: estimates with bounds, J per token, and the base, W."""

    prefill: tuple[float, float, float]
    decode: tuple[float, float, float]
    base_w: float
    residual: float
    bent: bool


def windows(server: Server) -> tuple[Floats, Floats]:
    """Return [time, prompt, generated, energy] of each window, and the start of each.

    The last window ends with the job, where power is not known up to the last microsecond.
    """
    prompt, generated = counted_of(server)
    joules, length_s = power_of(server), window_s(server)
    starts = np.arange(0, server.seconds - length_s, length_s)
    # Across an hour's edge no window goes, and none is lost where a window ends there.
    rows = [
        [length_s, *(column[at : at + length_s].sum() for column in (prompt, generated, joules))]
        for at in starts
    ]
    return np.array(rows, dtype=np.float64), starts.astype(np.float64)


def fitted(rows: Floats) -> Floats:
    """Return base, a and b by least squares."""
    found, *_ = np.linalg.lstsq(rows[:, :3], rows[:, 3], rcond=None)
    return found.astype(np.float64)


def bent(rows: Floats, rates: tuple[float, float]) -> Floats:
    """Return c, a, and the slope of generated tokens at two rates, of a fit with their square."""
    square = rows[:, 2] ** 2 / rows[:, 0]
    design = np.column_stack([rows[:, :3], square])
    _, a, b, c = np.linalg.lstsq(design, rows[:, 3], rcond=None)[0]
    return np.array([c, a, *(b + 2 * c * rate for rate in rates)])


def tell(server: Server) -> Told:
    """Return what the index must say of a server whose windows tell something."""
    rows, starts = windows(server)
    blocks = starts // BLOCK_S
    parts = [blocks != block for block in np.unique(blocks)]
    t = QUANTILES[len(parts) - 1]

    def off(values: list[Floats], value: Floats) -> Floats:
        spread = (len(parts) - 1) / len(parts) * ((np.array(values) - value) ** 2).sum(axis=0)
        found: Floats = t * np.sqrt(spread)
        return found

    flat = fitted(rows)
    flat_off = off([fitted(rows[part]) for part in parts], flat)
    of_hour = 3_600 // window_s(server)
    pairs = [
        rows[k] + rows[k + 1]
        for k in range(0, len(rows) - 1, 2)
        if k // of_hour == (k + 1) // of_hour
    ]
    double = fitted(np.array(pairs))
    low, high = np.minimum(flat, double) - flat_off, np.maximum(flat, double) + flat_off
    rate = rows[:, 2] / rows[:, 0]
    rates = (float(rate.min()), float(rate.max()))
    curve = bent(rows, rates)
    curve_off = off([bent(rows[part], rates) for part in parts], curve)
    is_bent = bool(abs(curve[0]) > curve_off[0])
    if is_bent:
        low[1] = min(low[1], curve[1] - curve_off[1])
        high[1] = max(high[1], curve[1] + curve_off[1])
        low[2] = min(low[2], *(curve[2:] - curve_off[2:]))
        high[2] = max(high[2], *(curve[2:] + curve_off[2:]))
    left = rows[:, 3] - rows[:, :3] @ flat
    residual = float(np.sqrt((left**2).sum() / (len(rows) - 3)) / rows[:, 3].mean())
    prefill, decode = (
        (float(flat[k]), float(low[k]) / (1 + GAIN), float(high[k]) / (1 - GAIN)) for k in (1, 2)
    )
    return Told(prefill, decode, float(flat[0]), residual, is_bent)
