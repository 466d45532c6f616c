"""Whether a spectral line is real, or the image (alias) of a faster swing.

In: the readings of a group and the frequency f of its dominant line. Out: `real`, `aliased` or
`open`.

Sampled every T, a swing at m/T - f or m/T + f gives the same readings as one at f. But readings are
not taken at exact multiples of T: polls jitter, and nodes have phases of their own. Every stamp is
known, so the power of the swing can be compared at each frequency: in blocks b of 10 s, under a
Hann window h,

    S_b(v) = | sum over devices and readings of h (P - mean P) exp(-2 pi i v t) |^2

is largest at the frequency that the swing has; elsewhere the jitter and the phases, multiplied by
2 pi m / T, make it lose. The mean over blocks of ln S_b(m/T +- f) - ln S_b(f) is compared with its
own standard error: positive beyond four of them, the line is an image; negative for every m and
sign, it is real; in between it stays open. It also stays open for a sensor that holds its values
for longer than the polling period: the instants of its measurements are not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from numba import njit

from tokenergy_transforms.batch import I64, Readings
from tokenergy_transforms.loadprofile.figures import Bools

Verdict = Literal["real", "aliased", "open"]

BLOCK_US = 10_000_000
MOST_BLOCKS = 60
_LEAST_BLOCKS = 8
_ORDERS = (1, 2)
_ERRORS = 4.0
_LEAST_DIFFERENCE = 5e-4
"""Smaller differences are open whatever their scatter: T itself is known no better."""


@dataclass(slots=True)
class Suspect:
    """A line to be checked: its frequency, the blocks of the hour, and the sums so far.

    Attributes:
        frequency_hz: float64[K] the line's frequency f, then those of which it may be the image:
            R - f, R + f, 2 R - f, 2 R + f for readings at rate R, or none.
        start_us: int64[B] starts of the blocks.
        sums: complex128[B, K].
    """

    frequency_hz: npt.NDArray[np.float64]
    start_us: I64
    sums: npt.NDArray[np.complex128]

    def of_node(
        self, readings: Readings, members: Sequence[tuple[int, int, int, int]]
    ) -> npt.NDArray[np.complex128]:
        """Return what devices of one node add to the sums.

        Args:
            readings: of the node.
            members: (place, start_us, end_us, share_ppm) of each.
        """
        device, start_us, end_us, ppm = np.array(members, np.int64).reshape(-1, 4).T.copy()
        arrays = (readings.ts_us, readings.power_mw, readings.offsets)
        sums = np.zeros_like(self.sums)
        _add(*arrays, device, start_us, end_us, ppm, self.start_us, self.frequency_hz, sums)
        return sums

    @property
    def same(self) -> bytes:
        """Equal for lines that are checked in the same way."""
        return self.frequency_hz.tobytes() + self.start_us.tobytes()

    def verdict(self) -> Verdict:
        """Return whether the line is real, an image, or undecided."""
        power = np.abs(self.sums) ** 2
        power = power[(power > 0).all(axis=1)]
        if len(power) < _LEAST_BLOCKS or power.shape[1] < 2:
            return "open"
        ratios = np.log(power[:, 1:] / power[:, :1])
        mean = ratios.mean(axis=0)
        doubt = _ERRORS * ratios.std(axis=0, ddof=1) / np.sqrt(len(power)) + _LEAST_DIFFERENCE
        if (mean > doubt).any():
            return "aliased"
        return "real" if (mean < -doubt).all() else "open"


def suspect(
    line_hz: float, spacings_us: Sequence[float], defined: Bools, hour_us: int, step_us: int
) -> Suspect:
    """Return a line to be checked.

    Args:
        line_hz: its frequency in the spectrum.
        spacings_us: spacing of each device's readings; empty if not known. They must agree.
        defined: bool[n] cells that count; a block is used if all of its cells do.
        hour_us: start of the hour.
        step_us: size of a cell.
    """
    others: list[float] = []
    if spacings_us and max(spacings_us) <= 1.01 * min(spacings_us):
        rate_hz = 1e6 / float(np.median(spacings_us))
        others = [m * rate_hz + sign * line_hz for m in _ORDERS for sign in (-1, 1)]
    cells = BLOCK_US // step_us
    whole = defined[: len(defined) // cells * cells].reshape(-1, cells).all(axis=1)
    places = np.flatnonzero(whole)
    some = np.unique(np.linspace(0, len(places) - 1, min(len(places), MOST_BLOCKS)).astype(int))
    places = places[some] if len(places) else places
    frequency = np.array([line_hz, *others])
    start_us = (hour_us + places * (cells * step_us)).astype(np.int64)
    return Suspect(frequency, start_us, np.zeros((len(places), len(frequency)), np.complex128))


_LOW_BITS = 12


@njit(cache=True, nogil=True)
def _turns(hz, times, step_us):  # type: ignore[no-untyped-def]
    """Return exp(-2 pi i f t) at so many times from 0: complex128[times]."""
    found = np.empty(times, np.complex128)
    for k in range(times):
        angle = 2 * np.pi * hz * (k * step_us / 1e6)
        found[k] = np.cos(angle) - 1j * np.sin(angle)
    return found


@njit(cache=True, nogil=True)
def _both_turns(hz):  # type: ignore[no-untyped-def]
    """Return the turns of a block's microseconds by their high and by their low bits.

    exp is their product: two tables of some thousand, in place of one of ten million or of a sine
    and a cosine for each reading.
    """
    low = 1 << _LOW_BITS
    return _turns(hz, (BLOCK_US >> _LOW_BITS) + 1, low), _turns(hz, low, 1)


@njit(cache=True, inline="always")
def _turn(high, low, us):  # type: ignore[no-untyped-def]
    return high[us >> _LOW_BITS] * low[us & ((1 << _LOW_BITS) - 1)]


@njit(cache=True, nogil=True)
def _add(ts, power, offsets, device, start, end, ppm, block_us, frequency, sums):  # type: ignore[no-untyped-def]
    window_high, window_low = _both_turns(1e6 / BLOCK_US)
    line_high, line_low = _both_turns(frequency[0])
    # exp of m R -+ f is a product of those of R and f: two turns, not five.
    rate_high, rate_low = _both_turns(frequency[:2].sum())
    for b in range(len(block_us)):
        for m in range(len(device)):
            first = offsets[device[m]]
            last = offsets[device[m] + 1]
            from_us = max(block_us[b], start[m])
            lo = first + np.searchsorted(ts[first:last], from_us)
            hi = first + np.searchsorted(ts[first:last], min(block_us[b] + BLOCK_US, end[m]))
            if hi <= lo:
                continue
            mean = 0.0
            for i in range(lo, hi):
                mean += power[i]
            mean /= hi - lo
            for i in range(lo, hi):
                x = ts[i] - block_us[b]
                window = 0.5 - 0.5 * _turn(window_high, window_low, x).real
                value = window * (power[i] - mean) * (ppm[m] / 1e6)
                at_line = _turn(line_high, line_low, x)
                sums[b, 0] += value * at_line
                if len(frequency) > 1:
                    at_rate = _turn(rate_high, rate_low, x)
                    at_order = np.complex128(value)
                    for k in range(1, len(frequency), 2):
                        at_order *= at_rate
                        sums[b, k] += at_order * np.conj(at_line)
                        sums[b, k + 1] += at_order * at_line
