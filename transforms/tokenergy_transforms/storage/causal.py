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
to the present cell. Two settings are chosen on the recording, as one does who sets up a store:
`settle`, and the grid power at the start of each run (its first load, or its mean).
"""

from __future__ import annotations

from collections.abc import Sequence
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
        from_mean: whether grid power starts at the mean of a load, not at its first value.
    """

    step_s: float
    limits: Limits
    store: Store
    settle_s: float
    from_mean: bool

    def numbers(self, load_w: F64) -> tuple[float, ...]:
        """Return what the kernels need besides a load."""
        ramp, peak = self.limits.ramp_w_s, self.limits.peak_w
        return (
            self.step_s,
            _NO_LIMIT if ramp is None else ramp,
            _NO_LIMIT if peak is None else peak,
            self.store.charge,
            self.store.discharge,
            self.settle_s,
            float(load_w.mean() if self.from_mean else load_w[0]),
        )


@dataclass(frozen=True, slots=True)
class Causal:
    """What the rule needs of a store that has no limits of its own.

    Attributes:
        energy_j: largest range of the charge in a run, plus what is owed or left at its end.
        power_w: most power taken or given.
        start_share: the mark / energy, where the run that needs most energy puts it.
        rule: the rule with the settings that need least.
    """

    energy_j: float
    power_w: float
    start_share: float
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


def needed(runs: Sequence[F64], step_s: float, limits: Limits, store: Store) -> Causal:
    """Return what the rule needs for some runs, with the settings for which it needs least energy.

    A plan that ends with charge owed is no cheaper than one that does not: what is owed counts as
    energy. So of a store without losses the optimum is never above `energy_j`.

    Args:
        runs: loads without gaps, one or more.
        step_s: length of a cell.
        limits: what the rule aims at.
        store: its efficiencies.
    """
    span_s = max(len(run) for run in runs) * step_s
    settles = np.geomspace(2 * step_s, max(span_s / 4, 4 * step_s), _SETTLES)
    tried = [
        with_rule(runs, Rule(step_s, limits, store, float(settle_s), from_mean))
        for settle_s in settles
        for from_mean in (False, True)
    ]
    least = min(one.energy_j for one in tried)
    near = [one for one in tried if one.energy_j <= least * _NEAR]
    return min(near, key=lambda one: one.power_w)


def with_rule(runs: Sequence[F64], rule: Rule) -> Causal:
    """Return what the rule needs for some runs with the settings that it has."""
    energy = power = 0.0
    share = 0.5
    for load_w in runs:
        low, high, end, most = _free(load_w, *rule.numbers(load_w))
        power = max(power, most)
        if high - low + abs(end) > energy:
            energy = high - low + abs(end)
            share = min((max(-end, 0.0) - low) / energy, 1.0)
    return Causal(energy, power, share, rule)


def sweep(runs: Sequence[F64], rule: Rule, sizes: tuple[F64, F64], start_share: float) -> Swept:
    """Return what grid power does behind stores of given sizes under the rule.

    Args:
        runs: loads without gaps; the worst of them counts.
        rule: the rule.
        sizes: energies (J) and powers (W), one entry a store; cores share them.
        start_share: the mark, and the charge at the start, as a share of the energy.
    """
    energy, power = (np.ascontiguousarray(one, np.float64) for one in sizes)
    steepest, highest = np.zeros(len(energy)), np.full(len(energy), -np.inf)
    for load_w in runs:
        ramps, peaks = np.zeros(len(energy)), np.zeros(len(energy))
        numbers = rule.numbers(load_w)
        _sweep(load_w, *numbers, energy, power, start_share, ramps, peaks)  # type: ignore[call-arg]
        np.maximum(steepest, ramps, out=steepest)
        np.maximum(highest, peaks, out=highest)
    return Swept(steepest / rule.step_s, highest)


def grid_w(load_w: F64, rule: Rule, size: tuple[float, float], start_share: float) -> F64:
    """Return grid power behind a store of one size (energy in J, power in W): float64[N]."""
    grid = np.empty(len(load_w))
    _within(load_w, *rule.numbers(load_w), *size, start_share, grid)  # type: ignore[call-arg]
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
def _free(load, step, ramp, peak, charge, discharge, settle, first):  # type: ignore[no-untyped-def]
    """Run a store without limits; return its lowest, highest and last charge, and its power."""
    y = lowest = highest = power = 0.0
    last = min(first, peak)
    high = max(load[0], last)
    low = min(min(load[0], last), 0.0)
    for k in range(len(load)):
        high = max(high, load[k])
        low = min(low, load[k])
        last = _wish(load[k], y, last, step, ramp, peak, settle, high, low)
        b = last - load[k]
        y += b * step * charge if b > 0 else b * step / discharge
        lowest = min(lowest, y)
        highest = max(highest, y)
        power = max(power, abs(b))
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
