"""An energy counter that is read every few seconds: its line between readings widens the bounds.

A board of 60 W draws 300 W from the edge of a slot on. Its counter is read every 5 s, 3 s before
that edge and 2 s after it, so its line puts energy before the edge that was drawn after it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import T0, LakeBuilder, S
from tests.support.ledger import ask, assert_checks_pass

IDLE_MW, BUSY_MW = 60_000, 300_000
MOST_MW = BUSY_MW * 105 // 100
SLOT_S, NEXT_S, LAST_S = 30, 60, 90
EVERY_FIVE = tuple(range(2, LAST_S, 5))
ALWAYS = tuple(range(LAST_S + 1))
AT_SLOTS = (0, 30, 60, 90)


@dataclass(frozen=True)
class Case:
    """A board with a job, in seconds; its meters' gain, and when counter and power are read."""

    start_s: float
    end_s: float
    gain: float = 0.0
    counted: Sequence[int] = EVERY_FIVE
    silence: Sequence[int] = ()

    @property
    def span_us(self) -> tuple[int, int]:
        return T0 + round(self.start_s * S), T0 + round(self.end_s * S)


@dataclass(frozen=True)
class Bounds:
    """Of a job, in nJ."""

    low: int
    high: int

    @property
    def width(self) -> int:
        return self.high - self.low


def power_mw(second: int) -> int:
    return BUSY_MW if SLOT_S < second < 50 else IDLE_MW


def energy_nj(at_us: int) -> int:
    """The true energy since T0; power is linear between whole seconds."""
    second, part = divmod(at_us - T0, S)
    before = sum((power_mw(n) + power_mw(n + 1)) * S // 2 for n in range(second))
    rise = power_mw(second + 1) - power_mw(second)
    return before + power_mw(second) * part + rise * part * part // (2 * S)


def bounds(root: Path, cases: Sequence[Case]) -> list[Bounds]:
    """Return the bounds of each job, all in one lake."""
    builder = LakeBuilder(root)
    about: dict[str, Any] = {
        "update_us": 20_000,
        "learned_us": 20_000,
        "sensor_kind": "instant",
        "counter_us": 0,
    }
    for n, case in enumerate(cases):
        board = f"GPU-{n:03}"
        name = "Tesla V100-SXM2-16GB"
        builder.device(board, index=n, name=name, **{**about, "limit_mw": BUSY_MW})
        counters = {
            T0 + s * S: round(energy_nj(T0 + s * S) * (1 + case.gain)) // 10**6
            for s in case.counted
        }
        seconds = [s for s in range(LAST_S + 1) if s not in case.silence]
        shown = [(T0 + s * S, round(power_mw(s) * (1 + case.gain))) for s in seconds]
        builder.power(board, shown, counters=counters)
        builder.job(f"j{n:03}", board, *case.span_us)
    lake = builder.build()
    assert_checks_pass(lake)
    rows = ask(
        lake, "SELECT e_gpu_low_nj AS low, e_gpu_high_nj AS high FROM job_index ORDER BY job_id"
    )
    return [Bounds(int(row["low"]), int(row["high"])) for row in rows]


GAINS = (-0.0499, 0.0, 0.0499)
SPANS_S = ((20.3, 30.5), (20.3, 31.5), (29.5, 40.5), (30.5, 31.5), (31.5, 50.5), (32.5, 60.0))
READ = tuple(Case(*span, gain) for span in SPANS_S for gain in GAINS)

OFF_SLOTS = (2, 28, 58, 88)
INSIDE_S = (40.5, 45.5)
"""Both edges are inside a block: 2 s from readings at its start and at its end."""
BLOCKS = tuple(Case(*INSIDE_S, counted=counted) for counted in (ALWAYS, AT_SLOTS, OFF_SLOTS))

BESIDE_US = (-2, -1, 1, 2)
MOVED = tuple(Case(10, at + us / S) for at in (SLOT_S, 37, 41.5, NEXT_S) for us in BESIDE_US)

SILENT = tuple(
    Case(*span, gain, silence=range(35, 42))
    for span in ((12.5, 38.4), (12.5, 36.5), (38.4, 56.5), (33.5, 38.4))
    for gain in (-0.049, 0.049)
)
"""The silence is 7 s; the counter is read in it, 2 s after its start."""

CASES = (*READ, *BLOCKS, *MOVED, *SILENT)


@pytest.fixture(scope="module")
def all_found(tmp_path_factory: pytest.TempPathFactory) -> list[Bounds]:
    """The bounds of all cases, in their order."""
    return bounds(tmp_path_factory.mktemp("rare") / "lake", CASES)


def of(cases: Sequence[Case], all_found: list[Bounds]) -> list[Bounds]:
    """Return the bounds of cases that follow each other."""
    first = CASES.index(cases[0])
    assert CASES[first : first + len(cases)] == tuple(cases)
    return all_found[first : first + len(cases)]


def test_the_truth_lies_in_the_bounds(all_found: list[Bounds]) -> None:
    for case, found in zip(READ, of(READ, all_found), strict=True):
        start_us, end_us = case.span_us
        assert found.low <= energy_nj(end_us) - energy_nj(start_us) <= found.high, case


def test_a_reading_at_the_edges_of_slots_leaves_nothing_open(all_found: list[Bounds]) -> None:
    always, at_slots, rare = of(BLOCKS, all_found)
    assert always == at_slots
    # For each edge what is passed of the two lines adds up to one of them.
    more = sum(2 * (2 * S * MOST_MW) for _ in INSIDE_S)
    assert rare.width - always.width == pytest.approx(more, rel=0.02)


def test_the_bounds_follow_an_edge(all_found: list[Bounds]) -> None:
    """At both edges of a slot, and inside it: a microsecond moves them by its worth."""
    found = of(MOVED, all_found)
    for first in range(0, len(found), len(BESIDE_US)):
        group = found[first : first + len(BESIDE_US)]
        for one, other in itertools.pairwise(group):
            assert abs(one.low - other.low) < 30 * MOST_MW
            assert abs(one.high - other.high) < 30 * MOST_MW


def test_an_edge_in_a_silence_of_the_sensor(all_found: list[Bounds]) -> None:
    """The counter goes on while power is not read: each side is bounded from the samples' end."""
    for case, found in zip(SILENT, of(SILENT, all_found), strict=True):
        start_us, end_us = case.span_us
        assert found.low <= energy_nj(end_us) - energy_nj(start_us) <= found.high, case
