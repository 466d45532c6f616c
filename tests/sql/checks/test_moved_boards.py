"""A board that is found on another node while a job still claims it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tokenergy_sql.checks.checking import run_checks

J = 1_000_000_000


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    """Board A of 100 W on n1 and B of 200 W on n2 are swapped at 30 s; all is read to 60 s."""
    builder = LakeBuilder(tmp_path / "lake")
    for after_s, names in ((0, "AB"), (30, "BA")):
        for node, name in zip(("n1", "n2"), names, strict=True):
            begin_us = T0 + after_s * S
            builder.device(name, node=node, ts_us=begin_us)
            power_mw = 100_000 if name == "A" else 200_000
            builder.power(name, level(power_mw, begin_us, begin_us + 30 * S, S), node=node)
    return builder


def test_the_time_after_it_stays_claimed(builder: LakeBuilder) -> None:
    builder.job("e", "0", T0 + 10 * S, T0 + 50 * S)
    lake = builder.build()
    (job,) = lake.read("job_index").to_pylist()
    assert (job["device_us"], job["unseen_us"], job["devices"]) == (40 * S, 20 * S, 1)
    assert (job["e_gpu_nj"], job["coverage"]) == (2_000 * J, 0.5)
    assert "gap" in job["reason_codes"].split(",")
    # Whatever ran there drew from nothing to the limit of 700 W.
    assert job["e_gpu_low_nj"] <= 2_000 * J
    assert job["e_gpu_high_nj"] >= 2_000 * J + 20 * 700 * J
    found = {f.name: f.rows for f in run_checks(lake) if f.rows}
    why = "its board was found on another node"
    assert found == {"claims_are_booked": [("e", "n1", "n1/A", 20.0, 0.0, why)]}


@pytest.mark.parametrize("end_s", [29.5, 30, 50, None])
@pytest.mark.parametrize("other", [False, True])
def test_readings_at_the_swap_itself_are_booked(
    builder: LakeBuilder, end_s: float | None, other: bool
) -> None:
    builder.job("e", "0", T0 + 10 * S, None if end_s is None else T0 + int(end_s * S))
    if other:
        builder.job("f", "0", T0 + 35 * S, T0 + 50 * S, node="n2")
    lake = builder.build()
    assert [f.name for f in run_checks(lake) if f.breach] == []
    joules = {row["job_id"]: row["e_gpu_nj"] // J for row in lake.read("job_index").to_pylist()}
    assert joules == {"e": 1_950 if end_s == 29.5 else 2_000, **({"f": 1_500} if other else {})}
