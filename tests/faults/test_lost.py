"""A board that is lost and comes back: the counter bridges the gap; without one it is missing."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.faults import Outcome
from tests.support.lakes import S

FAULTS = """
[[faults]]
kind = "lost"
node = "n1"
devices = [0, 1]
at_s = 100.03
for_s = 20

[[faults]]
kind = "lost"
node = "n1"
device = 3
at_s = 140
for_s = 20
"""


@pytest.fixture(scope="module")
def bridged(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return Outcome(tmp_path_factory.mktemp("lost"), FAULTS)


def test_it_is_reported_once_and_looked_for_less_and_less_often(bridged: Outcome) -> None:
    # After 1, 2, 4, 8 and 16 s more: back at 120.03 s, it is found at 131.05 s.
    assert bridged.events("lost", "found") == [
        ("lost", 0, 100.05),
        ("lost", 1, 100.05),
        ("found", 0, 131.05),
        ("found", 1, 131.05),
        ("lost", 3, 140.0),
        ("found", 3, 171.0),
    ]
    assert bridged.events("counter_reset", "error") == []


def test_nothing_is_recorded_meanwhile_and_the_epoch_goes_on(bridged: Outcome) -> None:
    for board in (0, 1):
        rows = bridged.power(board)
        [gap] = [(a, b) for a, b in pairwise(rows) if b["at_s"] - a["at_s"] > 1.5]
        assert (gap[0]["at_s"], gap[1]["at_s"]) == (100.0, 131.05)
        assert gap[1]["energy_mj"] is not None
        assert {r["epoch"] for r in rows} == {0}


def test_the_counter_bridges_it_and_the_jobs_on_it_lose_nothing(bridged: Outcome) -> None:
    bridged.assert_sound()
    inside = bridged.booked(0, 102, 131)
    assert {r["method"] for r in inside} == {"counter_gap"}
    assert all(r["energy_nj"] > 0 for r in inside)
    # The segments in which readings cease and begin again are in their runs.
    assert sum(r["covered_us"] for r in inside) < 2 * S
    assert sum(r["device_us"] for r in inside) >= 29 * S
    assert abs(bridged.jobs["serve"].error or 1) < 1e-6
    assert abs(bridged.jobs["train"].error or 1) < 1e-6


def test_a_job_that_began_in_the_gap_is_known_only_within_its_bounds(bridged: Outcome) -> None:
    late = bridged.jobs["late"]
    assert late.unmetered_nj > 0
    assert abs((late.found_nj or 0) - late.true_nj) < late.unmetered_nj
    assert late.unmetered_nj < 0.4 * late.true_nj


def test_without_a_counter_it_is_missing_and_not_invented(tmp_path: Path) -> None:
    outcome = Outcome(tmp_path, FAULTS, '"counter"')
    outcome.assert_sound()
    inside = outcome.booked(0, 102, 131)
    assert {(r["method"], r["account"], r["energy_nj"]) for r in inside} == {
        ("missing", "gap", None)
    }
    serve = outcome.jobs["serve"]
    # Its own account: 31 s of at most 700 W are missing, and nothing else.
    assert 0 < serve.true_nj - (serve.found_nj or 0) < 31.1 * 700e9
    assert serve.high_nj is not None
    assert serve.high_nj > serve.true_nj


def test_a_board_lost_to_the_end_leaves_the_rest_missing(tmp_path: Path) -> None:
    fault = '[[faults]]\nkind = "lost"\nnode = "n1"\ndevice = 2\nat_s = 260\nfor_s = 100\n'
    outcome = Outcome(tmp_path, fault)
    outcome.assert_sound()
    assert outcome.events("lost", "found") == [("lost", 2, 260.0)]
    assert {r["method"] for r in outcome.booked(2, 261, 270.1)} == {"missing"}
    assert outcome.jobs["train"].unmetered_nj == pytest.approx(10 * 700e9, rel=0.01)
