"""Makes the table of docs/accuracy.md: errors of each method, coverage, and a verdict per row.

In: the trials of each cell. Out: rows, and Markdown. A method's error is the absolute value of its
relative error in per cent; the three figures are the median, the 95th percentile (nearest rank) and
the worst of the trials.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.accuracy.design import Kind
from benchmarks.accuracy.trials import Cell, Method, Trial

EQUAL_POINTS = 0.05
EQUAL_SHARE = 0.01
"""Two errors are equal if they differ by at most this many points, or by this share."""

COVERAGE = 0.99
"""Smallest share of all trials in which the truth must be inside the bounds."""

HEADER = (
    "sensor",
    "counter",
    "workload",
    "s",
    "naive %",
    "counter only %",
    "ours %",
    "truth inside",
    "width %",
    "ours is",
    "why",
)

BEGIN, END = "<!-- made by `make accuracy` -->", "<!-- end -->"
METHODS: tuple[Method, ...] = ("naive", "counter", "ours")
_FIGURES = ("median", "p95", "worst")
_SPREAD = 0.1
"""Share by which methods that misread in the same way may differ by chance."""

Figures = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Row:
    """One row: a kind of sensor, a workload, a duration, and its trials."""

    kind: Kind
    workload: str
    duration_s: float
    trials: Sequence[Trial]

    def figures(self, method: Method, *, without_card: bool = False) -> Figures | None:
        """Return median, 95th percentile and worst error of a method, in per cent."""
        if any(trial.found(method) is None for trial in self.trials):
            return None
        errors = sorted(abs(t.error(method, without_card=without_card)) for t in self.trials)
        return statistics.median(errors), errors[math.ceil(0.95 * len(errors)) - 1], errors[-1]

    @property
    def inside(self) -> int:
        """In how many trials the truth is inside the bounds."""
        return sum(trial.inside for trial in self.trials)

    @property
    def behind(self) -> list[tuple[int, Method]]:
        """Where ours is worse than another method: the number of the figure, and the method."""
        return _behind(self, without_card=False)

    @property
    def verdict(self) -> str:
        """`best`, `equal`, or `worse` with the figures in which it is."""
        if self.behind:
            names = dict.fromkeys(_FIGURES[figure] for figure, _ in self.behind)
            return f"worse: {', '.join(names)}"
        ours, others = self.figures("ours"), _others(self, without_card=False)
        assert ours is not None
        best = all(
            ours[i] < theirs[i] and not _equal(ours[i], theirs[i])
            for theirs in others.values()
            for i in range(len(_FIGURES))
        )
        return "best" if best else "best or equal"

    @property
    def why(self) -> str:
        """Return why ours is worse; empty where it is not, `not explained` if there is no reason.

        Reasons are found in the trials: with the card's own error taken out, ours must be as good
        as the others; or a single trial is worse, and all of them together are closer; or all
        methods use samples that see the same part of a locked swing.
        """
        if not self.behind:
            return ""
        without_card = _behind(self, without_card=True)
        left = [one for one in self.behind if one in without_card]
        if not left:
            figure, method = self.behind[0]
            ours = self.figures("ours", without_card=True)
            theirs = self.figures(method, without_card=True)
            assert ours is not None
            assert theirs is not None
            return (
                f"chance: without the cards' own errors, {_FIGURES[figure]} is "
                f"{theirs[figure]:.2f} {_NAMES[method]}, {ours[figure]:.2f} ours"
            )
        if all(_FIGURES[figure] == "worst" for figure, _ in left) and self._closer(left):
            method = left[0][1]
            return (
                f"one trial: without the cards' own errors, root mean square is "
                f"{self._square(method):.2f} {_NAMES[method]}, {self._square('ours'):.2f} ours"
            )
        if self._aliased(left):
            return "the samples see one part of the swing; no method can correct that"
        return "not explained"

    def _square(self, method: Method) -> float:
        """Return a method's root mean square error in per cent, the cards' errors taken out."""
        errors = [trial.error(method, without_card=True) for trial in self.trials]
        return math.sqrt(statistics.fmean(error * error for error in errors))

    def _closer(self, left: Sequence[tuple[int, Method]]) -> bool:
        """Tell whether ours is closer than the methods over all trials, if not in the worst."""
        return all(self._square("ours") < self._square(method) for _, method in left)

    def _aliased(self, left: Sequence[tuple[int, Method]]) -> bool:
        """Tell whether ours shares its error with the naive method, under a locked load."""
        if self.workload != "periodic" or self.kind.counter:
            return False
        ours, naive = self.figures("ours"), self.figures("naive")
        assert ours is not None
        assert naive is not None
        return all(ours[i] <= naive[i] * (1 + _SPREAD) for i, _ in left)


_NAMES = {"naive": "naive", "counter": "counter only", "ours": "ours"}


def rows(kind: Kind, cells: dict[Cell, list[Trial]]) -> list[Row]:
    """Return the rows of a kind of sensor, by workload and duration."""
    return [Row(kind, workload, s, trials) for (workload, s), trials in sorted(cells.items())]


def covered(found: Sequence[Row]) -> tuple[int, int]:
    """Return in how many trials of all rows the truth is inside, and how many there are."""
    return sum(row.inside for row in found), sum(len(row.trials) for row in found)


def passed(found: Sequence[Row]) -> bool:
    """Tell whether ours is best or equal, or explained, everywhere, and the bounds hold."""
    inside, trials = covered(found)
    explained = all(row.why != "not explained" for row in found)
    return explained and inside >= COVERAGE * trials


def markdown(found: Sequence[Row]) -> str:
    """Return the table and a summary, as they appear in docs/accuracy.md."""
    inside, trials = covered(found)
    best = sum(not row.behind for row in found)
    lines = [
        f"{len(found)} rows, {trials:,} trials. Ours is best or equal in {best} rows, worse in "
        f"{len(found) - best}. The true energy is inside [low, high] in {inside:,} trials "
        f"({100 * inside / trials:.2f} %); the lowest share of a row is "
        f"{100 * min(row.inside / len(row.trials) for row in found):.0f} %.",
        "",
        f"| {' | '.join(HEADER)} |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    return "\n".join([*lines, *(_line(row) for row in found)]) + "\n"


def into_page(page: Path, text: str, begin: str = BEGIN, end: str = END) -> None:
    """Replace the generated part of a page, between two marks."""
    before, rest = page.read_text("utf-8").split(begin)
    _, after = rest.split(end)
    page.write_text(f"{before}{begin}\n\n{text}\n{end}{after}", encoding="utf-8")


def _line(row: Row) -> str:
    cells = [
        row.kind.sensor,
        "yes" if row.kind.counter else "no",
        row.workload,
        f"{row.duration_s:g}",
        *(_three(row.figures(method)) for method in METHODS),
        f"{100 * row.inside / len(row.trials):.0f} %",
        f"{statistics.median(trial.width for trial in row.trials):.1f}",
        row.verdict,
        row.why,
    ]
    return f"| {' | '.join(cells)} |"


def _three(figures: Figures | None) -> str:
    return "n/a" if figures is None else " / ".join(f"{figure:.2f}" for figure in figures)


def _behind(row: Row, *, without_card: bool) -> list[tuple[int, Method]]:
    ours = row.figures("ours", without_card=without_card)
    assert ours is not None
    return [
        (i, method)
        for method, theirs in _others(row, without_card=without_card).items()
        for i in range(len(_FIGURES))
        if ours[i] > theirs[i] and not _equal(ours[i], theirs[i])
    ]


def _others(row: Row, *, without_card: bool) -> dict[Method, Figures]:
    found = {m: row.figures(m, without_card=without_card) for m in METHODS if m != "ours"}
    return {method: figures for method, figures in found.items() if figures is not None}


def _equal(a: float, b: float) -> bool:
    return abs(a - b) <= max(EQUAL_POINTS, EQUAL_SHARE * max(a, b))
