"""Boards whose calls take long: the others go on, and edges are kept."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.faults import Outcome


def fault(devices: str, call_ms: int, at_s: float = 100.03, for_s: float = 40.0) -> str:
    return (
        f'[[faults]]\nkind = "slow"\nnode = "n1"\ndevices = {devices}\nat_s = {at_s}\n'
        f"for_s = {for_s}\ncall_ms = {call_ms}\n"
    )


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return Outcome(tmp_path_factory.mktemp("slow"), fault("[1]", 400))


def test_it_is_reported_once_and_late_ticks_are_counted(slow: Outcome) -> None:
    assert slow.events("slow", "slow_over") == [("slow", 1, 100.45), ("slow_over", 1, 145.4)]
    assert [at_s for _, _, at_s in slow.events("late")] == [120.4, 180.0], (
        "once a minute, if at all"
    )


def test_the_slow_board_is_read_once_a_second_and_the_others_at_their_rate(slow: Outcome) -> None:
    mine = [r["at_s"] for r in slow.power(1) if 102 < r["at_s"] < 139]
    assert all(b - a < 1.5 for a, b in pairwise(mine))
    assert len(mine) < 60
    others = [r["at_s"] for r in slow.power(0) if 102 < r["at_s"] < 139]
    assert len(others) > 5 * len(mine)
    assert max(b - a for a, b in pairwise(others)) < 1.0


def test_no_gap_and_nothing_lost(slow: Outcome) -> None:
    slow.assert_sound()
    assert {r["method"] for r in slow.booked(1, 102, 139)} <= {"counter", "counter_flagged"}
    for job in slow.jobs.values():
        assert abs(job.error or 1) < 1e-3


def test_two_boards_that_take_longer_than_a_tick_do_not_hold_up_edges(tmp_path: Path) -> None:
    outcome = Outcome(tmp_path, fault("[0, 3]", 700, 10.0, 280.0))
    outcome.assert_sound()  # tokens are exact: they were scraped before the jobs' servers ended
    assert outcome.events("lost", "error") == []
    assert abs(outcome.jobs["serve"].error or 1) < 0.01
    assert abs(outcome.jobs["train"].error or 1) < 0.001
    late = outcome.jobs["late"]
    assert abs((late.found_nj or 0) - late.true_nj) < 1.4 * 730e9
