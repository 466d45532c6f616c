"""What sampling, lines and cells leave of a swing; which lines are images of faster ones."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.lakes import HOUR_US, T0, S
from tests.transforms.loadprofile.grids import WHOLE, Rows, grid, readings
from tokenergy_transforms.loadprofile import spectrum
from tokenergy_transforms.loadprofile.alias import Suspect, suspect
from tokenergy_transforms.loadprofile.bandwidth import interpolation_gain
from tokenergy_transforms.loadprofile.profile import auto_step

T_US = 100_000
AMPLITUDE_MW = 75_000_000
DEVICES = 20


def swing(hz: float, *, together: bool, jitter_us: int = 0, noise_mw: float = 0.0) -> list[Rows]:
    """800 s of devices that swing in phase, sampled at the same instants or each at its own."""
    rng = np.random.default_rng(4)
    devices = []
    for _ in range(DEVICES):
        ticks = np.arange(8_000) * T_US + (31_415 if together else rng.integers(0, T_US))
        ts = T0 + ticks + rng.integers(-jitter_us, jitter_us + 1, len(ticks))
        mw = 500_000_000 + AMPLITUDE_MW * np.sin(2 * np.pi * hz * (ts - T0) / 1e6)
        mw += rng.normal(0, noise_mw, len(ts))
        devices.append(list(zip(ts.tolist(), np.rint(mw).astype(int).tolist(), strict=True)))
    return devices


def found_over_planted(hz: float, *, together: bool, step_us: int) -> float:
    filled = grid(swing(hz, together=together), step_us)
    runs = spectrum.runs_of(filled.energy_nj / step_us, ~filled.missing)
    cells, count = spectrum.segment_cells(runs, step_us)
    width = 1e6 / (cells * step_us)
    frequency = np.arange(cells // 2 + 1) * width
    gain = spectrum.gain(frequency, interpolation_gain(frequency, {(T_US, T_US): 1}), step_us)
    density = spectrum.psd_numpy(runs, step_us / 1e6, cells) / np.maximum(gain, 0.1) ** 2
    line = spectrum.dominant(spectrum.Spectrum(density, width, count, 5.0), 1e10)
    assert line is not None
    assert line.frequency_hz == pytest.approx(hz, abs=0.001)
    return line.amplitude_mw / (AMPLITUDE_MW * DEVICES)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("hz", [0.7, 2.1, 3.9])
def test_the_correction_restores_the_amplitude(hz: float, together: bool) -> None:
    """Within 1.2 % up to 0.39 of the sampling rate, as the docs say, at the step of auto."""
    step_us = auto_step(T_US)
    assert step_us == 50_000
    ratio = found_over_planted(hz, together=together, step_us=step_us)
    assert ratio == pytest.approx(1, abs=0.012)


def test_a_step_as_long_as_the_period_would_fold_the_image_back() -> None:
    """Why auto takes half: near the limit the same instants then cost 10 % and more."""
    assert abs(found_over_planted(4.3, together=True, step_us=T_US) - 1) > 0.1


def ask(devices: list[Rows], line_hz: float, spacings_us: list[float]) -> Suspect:
    defined = np.zeros(72_000, bool)
    defined[20:15_980] = True
    asked = suspect(line_hz, spacings_us, defined, T0, 50_000)
    members = [(k, T0, T0 + HOUR_US, WHOLE) for k in range(len(devices))]
    asked.sums += asked.of_node(readings(devices), members)
    return asked


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("jitter_us", [2_000, 20_000])
def test_images_are_told_from_lines(together: bool, jitter_us: int) -> None:
    verdicts = {}
    for hz in (0.7, 3.0, 7.0, 13.0, 17.0):
        devices = swing(hz, together=together, jitter_us=jitter_us, noise_mw=1e7)
        seems_hz = min(hz % 10, 10 - hz % 10)
        verdicts[hz] = ask(devices, seems_hz, [T_US] * DEVICES).verdict()
    assert verdicts == {0.7: "real", 3.0: "real", 7.0: "aliased", 13.0: "aliased", 17.0: "aliased"}


def test_perfect_ticks_at_the_same_instants_cannot_tell() -> None:
    """Without jitter 3 Hz and 7 Hz give the same readings."""
    assert ask(swing(7.0, together=True, noise_mw=1e7), 3.0, [T_US] * DEVICES).verdict() == "open"
    assert ask(swing(3.0, together=True, noise_mw=1e7), 3.0, [T_US] * DEVICES).verdict() == "open"


def test_nothing_is_told_where_the_sampling_is_not_known_or_short() -> None:
    devices = swing(7.0, together=False, jitter_us=2_000)
    assert ask(devices, 3.0, []).verdict() == "open"
    assert ask(devices, 3.0, [T_US, 2 * T_US]).verdict() == "open"
    defined = np.zeros(72_000, bool)
    defined[: 4 * 10 * S // 50_000] = True
    assert len(suspect(3.0, [T_US], defined, T0, 50_000).start_us) == 4
