"""Densities by scipy and by batches, bands that add up, lines that are found, what is refused."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import signal

from tokenergy_transforms import choice
from tokenergy_transforms.loadprofile import spectrum
from tokenergy_transforms.loadprofile.spectrum import Spectrum

STEP_S = 0.05
AGREE = 1e-9
"""Largest difference of the two densities, relative to the total power: as stated in the docs."""


def welch(runs: list[np.ndarray], cells: int) -> np.ndarray:
    """Return the mean density of all segments, by scipy."""
    total, count = np.zeros(cells // 2 + 1), 0
    for run in runs:
        if len(run) >= cells:
            segments = 1 + (len(run) - cells) // (cells - cells // 2)
            args = ("hann", cells, cells // 2)
            _, density = signal.welch(run, 1 / STEP_S, *args, detrend="constant")
            total += density * segments
            count += segments
    return total / count


def load(seconds: float, *lines: tuple[float, float], noise: float = 0.0, seed: int = 0):  # type: ignore[no-untyped-def]
    t = np.arange(round(seconds / STEP_S)) * STEP_S
    swing = sum(a * np.sin(2 * np.pi * f * t + f) for f, a in lines)
    return 1e9 + swing + np.random.default_rng(seed).normal(0, noise, len(t))


def of(power: np.ndarray, limit_hz: float = 10.0) -> Spectrum:
    runs = [power]
    cells, count = spectrum.segment_cells(runs, round(STEP_S * 1e6))
    density = spectrum.psd_numpy(runs, STEP_S, cells)
    return Spectrum(density, 1 / (cells * STEP_S), count, limit_hz)


@pytest.mark.parametrize("name", ["numpy", pytest.param("cupy", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("cells", [500, 501, 2_000])
def test_batches_agree_with_scipy(name: str, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several runs, of which one is too short; odd and even segments; more than one batch."""
    monkeypatch.setattr(spectrum, f"_{'CACHED' if name == 'numpy' else 'DEVICE'}_CELLS", 4_000)
    if name == "cupy" and choice.cuda_unusable() is not None:
        pytest.skip(f"no CUDA: {choice.cuda_unusable()}")
    power = load(900, (0.7, 1e8), (3.1, 1e6), noise=1e7)
    runs = [power[:7_003], power[7_010:7_400], power[7_500:]]
    scipy = welch(runs, cells)
    batched = (spectrum.psd_numpy if name == "numpy" else spectrum.psd_cupy)(runs, STEP_S, cells)
    assert batched.shape == scipy.shape
    assert np.abs(batched - scipy).max() <= AGREE * scipy.sum()


def test_bands_of_all_frequencies_add_up_to_the_variance() -> None:
    """Of one segment exactly (under its window), of white noise within 3 %."""
    power = load(400, (0.7, 1e8), noise=1e7)
    one = Spectrum(spectrum.psd_numpy([power], STEP_S, 8_000), 1 / 400, 1, 10.0)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(8_000) / 8_000)
    exact = ((window * (power - power.mean())) ** 2).sum() / (window**2).sum()
    edges = [0.0, 0.013, 0.7, 0.7012, 4.0, np.inf]
    parts = [spectrum.band_variance(one, a, b) for a, b in pairwise(edges)]
    assert sum(parts) == pytest.approx(exact, rel=1e-9)
    noise = load(3_600, noise=1e7)
    assert spectrum.band_variance(of(noise), 0.0, np.inf) == pytest.approx(noise.var(), rel=0.03)


@pytest.mark.parametrize("hz", [0.0137, 0.1, 0.7, 0.70125, 3.333, 9.2])
def test_a_line_is_found_between_bins(hz: float) -> None:
    power = load(3_600, (hz, 5e7), (hz / 3.3 if hz > 0.1 else 4.0, 2e7), noise=2e7)
    line = spectrum.dominant(of(power), 1e9)
    assert line is not None
    assert line.frequency_hz == pytest.approx(hz, abs=0.0003)
    assert line.amplitude_mw == pytest.approx(5e7, rel=0.01)
    assert line.share == pytest.approx(1.25e15 / (1.25e15 + 2e14 + 4e14), rel=0.05)


@pytest.mark.parametrize("seconds", [30, 450, 3_600])
def test_noise_has_no_line(seconds: float) -> None:
    for seed in range(20):
        assert spectrum.dominant(of(load(seconds, noise=1e8, seed=seed)), 1e9) is None


def test_neither_has_a_level_nor_a_drifting_load() -> None:
    assert spectrum.dominant(of(load(3_600)), 1e9) is None
    for seed in range(20):
        drift = load(3_600) + np.cumsum(np.random.default_rng(seed).normal(0, 1e6, 72_000))
        assert spectrum.dominant(of(drift), 1e9) is None


def test_no_line_is_told_above_the_limit() -> None:
    power = load(3_600, (6.0, 5e7), (1.2, 1e6), noise=1e5)
    line = spectrum.dominant(of(power, limit_hz=5.0), 1e9)
    assert line is not None
    assert line.frequency_hz == pytest.approx(1.2, abs=0.001)


def test_a_band_that_straddles_the_limit_is_null() -> None:
    found = spectrum.bands(of(load(3_600, noise=1e7)), 4.9)
    assert [(b.low_hz, b.reason) for b in found if b.variance_mw2 is None] == [
        (2.5, "above_nyquist"),
        (5.0, "above_nyquist"),
        (10.0, "above_nyquist"),
    ]
    white = found[3].variance_mw2
    assert white == pytest.approx(1e14 * 0.5 / 10, rel=0.1)  # 0.5 to 1 Hz of 10 Hz


@pytest.mark.parametrize(
    ("seconds", "cells", "segments", "unresolved"),
    [
        (3_600, 8_000, 17, []),
        (500, 4_000, 4, [0.01]),
        (100, 1_000, 3, [0.01]),
        (60, 500, 3, [0.01, 0.1]),
        (25, 500, 1, [0.01, 0.1]),
        (24, 0, 0, []),
    ],
)
def test_short_loads_resolve_less(
    seconds: float, cells: int, segments: int, unresolved: list[float]
) -> None:
    power = load(seconds, noise=1e7)
    assert spectrum.segment_cells([power], 50_000) == (cells, segments)
    bands = spectrum.bands(of(power) if cells else None, 25.0)
    assert [b.low_hz for b in bands if b.reason == "below_resolution"] == unresolved
    if not cells:
        assert {b.reason for b in bands} == {"no_segment"}


def test_segments_with_undefined_cells_are_left_out() -> None:
    """A burst in cells that do not count leaves no trace."""
    power = load(3_600, (0.7, 1e8), noise=1e7)
    defined = np.ones(len(power), bool)
    defined[30_000:30_010] = False
    power[30_000:30_010] += 1e12
    runs = spectrum.runs_of(power, defined)
    assert [len(run) for run in runs] == [30_000, len(power) - 30_010]
    cells, count = spectrum.segment_cells(runs, 50_000)
    assert (cells, count) == (8_000, 6 + 9)
    density = spectrum.psd_numpy(runs, STEP_S, cells)
    line = spectrum.dominant(Spectrum(density, 1 / 400, count, 10.0), 1e9)
    assert line is not None
    assert line.amplitude_mw == pytest.approx(1e8, rel=0.005)
