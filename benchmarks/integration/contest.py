"""How contestants are timed and compared.

In: for each contestant a function that computes all statistics, and one that brings its result
into the common order. Out: its times, and whether all results are equal, bit for bit.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tokenergy_transforms.batch import Result

Columns = dict[str, np.ndarray]

COMPARED = (
    "readings",
    "covered_us",
    "max_gap_us",
    "energy_nj",
    "min_mw",
    "mean_mw",
    "max_mw",
    "p50_mw",
    "p95_mw",
    "p99_mw",
    "rise_mw_s",
    "fall_mw_s",
    "counter_nj",
)
"""What every contestant computes of every window, in the names of `Result`."""

SLOW_S = 30.0
SLOW_RUNS = 2
"""A contestant that takes longer than that for its first run gets no more runs than these."""


@dataclass
class Contestant:
    """One way to compute all statistics.

    Attributes:
        name: as the table shows it.
        prepare: brings the data into its best form, not timed; returns the timed function.
        columns: brings what the timed function returned into the order of the segments.
        runs_s: times of the counted runs.
        first_s: time of the first run, which is not counted.
    """

    name: str
    prepare: Callable[[], Callable[[], Any]]
    columns: Callable[[Any], Columns]
    runs_s: list[float] = field(default_factory=list)
    first_s: float = 0.0

    @property
    def median_s(self) -> float:
        """The median of the counted runs."""
        return statistics.median(self.runs_s)


def of_result(result: Result) -> Columns:
    """Return the compared columns of a result of the product or of the twin."""
    return {name: getattr(result, name) for name in COMPARED}


def time_all(contestants: list[Contestant], runs: int, say: Callable[[str], None]) -> list[str]:
    """Compare each contestant with the first, then time them in turn, round by round.

    Rounds spread other load of the machine over all contestants. Before each counted run the same
    contestant runs once uncounted: on a virtual machine, the first run after a peer that freed
    gigabytes waits for the host to back that memory again, which took as long as the work itself.

    Returns:
        In words, each column in which one differs from the first; empty if none does. If one
        does, nothing is timed.
    """
    expected: Columns = {}
    differing: list[str] = []
    ready = []
    for contestant in contestants:
        say(f"{contestant.name}: first run")
        run = contestant.prepare()
        contestant.first_s, found = _timed(run)
        got = contestant.columns(found)
        expected = expected or got
        differing += [f"{contestant.name}: {line}" for line in differences(expected, got)]
        ready.append(run)
        del found, got
    if differing:
        return differing
    for number in range(runs):
        say(f"round {number + 1} of {runs}")
        for contestant, run in zip(contestants, ready, strict=True):
            if contestant.first_s <= SLOW_S or number < SLOW_RUNS:
                run()
                contestant.runs_s.append(_timed(run)[0])
    return []


def _timed(run: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    found = run()
    return time.perf_counter() - begin, found


def differences(expected: Columns, got: Columns) -> list[str]:
    """Return, in words, the columns whose bits differ; integers may have any width."""
    found = []
    for name in COMPARED:
        want, have = expected[name], got[name]
        if want.dtype.kind == "i":
            want, have = want.astype(np.int64), have.astype(np.int64)
        if want.shape != have.shape:
            found.append(f"{name} has {have.size} values, expected {want.size}")
        elif want.tobytes() != have.tobytes():
            at = int(np.flatnonzero(want != have)[0])
            found.append(f"{name} is {have[at]} in segment {at}, expected {want[at]}")
    return found
