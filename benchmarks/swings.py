"""How often noise is taken for a swing, and how near planted swings are found.

`make bench-swings` or `python -m benchmarks.swings [--trials N]`. White noise, 1/f noise and random
walks of 80 s to an hour at 20 cells a second: any swing found in one of them is a false alarm. Then
swings with steady, 5 % and 10 % uneven periods in 1/f and white noise. Exit code 1 on more than 1 %
of false alarms or a swing outside of the bounds that docs/load-profile.md states.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from typing import Any

import numpy as np

from tokenergy_transforms.loadprofile import rows, spectrum, swings
from tokenergy_transforms.loadprofile.load import Load

STEP_US = 50_000
SECONDS = (80, 300, 300, 900, 900, 3_600)
CENTRE_BOUND_HZ = 0.02
RMS_BOUND = 0.07
FALSE_BOUND = 0.01


def noise(kind: str, count: int, rng: np.random.Generator) -> Any:
    """Return float64[count] noise: `white`, `1/f` or `walk`."""
    white = rng.normal(0, 1, count)
    if kind == "white":
        return white
    if kind == "walk":
        return np.cumsum(white)
    hz = np.fft.rfftfreq(count)
    hz[0] = hz[1]
    return np.fft.irfft(np.fft.rfft(white) / np.sqrt(hz), count)


def wandering(hz: float, jitter: float, seconds: int, rng: np.random.Generator) -> Any:
    """Return a sine of rms 1 whose periods vary by `jitter` (standard deviation / period)."""
    periods = (1 + jitter * rng.normal(0, 1, round(seconds * hz * 1.3) + 50)) / hz
    edges = np.concatenate([[0], np.cumsum(np.clip(periods, 0.2 / hz, None))])
    at = np.arange(seconds * 1_000_000 // STEP_US) * STEP_US / 1e6
    phase = np.interp(at, edges, np.arange(len(edges)))
    return np.sqrt(2) * np.sin(2 * np.pi * phase)


def found_in(power_mw: Any) -> list[swings.Swing]:
    """Return what the product finds in a load that is sampled ten times a second."""
    energy = np.rint(power_mw * STEP_US).astype(np.int64)
    known = np.ones(len(energy), np.bool_)
    load = Load(energy, known, STEP_US, 100_000, 5.0, Counter({(1, 1): 1}))
    return rows.find_swings(load, load.runs(), float(power_mw.mean()), spectrum.psd_numpy)


def false_alarms(trials: int) -> bool:
    """Print the share of false alarms by kind of noise; return whether it is small enough."""
    kept = True
    for kind in ("white", "1/f", "walk"):
        rng = np.random.default_rng(11)
        begin, false = time.process_time(), 0
        for trial in range(trials):
            count = SECONDS[trial % len(SECONDS)] * 1_000_000 // STEP_US
            false += bool(found_in(1e6 + 1e4 * noise(kind, count, rng)))
        spent = (time.process_time() - begin) / trials * 1e3
        ok = false <= FALSE_BOUND * trials
        kept = kept and ok
        print(
            f"{'ok' if ok else 'MISS':<5}{kind:<6} {false} false alarms in {trials:,} trials, "
            f"{spent:.0f} CPU ms each"
        )
    return kept


def planted() -> bool:
    """Print how each planted swing is found; return whether all are within the bounds."""
    kept = True
    rng = np.random.default_rng(12)
    for hz in (0.3, 0.7, 1.42, 3.0):
        for jitter in (0.0, 0.05, 0.1):
            swing = wandering(hz, jitter, 3_600, rng)
            other = noise("1/f", len(swing), rng) + noise("white", len(swing), rng)
            found = max(found_in(1e6 + 4e4 * swing + 1e4 * other), key=lambda one: one.rms_mw)
            rms = found.rms_mw * np.sinc(hz * STEP_US / 1e6) / 4e4 - 1
            ok = abs(found.centre_hz - hz) <= CENTRE_BOUND_HZ and abs(rms) <= RMS_BOUND
            kept = kept and bool(ok)
            print(
                f"{'ok' if ok else 'MISS':<5}{hz:g} Hz, periods vary by {100 * jitter:.0f} %: "
                f"{found.centre_hz:.3f} Hz, {found.width_hz:.3f} wide, rms {100 * rms:+.1f} %, "
                f"{found.above:.0f} times above the background"
            )
    return kept


def main() -> int:
    """Run both parts; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1_200, help="of each kind of noise (1200)")
    options = parser.parse_args()
    kept = [false_alarms(options.trials), planted()]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
