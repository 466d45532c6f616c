"""The driver is reloaded: boards are gone for a while, handles invalid, counters at zero."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.faults import Outcome

FAULT = '[[faults]]\nkind = "driver_reload"\nnode = "n1"\nat_s = 100.03\nfor_s = 12\n'


@pytest.fixture(scope="module")
def reloaded(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return Outcome(tmp_path_factory.mktemp("reload"), FAULT)


def test_every_board_is_lost_found_and_in_a_new_epoch(reloaded: Outcome) -> None:
    for board in range(4):
        mine = [e for e in reloaded.events("lost", "found", "counter_reset") if e[1] == board]
        assert mine == [
            ("lost", board, 100.05),
            ("found", board, 115.05),
            ("counter_reset", board, 115.05),
        ]
        rows = reloaded.power(board)
        assert {(r["epoch"], r["at_s"] > 110) for r in rows} == {(0, False), (1, True)}
        first = next(r for r in rows if r["epoch"] == 1)
        # The counter began at zero when the driver was back, at 112.03 s.
        assert 0 < first["energy_mj"] < 3.1 * 730_000


def test_the_time_between_is_missing_and_nothing_is_invented(reloaded: Outcome) -> None:
    reloaded.assert_sound()
    for board in range(4):
        inside = reloaded.booked(board, 102, 115)
        assert {(r["method"], r["energy_nj"]) for r in inside} == {("missing", None)}
    for name, boards in (("serve", 1), ("train", 2)):
        job = reloaded.jobs[name]
        lost_nj = job.true_nj - (job.found_nj or 0)
        assert 0 < lost_nj < boards * 15.1 * 730e9
        assert job.unmetered_nj == pytest.approx(boards * 15.05 * 700e9, rel=0.01)
    assert abs(reloaded.jobs["late"].error or 1) < 1e-6


def test_a_reload_between_two_readings_costs_a_second(tmp_path: Path) -> None:
    fault = '[[faults]]\nkind = "driver_reload"\nnode = "n1"\nat_s = 165.01\nfor_s = 0.02\n'
    outcome = Outcome(tmp_path, fault)
    outcome.assert_sound()
    assert [e[:2] for e in outcome.events("lost", "found", "counter_reset") if e[1] == 0] == [
        ("lost", 0),
        ("found", 0),
        ("counter_reset", 0),
    ]
    assert abs(outcome.jobs["serve"].error or 1) < 0.01
