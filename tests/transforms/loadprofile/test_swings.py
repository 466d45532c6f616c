"""Swings that wander: planted lines and humps are found, noise is not, figures equal scipy's."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.signal import welch

from tests.support.lakes import T0, LakeBuilder, S
from tests.support.swings import swinging
from tokenergy_transforms.loadprofile import rows, spectrum, swings
from tokenergy_transforms.loadprofile.load import Load
from tokenergy_transforms.loadprofile.profile import profile_hour

STEP_US = 50_000
LINE_WIDTH_HZ = 0.036
"""How wide a steady line looks at segments of 50 s: 10 % to 90 % of a Hann lobe."""


def load_of(power_mw: Any, limit_hz: float = 5.0) -> Load:
    energy = np.rint(np.asarray(power_mw) * STEP_US).astype(np.int64)
    known = np.ones(len(energy), np.bool_)
    # Spacings of 0: cells are not interpolated here, so nothing is corrected but the cell itself.
    return Load(energy, known, STEP_US, 100_000, limit_hz, Counter({(1, 1): 1}))


def found_in(power_mw: Any) -> list[swings.Swing]:
    load = load_of(power_mw)
    return rows.find_swings(load, load.runs(), float(np.mean(power_mw)), spectrum.psd_numpy)


def noise(kind: str, count: int, rng: np.random.Generator) -> Any:
    """White, 1/f, or a random walk, of about the same size from sample to sample."""
    white = rng.normal(0, 1, count)
    if kind == "white":
        return white
    if kind == "walk":
        return np.cumsum(white)
    hz = np.fft.rfftfreq(count)
    hz[0] = hz[1]
    return np.fft.irfft(np.fft.rfft(white) / np.sqrt(hz), count)


def wandering(hz: float, jitter: float, seconds: int, rng: np.random.Generator) -> Any:
    """A sine of amplitude sqrt(2), each period of which is `jitter` longer or shorter."""
    periods = (1 + jitter * rng.normal(0, 1, round(seconds * hz * 1.3) + 50)) / hz
    edges = np.concatenate([[0], np.cumsum(np.clip(periods, 0.2 / hz, None))])
    at = (np.arange(seconds * 1_000_000 // STEP_US) + 0.5) * STEP_US / 1e6
    phase = np.interp(at, edges, np.arange(len(edges)))
    # What a cell leaves of a sine is corrected: sample the sine itself, less that.
    return np.sqrt(2) * np.sin(2 * np.pi * phase) * np.sinc(hz * STEP_US / 1e6)


@pytest.mark.parametrize("kind", ["white", "1/f", "walk"])
def test_noise_swings_hardly_ever(kind: str) -> None:
    """At most 1 % of trials; `benchmarks.swings` does it a thousand times."""
    rng = np.random.default_rng(5)
    false = 0
    for trial in range(60):
        count = (80, 300, 900)[trial % 3] * 1_000_000 // STEP_US
        false += bool(found_in(1e6 + 1e4 * noise(kind, count, rng)))
    assert false <= 1


@pytest.mark.parametrize("hz", [0.3, 0.7, 1.42, 3.0])
@pytest.mark.parametrize("jitter", [0.0, 0.05, 0.1])
def test_a_swing_is_found_however_steady_its_period(hz: float, jitter: float) -> None:
    """Centre within a bin of 0.02 Hz, rms within 7 %, width as the truth's with the window's."""
    rng = np.random.default_rng(round(hz * 1000 + jitter * 100))
    swing = wandering(hz, jitter, 1800, rng)
    power = 1e6 + 4e4 * swing + 1e4 * (noise("1/f", len(swing), rng) + noise("white", 36_000, rng))
    found = max(found_in(power), key=lambda one: one.rms_mw)
    assert found.centre_hz == pytest.approx(hz, abs=0.02)
    assert found.rms_mw == pytest.approx(4e4, rel=0.07)
    assert found.above > 10
    # The long spectrum of the swing alone is the truth of its width.
    hertz, density = welch(swing, 20, "hann", 8_000)
    share = np.cumsum(density) / density.sum()
    width = float(np.interp(0.9, share, hertz) - np.interp(0.1, share, hertz))
    assert found.width_hz == pytest.approx(np.hypot(width, LINE_WIDTH_HZ), rel=0.35)
    assert found.narrow == (found.width_hz <= 2 * found.resolution_hz)


def test_a_wandering_swing_is_no_dominant_line_and_is_a_swing() -> None:
    """What the longest segment smears: the reason for all this."""
    rng = np.random.default_rng(3)
    swing = wandering(1.42, 0.1, 3600, rng)
    load = load_of(1e6 + 3e4 * swing + 3e4 * noise("1/f", len(swing), rng))
    runs = load.runs()
    long = load.spectrum(runs, spectrum.psd_numpy)
    assert long is not None
    assert spectrum.dominant(long, 1e6) is None
    found = max(found_in(load.energy_nj / STEP_US), key=lambda one: one.rms_mw)
    assert found.centre_hz == pytest.approx(1.42, abs=0.02)
    assert not found.narrow


def test_two_swings_and_a_harmonic_are_told_apart() -> None:
    at = np.arange(36_000) * STEP_US / 1e6
    rng = np.random.default_rng(0)
    power = 1e6 + rng.normal(0, 1e3, len(at))
    for hz, mw in ((0.5, 5e4), (1.0, 2e4), (3.3, 1e4)):
        power = power + mw * np.sin(2 * np.pi * hz * at)
    found = found_in(power)
    assert [round(one.centre_hz, 2) for one in found] == [0.5, 1.0, 3.3]
    assert [one.harmonic for one in found] == [False, True, False]
    assert all(one.narrow for one in found)


def test_a_slow_swing_needs_the_longer_segments() -> None:
    at = np.arange(72_000) * STEP_US / 1e6
    rng = np.random.default_rng(0)
    (found,) = found_in(1e6 + 1e5 * np.sin(2 * np.pi * at / 20) + rng.normal(0, 1e3, len(at)))
    assert (found.centre_hz, found.resolution_hz) == (pytest.approx(0.05, abs=0.002), 0.005)


def test_the_size_is_the_integral_of_scipys_density() -> None:
    rng = np.random.default_rng(1)
    load = load_of(1e6 + 3e4 * wandering(1.0, 0.05, 1800, rng) + rng.normal(0, 1e2, 36_000))
    found = max(found_in(load.energy_nj / STEP_US), key=lambda one: one.rms_mw)
    hertz, density = welch(load.energy_nj / STEP_US, 20, "hann", 1_000)
    density = density / np.sinc(hertz * STEP_US / 1e6) ** 2
    reach = abs(hertz - found.centre_hz) < 0.5
    rms = np.sqrt(density[reach].sum() * 0.02)
    assert found.rms_mw == pytest.approx(rms, rel=0.02)
    centre = (hertz[reach] * density[reach]).sum() / density[reach].sum()
    assert found.centre_hz == pytest.approx(centre, abs=0.005)


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    return LakeBuilder(tmp_path / "lake")


def swings_of(builder: LakeBuilder, kind: str = "node") -> list[dict[str, Any]]:
    profile_hour(builder.lake, T0, [kind])
    return builder.lake.read("load_swing").to_pylist()


def test_rows_of_an_hour(builder: LakeBuilder) -> None:
    builder.device("A", update_us=100_000)
    builder.power("A", swinging(0.7, 900, jitter_us=10_000))
    (row,) = swings_of(builder)
    assert row["centre_hz"] == row["seen_hz"] == pytest.approx(0.7, abs=0.02)
    assert row["rms_mw"] == pytest.approx(75_000 / 2**0.5, rel=0.02)
    assert row["rms_share"] == pytest.approx(row["rms_mw"] / 500_000, rel=0.01)
    assert row["reason_codes"] == "narrow"
    assert (row["segments"], row["resolution_hz"]) == (34, 0.02)


def test_the_image_of_a_faster_swing_has_no_figures(builder: LakeBuilder) -> None:
    builder.device("A", update_us=100_000)
    builder.power("A", swinging(7.0, 900, jitter_us=10_000))
    (row,) = swings_of(builder)
    assert row["seen_hz"] == pytest.approx(3.0, abs=0.02)
    assert "aliased" in row["reason_codes"].split(",")
    names = ("centre_hz", "width_hz", "rms_mw", "rms_share", "above_background")
    assert [row[name] for name in names] == [None] * 5


def test_a_sensor_that_averages_over_a_second_shows_no_swing_above_its_limit(
    builder: LakeBuilder,
) -> None:
    builder.device("A", update_us=1_000_000)
    builder.power("A", swinging(0.7, 900)[::10])
    assert [row for row in swings_of(builder) if row["seen_hz"] > 0.5 * 1.01] == []


def test_an_hour_without_swings_has_no_file(builder: LakeBuilder) -> None:
    builder.device("A", update_us=100_000)
    builder.power("A", swinging(0.7, 300))
    assert swings_of(builder)
    for path in builder.lake.files("power"):
        path.unlink()
    builder.power("A", [(T0 + k * S, 100_000) for k in range(600)])
    assert swings_of(builder) == []
    assert builder.lake.files("load_swing") == []
