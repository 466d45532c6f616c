"""Bounds of energy where a host's stamps and the scheduler's clock are adrift hold both clocks.

A job list has the times of a scheduler, readings the stamps of their host. While they are adrift,
nothing says which of them is UTC: the energy of the job's span by either must lie in the bounds.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S

EDGE = T0 + HOUR_US
LOW_W, HIGH_W, TURN_S = 100, 600, 70
"""Power before and after a turn near the end of the job, seconds after the hour's edge."""


def watts(second: int) -> int:
    return HIGH_W if second >= TURN_S else LOW_W


def joules(start_s: int, end_s: int) -> int:
    """Return what the board drew between two stamps, seconds after the hour's edge."""
    return sum(watts(second) for second in range(start_s, end_s))


def lake_of(root: Path, off_s: int, *, asleep: bool) -> LakeBuilder:
    """A board with an exact counter, whose host's clocks move by `off_s` at the hour's edge."""
    builder = LakeBuilder(root)
    learned = {"update_us": S, "learned_us": S, "counter_us": 0, "sensor_kind": "instant"}
    builder.device("A", **learned)
    seconds = range(-300, 301)
    counters = {EDGE + s * S: 1000 * joules(-300, s) for s in seconds}
    readings = [(EDGE + s * S, 1000 * watts(s)) for s in seconds]
    builder.power("A", readings, counters=counters)
    builder.job("j", "A", EDGE - 90 * S, EDGE + 90 * S)
    for second in range(-290, 300, 60):
        moved = off_s * S if second > 0 else 0
        stamp, boot = EDGE + second * S, (1000 + second) * S
        notes = {"ts_us": stamp, "node": "n1", "monotonic_us": boot, "realtime_us": stamp + moved}
        builder.add("clock", [{**notes, "boottime_us": boot + (moved if asleep else 0)}])
    return builder


@pytest.mark.parametrize(
    ("off_s", "asleep"), [(-45, False), (3, False), (45, False), (3, True), (45, True)]
)
def test_the_bounds_hold_the_span_by_either_clock(tmp_path: Path, off_s: int, asleep: bool) -> None:
    lake = lake_of(tmp_path / "lake", off_s, asleep=asleep).build()
    (row,) = lake.read("job_index").to_pylist()
    assert "clock_step" in row["reason_codes"].split(",")
    # The stamps are right; or the wall clock is, after the step alone or all the time.
    for start_s, end_s in ((-90, 90), (-90, 90 - off_s), (-90 - off_s, 90 - off_s)):
        truth_nj = joules(start_s, end_s) * 10**9
        assert row["e_gpu_low_nj"] <= truth_nj <= row["e_gpu_high_nj"]


def test_where_the_clocks_agree_the_bounds_stay_narrow(tmp_path: Path) -> None:
    lake = lake_of(tmp_path / "lake", 0, asleep=False).build()
    (row,) = lake.read("job_index").to_pylist()
    truth_nj = joules(-90, 90) * 10**9
    assert row["e_gpu_nj"] == truth_nj
    assert row["e_gpu_high_nj"] - row["e_gpu_low_nj"] <= truth_nj // 3
