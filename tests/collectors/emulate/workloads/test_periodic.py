"""Period-locked loads: energy and tokens by closed form, and what sensors make of them."""

import math
from itertools import pairwise

import pytest

from tests.support.emulated import Walk
from tokenergy_collectors.emulate.profile import blueprint
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.emulate.workloads.periodic import Periodic, PeriodicSpec
from tokenergy_collectors.emulate.workloads.timeline import CELL_US

START_US, END_US = 5_003_000, 41_234_567
HIGH_W, LOW_W = 600.0, 150.0


def load(**keys):
    values = {"type": "periodic", "model": "m", "frequency_hz": 2.5, **keys}
    return Periodic(PeriodicSpec.model_validate(values), 1, "job", START_US, END_US)


def walk(board=(), **keys):
    """A node of one board whose power follows its load within a cell, without ripple."""
    values = {
        "name": "one",
        "start": "2026-01-15T08:00:00Z",
        "duration_s": 60.0,
        "seed": 7,
        "boards": {
            "b": {
                "name": "b",
                "idle_w": 80.0,
                "limit_w": 700.0,
                "ripple": 0.0,
                "rise_us": 100.0,
                "fall_us": 100.0,
                **dict(board),
            }
        },
        "nodes": {"n1": {"boards": "b", "count": 1}},
        "jobs": [
            {
                "id": "swing",
                "devices": {"n1": [0]},
                "start_s": START_US / 1e6,
                "end_s": END_US / 1e6,
                "workload": {"type": "periodic", "model": "m", **keys},
            }
        ],
    }
    return Walk(Profile.model_validate(values, strict=False))


def joules(from_us, to_us, *, frequency_hz, shape="square", duty=0.5, phase=0.0):
    """The integral of the demand, written down once more: by edges, or by the primitive."""
    period_s = 1 / frequency_hz
    a, b = ((at_us - START_US) / 1e6 + phase * period_s for at_us in (from_us, to_us))
    if shape == "sine":
        w = 2 * math.pi * frequency_hz
        mean, swing = (HIGH_W + LOW_W) / 2, (HIGH_W - LOW_W) / 2
        return mean * (b - a) + swing / w * (math.cos(w * a) - math.cos(w * b))
    first, last = math.floor(a / period_s), math.ceil(b / period_s)
    edges = sorted(
        {a, b}
        | {n * period_s for n in range(first, last + 1)}
        | {(n + duty) * period_s for n in range(first, last + 1)}
    )
    total = 0.0
    for left, right in pairwise(edge for edge in edges if a <= edge <= b):
        turn = (left + right) / 2 / period_s
        total += (HIGH_W if turn - math.floor(turn) < duty else LOW_W) * (right - left)
    return total


SHAPES = [
    {"frequency_hz": 2.5},
    {"frequency_hz": 10.0, "duty": 0.3, "phase": 0.25},
    {"frequency_hz": 9.9, "duty": 0.7},
    {"frequency_hz": 0.2, "shape": "sine"},
    {"frequency_hz": 33.3, "shape": "sine", "phase": 0.125},
    {"frequency_hz": 1.0, "duty": 0.0},
    {"frequency_hz": 1.0, "duty": 1.0},
]


@pytest.mark.parametrize("keys", SHAPES)
def test_demand_of_any_cells_is_the_closed_form(keys):
    workload = load(**keys)
    for first_us, count in ((0, 9_000), (5_000_000, 1), (5_000_000, 2), (12_345_000, 77)):
        cells = workload.cells(first_us, count)
        inside = [min(max(at, START_US), END_US) for at in (first_us, first_us + count * CELL_US)]
        found = float(cells.power_mw.sum()) * CELL_US / 1e9
        assert found == pytest.approx(joules(*inside, **keys), rel=1e-9, abs=1e-6)
        covered_us = float(cells.covered.sum()) * CELL_US
        assert covered_us == pytest.approx(inside[1] - inside[0], abs=1e-3)


@pytest.mark.parametrize("keys", SHAPES)
def test_true_energy_is_the_closed_form(keys):
    there = walk(**keys)
    there.to(60_000_000)
    truth = {row["row"]: row for row in there.node.truth()}
    found = truth["board"]["energy_nj"] / 1e9
    idle = 80.0 * (60 - (END_US - START_US) / 1e6)
    # Cells are whole milliwatts (half a milliwatt over a minute); the faster lag of 100 us carries
    # nothing that matters from cell to cell.
    assert found == pytest.approx(joules(START_US, END_US, **keys) + idle, abs=0.04)


def test_tokens_are_those_of_whole_periods():
    workload = load(frequency_hz=2.5, tokens_per_period=7)
    workload.advance(END_US)
    ends = [START_US - 1, START_US, START_US + 399_999, START_US + 400_000, END_US, END_US + 10**7]
    assert [workload.totals_at(at)[0] for at in ends] == [0, 0, 0, 7, 90 * 7, 90 * 7]


def test_a_locked_sensor_is_steadily_wrong_and_the_counter_is_not():
    there = walk({"sensor": "25/100"}, frequency_hz=10, duty=0.5)
    board = there.node.boards[0]
    sensor = blueprint.sensor(there.node.profile, "n1", 0)
    readings = {board.power_instant_mw(at) for at in range(10_000_000, 20_000_000, 50_000)}
    assert max(readings) - min(readings) < 100, "every refresh sees the same part of the swing"
    mean_mw = (board.energy_mj(30_000_000) - board.energy_mj(20_000_000)) / 10
    assert mean_mw == pytest.approx(375_000, rel=0.001)
    assert abs(readings.pop() - mean_mw) > 50_000, sensor.phase_us


def test_a_low_level_above_the_high_one_is_an_error():
    with pytest.raises(ValueError, match=r"low_w = 700: expected at most high_w = 600"):
        load(low_w=700.0)
