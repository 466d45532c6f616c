"""Makes the table of docs/uncertainty.md: coverage, width beside spread, and a verdict per row.

In: what was booked of each kind of sensor. Out: rows, and Markdown.

The spread is how much cards really differ: the width of the central 99 % of (booked - true) / true
over the cards of a row. Percentiles are by rank over n + 1 (Weibull), so that of fewer than 200
cards all count. The width is the median of (high - low) / true.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from benchmarks.accuracy.design import Kind
from benchmarks.bounds.trials import Booked, Card, Job
from tokenergy_collectors.emulate.profile.catalogue import SENSORS, shipped

COVERAGE = 0.99
"""Smallest share of the cards, and of the jobs, whose true energy must be inside the bounds."""

WIDEST = 3.0
"""Bounds may be at most this many times as wide as the spread."""

BEGIN, END = "<!-- made by `make bounds` -->", "<!-- end -->"
HEADER = (
    "sensor", "counter", "s", "cards", "spread %",
    "inside", "width %", "ratio",
    "calibrated: inside", "calibrated: width %", "calibrated: ratio", "ratio to residual spread",
    "verdict",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One row: a kind of sensor, a duration, and its cards booked in both ways."""

    kind: Kind
    duration_s: float
    of_class: Sequence[Card]
    calibrated: Sequence[Card]

    @cached_property
    def spread(self) -> float:
        """Width of the central 99 % of what is booked, in per cent."""
        return central(card.error for card in self.of_class)

    @cached_property
    def corrected_spread(self) -> float:
        """The same after each card is corrected by its calibration: the residual spread."""
        return central(card.corrected_error for card in self.calibrated)

    @cached_property
    def unseen(self) -> float:
        """Width caused by the time that the sensor does not measure, in per cent of the truth."""
        if self.kind.counter:
            return 0.0
        sensor, board = SENSORS[self.kind.sensor], shipped()[self.kind.board]
        # A sensor that reports only a 1 s average has no window of its own: it measures all time.
        share = 1 - sensor.get("window_us", sensor["update_us"]) / sensor["update_us"]
        joules: float = share * (board["limit_w"] - board["idle_w"]) * self.duration_s
        return statistics.median(100 * joules / card.true_j for card in self.of_class)

    @property
    def covered(self) -> bool:
        """Whether the truth is inside often enough, in both ways of booking."""
        return all(share_inside(cards) >= COVERAGE for cards in (self.of_class, self.calibrated))

    @property
    def verdict(self) -> str:
        """What makes the bounds narrow enough: `met`, `calibrate`, `unseen`; or `MISSED`."""
        if not self.covered:
            return "MISSED"
        if width(self.of_class) <= WIDEST * self.spread:
            return "met"
        if width(self.calibrated) <= WIDEST * self.spread:
            return "calibrate"
        if width(self.calibrated) - self.unseen <= WIDEST * self.spread:
            return "unseen"
        return "MISSED"


def central(errors: Iterable[float]) -> float:
    """Return the width of the central 99 % of some errors."""
    import numpy as np

    low, high = np.percentile(list(errors), [0.5, 99.5], method="weibull")
    return float(high - low)


def width(cards: Sequence[Card]) -> float:
    """Return the median width of the bounds of some cards, in per cent of the truth."""
    return statistics.median(card.width for card in cards)


def share_inside(found: Sequence[Card] | Sequence[Job]) -> float:
    """Return the share of cards or jobs whose truth is inside their bounds."""
    return sum(one.inside for one in found) / len(found)


def rows(kind: Kind, booked: tuple[Booked, Booked]) -> list[Row]:
    """Return the rows of a kind of sensor, by duration."""
    of_class, calibrated = booked
    return [Row(kind, s, of_class.cards[s], calibrated.cards[s]) for s in sorted(of_class.cards)]


def summary(booked: Sequence[tuple[Booked, Booked]], found: Sequence[Row]) -> list[str]:
    """Return what holds for all jobs together, one line each."""
    lines = []
    for way, of_way in zip(
        ("by class", "with calibration"), zip(*booked, strict=True), strict=True
    ):
        jobs = [job for one in of_way for of_duration in one.jobs.values() for job in of_duration]
        squares = sum(job.rss_inside for job in jobs)
        saved = statistics.median(
            (job.rss_high_j - job.rss_low_j) / (job.high_j - job.low_j) for job in jobs
        )
        lines.append(
            f"{len(jobs):,} jobs, bounds {way}: the true energy is inside the worst case in "
            f"{100 * share_inside(jobs):.2f} % and inside the bounds by squares in "
            f"{100 * squares / len(jobs):.2f} %; the bounds by squares are {saved:.3f} times as "
            "wide as the worst case (median)."
        )
    counts = {v: sum(row.verdict == v for row in found) for v in ("met", "calibrate", "unseen")}
    lines.append(
        f"{len(found)} rows: bounds are at most {WIDEST:g} times as wide as the spread in "
        f"{counts['met']} by class, in {counts['calibrate']} more with calibration, in "
        f"{counts['unseen']} more without the time that the sensor does not measure; "
        f"{len(found) - sum(counts.values())} missed."
    )
    return lines


def passed(booked: Sequence[tuple[Booked, Booked]], found: Sequence[Row]) -> bool:
    """Tell whether no row is missed, and all jobs together are covered, by squares too."""
    for of_way in zip(*booked, strict=True):
        jobs = [job for one in of_way for of_duration in one.jobs.values() for job in of_duration]
        inside = (sum(job.inside for job in jobs), sum(job.rss_inside for job in jobs))
        if min(inside) < COVERAGE * len(jobs):
            return False
    return all(row.verdict != "MISSED" for row in found)


def markdown(booked: Sequence[tuple[Booked, Booked]], found: Sequence[Row]) -> str:
    """Return the table and its summary, as they appear in docs/uncertainty.md."""
    return "\n".join(
        [
            *(f"- {line}" for line in summary(booked, found)),
            "",
            f"| {' | '.join(HEADER)} |",
            f"| --- | --- |{' ---: |' * (len(HEADER) - 3)} --- |",
            *(_line(row) for row in found),
            "",
        ]
    )


def _line(row: Row) -> str:
    cells = [
        row.kind.sensor,
        "yes" if row.kind.counter else "no",
        f"{row.duration_s:g}",
        str(len(row.of_class)),
        f"{row.spread:.2f}",
        f"{100 * share_inside(row.of_class):.1f} %",
        f"{width(row.of_class):.2f}",
        f"{width(row.of_class) / row.spread:.2f}",
        f"{100 * share_inside(row.calibrated):.1f} %",
        f"{width(row.calibrated):.2f}",
        f"{width(row.calibrated) / row.spread:.2f}",
        f"{width(row.calibrated) / row.corrected_spread:.2f}",
        row.verdict,
    ]
    return f"| {' | '.join(cells)} |"
