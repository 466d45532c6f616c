"""An edge that a collector found by asking now and then may be as far off as it asked before."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lakes import T0, LakeBuilder, S

IDLE_W, BUSY_W = 90, 600
FOUND_S, ENDED_S = 100, 161
"""When the job was found to hold the board, and to hold it no more (s since T0)."""


def row_of(root: Path, doubt_s: int | None) -> dict[str, float]:
    """The index of a job whose start and end were found late; its board has an exact counter."""
    builder = LakeBuilder(root)
    builder.device("A", update_us=S, learned_us=S, counter_us=0, sensor_kind="instant")
    watts = [BUSY_W if 90 <= second < 165 else IDLE_W for second in range(601)]
    counters = {T0 + second * S: 1000 * sum(watts[:second]) for second in range(601)}
    readings = [(T0 + second * S, 1000 * watts[second]) for second in range(601)]
    builder.power("A", readings, counters=counters)
    doubt_us = None if doubt_s is None else doubt_s * S
    builder.job("j", "A", T0 + FOUND_S * S, T0 + ENDED_S * S, edge_doubt_us=doubt_us)
    (row,) = builder.build().read("job_index").to_pylist()
    return dict(row)


@pytest.mark.parametrize("doubt_s", [2, 10])
def test_the_bounds_hold_what_the_job_drew_wherever_its_edges_were(
    tmp_path: Path, doubt_s: int
) -> None:
    row = row_of(tmp_path / "lake", doubt_s)
    booked_s = ENDED_S - FOUND_S
    # Found late at the start: it drew more. Found late at the end: it drew less.
    for seconds in (booked_s + doubt_s, booked_s - doubt_s):
        assert row["e_gpu_low_nj"] <= seconds * BUSY_W * 10**9 <= row["e_gpu_high_nj"]


def test_the_doubt_widens_both_bounds_and_nothing_else(tmp_path: Path) -> None:
    sure, doubtful = row_of(tmp_path / "a", None), row_of(tmp_path / "b", 2)
    assert doubtful["e_gpu_j"] == sure["e_gpu_j"]
    assert doubtful["e_gpu_low_nj"] < sure["e_gpu_low_nj"]
    assert doubtful["e_gpu_high_nj"] > sure["e_gpu_high_nj"]
