"""Whose swing it is: each place without one of its jobs, and how jobs swing with the sum.

In: the course of a place and those of its jobs' parts. Out: a row for the place and one for each
job: what rms, ramps and peak would be without it, its coherence with the sum by band, its share in
the largest swing, its phase there, and what staggering the starts would have saved (modelled).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from tokenergy_sql.gridload.parts import Place
from tokenergy_transforms.batch import I64
from tokenergy_transforms.loadprofile import crossed, rows, spectrum, stagger, swings
from tokenergy_transforms.loadprofile.figures import ramps
from tokenergy_transforms.loadprofile.load import Load
from tokenergy_transforms.loadprofile.loadcourse import LoadCourse

LENGTHS_S = (50, 25)


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of a load over the known cells of a place: mW; None where they are not shown."""

    mean_mw: float
    rms_mw: float
    peak_mw: float
    ramp_1s_mw: float | None
    ramp_10s_mw: float | None
    band_rms_mw: dict[str, float]


@dataclass(frozen=True, slots=True)
class JobPart:
    """One job in the load of a place.

    Attributes:
        job: its name.
        mean_mw: its mean load over the known cells of the place.
        without: figures of the place without it.
        coherence: with the sum, by band.
        swing_share: its share in the variance of the place's largest swing; may be below 0.
        swing_phase: how far its swing is ahead of the sum's, in periods (-0.5, 0.5].
        swing_amplitude_mw: of what of it is coherent with the sum there.
        delay_s: how much later it would start if starts were staggered (modelled).
    """

    job: str
    mean_mw: float
    without: Figures
    coherence: dict[str, float | None]
    swing_share: float | None = None
    swing_phase: float | None = None
    swing_amplitude_mw: float | None = None
    delay_s: float | None = None


@dataclass(slots=True)
class Shared:
    """A place and its jobs.

    Attributes:
        course: of the place.
        figures: of the place; None if no cell is known.
        swing: its largest swing that is no harmonic; None if there is none.
        jobs: the one whose absence changes the rms most first.
        swing_rms_mw: rms where the swing reaches; None if no start can be staggered.
        staggered_rms_mw: the same if the starts had been staggered (modelled).
        reasons: why something is None.
    """

    course: LoadCourse
    figures: Figures | None
    swing: swings.Swing | None = None
    jobs: list[JobPart] = field(default_factory=list)
    swing_rms_mw: float | None = None
    staggered_rms_mw: float | None = None
    reasons: set[str] = field(default_factory=set)


def share(place: Place, report: Callable[[str], None] = lambda _: None) -> Shared:
    """Work out whose swing the load of a place is."""
    course = place.course()
    load = course.load
    found = Shared(course, None, reasons=set(course.reasons))
    if not load.known.any():
        return found
    found.figures = figures_of(load)
    runs = load.runs()
    cells, count = spectrum.segment_cells(runs, load.step_us, LENGTHS_S)
    whole = crossed.segments(runs, load.step_us / 1e6, cells) if count else None
    mean_mw = found.figures.mean_mw
    real = [
        one for one in rows.find_swings(load, runs, mean_mw, spectrum.psd_numpy) if not one.harmonic
    ]
    found.swing = max(real, key=lambda one: one.rms_mw, default=None)
    if found.swing is None:
        found.reasons.add("no_swing" if count else "no_segment")
    for job in place.jobs:
        report(f"{place.name[1]}: {job}")
        part = place.part(job).load
        found.jobs.append(_job(job, part, load, whole, cells, found.swing))
    rms_mw = found.figures.rms_mw
    found.jobs.sort(key=lambda one: (one.without.rms_mw - rms_mw, one.job))
    if found.swing is not None and len(found.jobs) > 1:
        _stagger(place, load, found, found.swing)
    return found


def figures_of(load: Load) -> Figures:
    """Return the figures of a load over its known cells."""
    power = load.energy_nj[load.known] / load.step_us
    shortest_us = round(load.period_us * (1 - rows.TOLERANCE))
    found, _ = ramps(load.energy_nj, load.known, load.step_us, shortest_us, load.breaks)
    return Figures(
        mean_mw=float(power.mean()),
        rms_mw=float(power.std()),
        peak_mw=float(power.max()),
        ramp_1s_mw=_largest(found["up_1s_mw"], found["down_1s_mw"]),
        ramp_10s_mw=_largest(found["up_10s_mw"], found["down_10s_mw"]),
        band_rms_mw=_bands(load),
    )


def _largest(up_mw: float | None, down_mw: float | None) -> float | None:
    return None if up_mw is None or down_mw is None else max(up_mw, down_mw)


def _bands(load: Load) -> dict[str, float]:
    found = load.spectrum(load.runs(), spectrum.psd_numpy)
    bands = spectrum.bands(found, load.limit_hz * (1 + rows.TOLERANCE))
    return {
        band_name(band.low_hz, band.high_hz): float(np.sqrt(band.variance_mw2))
        for band in bands
        if band.variance_mw2 is not None
    }


def band_name(low_hz: float, high_hz: float) -> str:
    """Return the name of a band, such as `0.1-0.2 Hz`."""
    return f"{low_hz:g}-{high_hz:g} Hz"


def _part_load(load: Load, energy_nj: I64) -> Load:
    """Return other energies over the known cells of a load."""
    return Load(
        energy_nj, load.known, load.step_us, load.period_us, load.limit_hz, load.paces, load.breaks
    )


def _job(
    job: str,
    part: Load,
    load: Load,
    whole: crossed.Segments | None,
    cells: int,
    swing: swings.Swing | None,
) -> JobPart:
    own = _part_load(load, part.energy_nj)
    without = figures_of(_part_load(load, load.energy_nj - part.energy_nj))
    mean_mw = float(part.energy_nj[load.known].mean()) / load.step_us
    if whole is None:
        return JobPart(job, mean_mw, without, {})
    spectra = crossed.segments(own.runs(), load.step_us / 1e6, cells)
    coherence = {
        band_name(low, high): crossed.relation(spectra, whole, bins).coherence
        for low, high in pairwise(spectrum.EDGES_HZ)
        if high <= load.limit_hz * (1 + rows.TOLERANCE)
        and (bins := _bins(low, high, whole.resolution_hz)) is not None
    }
    if swing is None:
        return JobPart(job, mean_mw, without, coherence)
    place = _bins(*_reach(swing), whole.resolution_hz)
    if place is None:
        return JobPart(job, mean_mw, without, coherence)
    at = crossed.relation(spectra, whole, place)
    return JobPart(
        job, mean_mw, without, coherence, at.share, at.phase / (2 * np.pi), at.amplitude_mw
    )


def _reach(swing: swings.Swing) -> tuple[float, float]:
    """Return from where to where a swing reaches: all of a steady line's lobe, or its width."""
    half_hz = max(swing.width_hz, 2 * swing.resolution_hz)
    return swing.centre_hz - half_hz, swing.centre_hz + half_hz


def _bins(low_hz: float, high_hz: float, resolution_hz: float) -> slice | None:
    """Return the bins of a band; None if they are too few or too near to 0."""
    first, last = round(low_hz / resolution_hz), round(high_hz / resolution_hz)
    return slice(first, last + 1) if first >= spectrum.RESOLVED and last > first else None


def _stagger(place: Place, load: Load, found: Shared, swing: swings.Swing) -> None:
    """Shift the parts that swing with the sum, and measure the swing of the shifted sum."""
    hz = swing.centre_hz
    largest = max((one.swing_amplitude_mw or 0.0 for one in found.jobs), default=0.0)
    moved = {
        one.job: (one.swing_amplitude_mw, 2 * np.pi * (one.swing_phase or 0.0))
        for one in found.jobs
        if one.swing_amplitude_mw and one.swing_amplitude_mw > 0.05 * largest
    }
    if len(moved) < 2:
        found.reasons.add("one_job_swings")
        return
    delays = stagger.delays_s(moved, hz)
    energy_nj = load.energy_nj.copy()
    for job, delay_s in delays.items():
        part = place.part(job).energy_nj
        energy_nj += np.roll(part, round(delay_s * 1e6 / load.step_us)) - part
    shifted = _part_load(load, energy_nj)
    found.swing_rms_mw = swing_rms_mw(load, swing)
    found.staggered_rms_mw = swing_rms_mw(shifted, swing)
    found.jobs = [
        JobPart(
            one.job,
            one.mean_mw,
            one.without,
            one.coherence,
            one.swing_share,
            one.swing_phase,
            one.swing_amplitude_mw,
            delays.get(one.job),
        )
        for one in found.jobs
    ]


def swing_rms_mw(load: Load, swing: swings.Swing) -> float | None:
    """Return the rms of a load where a swing reaches, the background included."""
    spectra: Sequence[int] = (round(1 / swing.resolution_hz),)
    found = load.spectrum(load.runs(), spectrum.psd_numpy, spectra)
    if found is None:
        return None
    return float(np.sqrt(spectrum.band_variance(found, *_reach(swing))))
