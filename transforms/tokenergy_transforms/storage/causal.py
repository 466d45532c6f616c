"""A rule that runs a store without knowing the future, and what it does with stores of any size.

The rule, cell by cell. y is the charge above its mark (negative: below it), R the ramp limit, and
the grid gave g before:

    wish   = P - sign(y) min(|y| / (2 settle), sqrt(2 R |y|))
    g      = g + min(2 step / settle, 1) (wish - g), but at most R step away from g
    g      = g, but at most the peak limit or, without one, the highest load so far, and at least
             0 or, with feed-in, the lowest load so far
    b      = g - P, but within the power of the store and what its charge allows
    grid   = P + b: what the grid must give; a limit that this breaks was not kept

It smooths the load over about `settle` and brings the charge back to its mark as fast, never with
more power than it can take back at the ramp limit before the charge is there. It knows the loads up
to the present cell. Two settings are chosen on the recording, as who sets up a store does: `settle`,
and the grid power at the start (the first load, or the mean).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, prange

from tokenergy_transforms.storage.program import F64
from tokenergy_transforms.storage.wanted import Limits, Store

_NO_LIMIT = 1e300
_SETTLES = 16
_NEAR = 1.01


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule with its settings; limits are None where they are not asked for.

    Attributes:
        step_s: length of a cell.
        limits: what it aims at.
        store: the efficiencies.
        settle_s: time over which it smooths.
        first_w: grid power before the first cell.
    """

    step_s: float
    limits: Limits
    store: Store
    settle_s: float
    first_w: float

    def numbers(self) -> tuple[float, ...]:
        """Return what the kernels need."""
        ramp, peak = self.limits.ramp_w_s, self.limits.peak_w
        return (
            self.step_s,
            _NO_LIMIT if ramp is None else ramp,
            _NO_LIMIT if peak is None else peak,
            self.store.charge,
            self.store.discharge,
            self.settle_s,
            self.first_w,
        )


@dataclass(frozen=True, slots=True)
class Causal:
    """What the rule needs of a store that has no limits of its own, and what it did.

    Attributes:
        energy_j: range of the charge, plus what is owed or left at the end.
        power_w: most power taken or given.
        start_share: the mark / energy.
        owed_j: charge at the start less that at the end.
        grid_w: float64[N].
        rule: the rule with the settings that need least.
    """

    energy_j: float
    power_w: float
    start_share: float
    owed_j: float
    grid_w: F64
    rule: Rule


@dataclass(frozen=True, slots=True)
class Swept:
    """What the rule reaches with stores of given sizes: arrays of one entry a size.

    Attributes:
        ramp_w_s: steepest change of grid power from cell to cell.
        peak_w: highest grid power.
    """

    ramp_w_s: F64
    peak_w: F64


def needed(load_w: F64, step_s: float, limits: Limits, store: Store) -> Causal:
    """Return what the rule needs, with the settings for which it needs least energy.

    A plan that ends with charge owed is no cheaper than one that does not: what is owed counts as
    energy. So of a store without losses the optimum is never above `energy_j`.
    """
    span_s = max(len(load_w) * step_s / 4, step_s)
    settles = np.geomspace(2 * step_s, max(span_s, 4 * step_s), _SETTLES)
    firsts = sorted({float(load_w[0]), float(load_w.mean())})
    rules = [Rule(step_s, limits, store, float(s), first) for s in settles for first in firsts]
    found = np.array([_tried(load_w, rule) for rule in rules])
    near = np.flatnonzero(found[:, 0] <= found[:, 0].min() * _NEAR)
    return run(load_w, rules[near[np.argmin(found[near, 1])]])


def _tried(load_w: F64, rule: Rule) -> tuple[float, float]:
    low, high, end, power = _free(load_w, *rule.numbers(), np.empty(0), np.empty(0))
    return high - low + abs(end), power


def run(load_w: F64, rule: Rule) -> Causal:
    """Return what the rule needs and does with the settings it has."""
    grid, course = np.empty(len(load_w)), np.empty(len(load_w) + 1)
    low, high, end, power = _free(load_w, *rule.numbers(), grid, course)
    energy = high - low + abs(end)
    share = (-low + max(-end, 0.0)) / energy if energy > 0 else 0.5
    return Causal(energy, power, min(share, 1.0), -end, grid, rule)


def sweep(load_w: F64, rule: Rule, sizes: tuple[F64, F64], start_share: float) -> Swept:
    """Return what grid power does behind stores of given sizes under the rule.

    Args:
        load_w: float64[N].
        rule: the rule.
        sizes: energies (J) and powers (W), one entry a store; cores share them.
        start_share: the mark, and the charge at the start, as a share of the energy.
    """
    energy, power = (np.ascontiguousarray(one, np.float64) for one in sizes)
    ramps, peaks = np.zeros(len(energy)), np.zeros(len(energy))
    _sweep(load_w, *rule.numbers(), energy, power, start_share, ramps, peaks)
    return Swept(ramps / rule.step_s, peaks)


def within(load_w: F64, rule: Rule, size: tuple[float, float], start_share: float) -> F64:
    """Return grid power behind a store of one size (energy in J, power in W): float64[N]."""
    grid = np.empty(len(load_w))
    _within(load_w, *rule.numbers(), *size, start_share, grid)
    return grid


@njit(cache=True, inline="always")
def _wish(load, y, last, step, ramp, peak, settle, high, low):  # type: ignore[no-untyped-def]
    """Return the grid power that the rule wants in a cell."""
    size = abs(y)
    back = min(size / (2.0 * settle), np.sqrt(2.0 * ramp * size))
    wish = load - back if y > 0 else load + back
    change = min(2.0 * step / settle, 1.0) * (wish - last)
    g = last + min(max(change, -ramp * step), ramp * step)
    return max(min(g, min(peak, high)), low)


@njit(cache=True)
def _free(load, step, ramp, peak, charge, discharge, settle, first, grid, course):  # type: ignore[no-untyped-def]
    """Run a store without limits; fill `grid` and `course` unless they are empty."""
    y = lowest = highest = power = 0.0
    last = min(first, peak)
    high = max(load[0], last)
    low = min(min(load[0], last), 0.0)
    if len(course) > 0:
        course[0] = y
    for k in range(len(load)):
        high = max(high, load[k])
        low = min(low, load[k])
        last = _wish(load[k], y, last, step, ramp, peak, settle, high, low)
        b = last - load[k]
        y += b * step * charge if b > 0 else b * step / discharge
        lowest = min(lowest, y)
        highest = max(highest, y)
        power = max(power, abs(b))
        if len(grid) > 0:
            grid[k] = last
            course[k + 1] = y
    return lowest, highest, y, power


@njit(cache=True, inline="always")
def _held(g, load, s, step, charge, discharge, energy, power):  # type: ignore[no-untyped-def]
    """Return what a store takes of a wish: within its power and its charge."""
    b = min(max(g - load, -power), power)
    b = min(b, (energy - s) / step / charge)
    return max(b, -s * discharge / step)


@njit(cache=True)
def _within(  # type: ignore[no-untyped-def]
    load, step, ramp, peak, charge, discharge, settle, first, energy, power, share, grid
):
    """Run one store; fill `grid` unless it is empty; return steepest change and highest power."""
    mark = energy * share
    s = mark
    last = min(first, peak)
    high = max(load[0], last)
    low = min(min(load[0], last), 0.0)
    steepest = 0.0
    highest = -1e300
    for k in range(len(load)):
        high = max(high, load[k])
        low = min(low, load[k])
        g = _wish(load[k], s - mark, last, step, ramp, peak, settle, high, low)
        b = _held(g, load[k], s, step, charge, discharge, energy, power)
        s += b * step * charge if b > 0 else b * step / discharge
        g = load[k] + b
        if k > 0:
            steepest = max(steepest, abs(g - last))
        highest = max(highest, g)
        last = g
        if len(grid) > 0:
            grid[k] = g
    return steepest, highest


@njit(cache=True, parallel=True)
def _sweep(  # type: ignore[no-untyped-def]
    load, step, ramp, peak, charge, discharge, settle, first, energy, power, share, ramps, peaks
):
    for i in prange(len(energy)):
        ramps[i], peaks[i] = _within(
            load, step, ramp, peak, charge, discharge, settle, first,
            energy[i], power[i], share, np.empty(0),
        )  # fmt: skip
