"""Trials of `benchmarks.accuracy`, booked twice: as cards of their class, and calibrated.

In: a kind of sensor, how the cards differ, durations, a number of boards. Out: one `Card` a board
and job, one `Job` a job, for each way of booking. The same arguments give the same figures.

A calibration is what a meter with errors of its own would have found of a card: the true gain and
offset, plus errors drawn within the uncertainties that the calibration file declares. One reference
was used for all cards of a kind, so that its error is the same in all of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.accuracy import trials
from benchmarks.accuracy.design import KINDS, WORKLOADS, Kind, profile
from tokenergy_collectors.emulate.profile import blueprint
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.index.calibration import (
    Calibrated,
    Calibration,
    CalibrationFile,
    Errors,
    Reference,
    calibration_of,
)
from tokenergy_sql.index.site import Site

OWN_PPM, OWN_MW = 4_000, 200
"""What a calibration leaves open of a card: 0.4 % and 0.2 W. Assumed: a card that is held against a
power analyser at a few levels of load for minutes each, and drifts a little since."""

REFERENCE_PPM, REFERENCE_MW = 1_000, 50
"""What is left open of the analyser: 0.1 % and 50 mW. Assumed: its class of accuracy."""

_SEED = 20_260_401

Cards = Literal["published", "emulated"]
"""How the cards of the trials differ: `published`, anywhere within what was published of their
class, which is what the bounds of a class allow for; `emulated`, as the boards of the emulator."""

_DATA_CENTRE = {"gain": 50_000, "offset": 1_200}
_OTHERS = {"gain": 55_000, "offset": 12_500}
_CLASSES = {"v100": _DATA_CENTRE, "h100": _DATA_CENTRE, "rtx4090": _OTHERS}
"""The classes of docs/uncertainty.md, in ppm and mW, of the boards that the trials use. They are
written down once more: limits that were read from the models could not show the models wrong."""


def errors_of(kind: Kind, differ: Cards) -> dict[str, int] | None:
    """Return the keys of an emulated board that say how far its meters are off; None: its own."""
    if differ == "emulated":
        return None
    limits = _CLASSES[kind.board]
    return {
        "gain_ppm": 0,
        "gain_spread_ppm": limits["gain"],
        "offset_mw": 0,
        "offset_spread_mw": limits["offset"],
        "counter_gain_spread_ppm": limits["gain"],
    }


@dataclass(frozen=True, slots=True)
class Card:
    """A job on one board, in joules: what was true, what was booked, and its bounds.

    `corrected_j` is what the calibration makes of what was booked; without one that itself.
    """

    true_j: float
    booked_j: float
    low_j: float
    high_j: float
    corrected_j: float

    @property
    def inside(self) -> bool:
        """Whether the truth is within the bounds."""
        return self.low_j <= self.true_j <= self.high_j

    @property
    def width(self) -> float:
        """Width of the bounds over the truth, in per cent."""
        return 100 * (self.high_j - self.low_j) / self.true_j

    @property
    def error(self) -> float:
        """How far the booked energy is off, in per cent of the truth."""
        return 100 * (self.booked_j - self.true_j) / self.true_j

    @property
    def corrected_error(self) -> float:
        """How far the corrected energy is off, in per cent of the truth."""
        return 100 * (self.corrected_j - self.true_j) / self.true_j


@dataclass(frozen=True, slots=True)
class Job:
    """A job on all its boards: the truth, the worst case, and the bounds by squares."""

    true_j: float
    low_j: float
    high_j: float
    rss_low_j: float
    rss_high_j: float

    @property
    def inside(self) -> bool:
        """Whether the truth is within the worst case."""
        return self.low_j <= self.true_j <= self.high_j

    @property
    def rss_inside(self) -> bool:
        """Whether the truth is within the bounds by squares."""
        return self.rss_low_j <= self.true_j <= self.rss_high_j


@dataclass(frozen=True, slots=True)
class Booked:
    """One way of booking: cards and jobs by duration in seconds."""

    cards: dict[float, list[Card]]
    jobs: dict[float, list[Job]]


def run_kind(
    kind: Kind, differ: Cards, durations_s: Sequence[float], boards: int
) -> tuple[Booked, Booked]:
    """Run the trials of a kind of sensor; return them as of their class, and calibrated.

    Raises:
        RuntimeError: a check of the lake failed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        errors = errors_of(kind, differ)
        profiles = {s: profile(kind, s, WORKLOADS, boards, errors) for s in durations_s}
        for one in profiles.values():
            trials.collect(one, folder, kind.rate_hz)
        lake = Lake(folder / "lake")
        trials.integrate(lake)
        truth = {
            s: {
                key: true_j
                for node in one.nodes
                for key, true_j in trials.read_truth(folder / "truth" / f"{node}.json").items()
                if key[0].count("/") == 1  # neither before nor after
            }
            for s, one in profiles.items()
        }
        calibration = calibrate(kind, list(profiles.values()))
        meter = "counter" if kind.counter else "sensor"
        return _book(lake, (), meter, truth), _book(lake, calibration, meter, truth)


def calibrate(kind: Kind, profiles: Sequence[Profile]) -> Calibration:
    """Return what a calibration would have found of all boards of some profiles."""
    rng = np.random.default_rng([_SEED, KINDS.index(kind)])
    reference_ppm = round(rng.uniform(-REFERENCE_PPM, REFERENCE_PPM))
    reference_mw = round(rng.uniform(-REFERENCE_MW, REFERENCE_MW))

    def found(gain_ppm: int, offset_mw: int) -> Errors:
        return Errors(
            gain_ppm=gain_ppm + round(rng.uniform(-OWN_PPM, OWN_PPM)) + reference_ppm,
            gain_uncertainty_ppm=OWN_PPM,
            offset_mw=offset_mw + round(rng.uniform(-OWN_MW, OWN_MW)) + reference_mw,
            offset_uncertainty_mw=OWN_MW,
        )

    cards = {}
    for one in profiles:
        for node, declared in one.nodes.items():
            for board in range(declared.count):
                sensor = blueprint.sensor(one, node, board)
                cards[blueprint.identity(one, node, board).uuid] = Calibrated(
                    sensor=found(sensor.gain_ppm, sensor.offset_mw),
                    counter=found(sensor.counter_gain_ppm, 0),
                )
    reference = Reference(gain_uncertainty_ppm=REFERENCE_PPM, offset_uncertainty_mw=REFERENCE_MW)
    return calibration_of(CalibrationFile(reference=reference, cards=cards))


def _book(
    lake: Lake,
    calibration: Calibration,
    meter: str,
    truth: dict[float, dict[tuple[str, str], float]],
) -> Booked:
    errors = {row.name: row for row in calibration if row.meter == meter}
    ours = trials.book(lake, Site(None, None, {}, calibration))
    with catalog.connect(lake) as con:
        bounds = {
            job: sides
            for job, *sides in con.sql(
                "SELECT job_id, COLUMNS('e_gpu_(rss_)?(low|high)_nj') / 1e9 FROM job_index"
            ).fetchall()
        }
    cards: dict[float, list[Card]] = {}
    for s, of_keys in truth.items():
        for key, true_j in of_keys.items():
            booked_j, low_j, high_j = map(float, ours[key])
            row = errors.get(key[1])
            corrected_j = (
                booked_j
                if row is None
                else ((booked_j - row.offset_mw / 1e3 * s) / (1 + row.gain_ppm / 1e6))
            )
            card = Card(true_j, booked_j, low_j, high_j, corrected_j)
            cards.setdefault(s, []).append(card)
    jobs: dict[float, list[Job]] = {}
    for s, of_keys in truth.items():
        whole: dict[str, float] = {}
        for (job, _), true_j in of_keys.items():
            whole[job] = whole.get(job, 0.0) + true_j
        jobs[s] = [Job(true_j, *map(float, bounds[job])) for job, true_j in whole.items()]
    return Booked(cards, jobs)
