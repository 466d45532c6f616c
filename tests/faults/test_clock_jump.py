"""The wall clock is set back and ahead: no stamp moves, and servers that start later are placed."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.support.faults import START_US, Outcome, S

FAULTS = """
[[faults]]
kind = "clock_jump"
node = "n1"
at_s = 100.03
by_s = -3600

[[faults]]
kind = "clock_jump"
node = "n1"
at_s = 140.03
by_s = 7500
"""


@pytest.fixture(scope="module")
def jumped(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return Outcome(tmp_path_factory.mktemp("jump"), FAULTS)


def test_each_step_is_told_within_a_second_and_kept(jumped: Outcome) -> None:
    assert jumped.events("clock_step") == [("clock_step", None, 101.0), ("clock_step", None, 141.0)]
    rows = jumped.lake.read("clock").to_pylist()
    off_s = {(r["ts_us"] - START_US) // S: (r["realtime_us"] - r["ts_us"]) / S for r in rows}
    assert off_s == {
        0: 0,
        60: 0,
        101: -3600,
        120: -3600,
        141: 3900,
        180: 3900,
        240: 3900,
        300: 3900,
    }


def test_no_stamp_moves_and_nothing_is_repeated(jumped: Outcome) -> None:
    jumped.assert_sound()
    for board in range(4):
        stamps = [r["at_s"] for r in jumped.power(board)]
        assert (stamps[0], stamps[-1]) == (0, 300)
        assert max(b - a for a, b in pairwise(stamps)) <= 1.0
    assert jumped.events("lost", "counter_reset", "late") == []
    for job in jumped.jobs.values():
        assert abs(job.error or 1) < 1e-6
        assert job.unmetered_nj == 0


def test_a_server_that_started_after_a_step_is_placed_where_it_started(jumped: Outcome) -> None:
    rows = jumped.lake.read("tokens").to_pylist()
    since_s = {
        r["job_id"]: (r["since_us"] - START_US) / S for r in rows if r["since_us"] is not None
    }
    assert since_s["late"] == pytest.approx(150.75)
    assert since_s["serve"] == pytest.approx(20.123457)
    assert {r["epoch"] for r in rows} == {0}
