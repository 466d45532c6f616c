"""A board that is found on another node while a job still claims it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tokenergy_sql.checks.checking import run_checks

J = 1_000_000_000


def add_swapped(builder: LakeBuilder, prefix: str = "") -> None:
    """Add board A of 100 W on n1 and B of 200 W on n2, swapped at 30 s; all is read to 60 s."""
    for after_s, names in ((0, "AB"), (30, "BA")):
        for node, name in zip(("n1", "n2"), names, strict=True):
            begin_us = T0 + after_s * S
            builder.device(f"{prefix}{name}", node=f"{prefix}{node}", ts_us=begin_us)
            power_mw = 100_000 if name == "A" else 200_000
            readings = level(power_mw, begin_us, begin_us + 30 * S, S)
            builder.power(f"{prefix}{name}", readings, node=f"{prefix}{node}")


def test_the_time_after_it_stays_claimed(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    add_swapped(builder)
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


ENDS_S = (29.5, 30, 50, None)
OTHERS = (False, True)


@pytest.fixture(scope="module")
def joules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """What each job bears; each case has two boards and nodes of its own."""
    builder = LakeBuilder(tmp_path_factory.mktemp("moved") / "lake")
    for end_s in ENDS_S:
        for other in OTHERS:
            name = f"{end_s}-{other}-"
            add_swapped(builder, name)
            end_us = None if end_s is None else T0 + int(end_s * S)
            builder.job(f"{name}e", "0", T0 + 10 * S, end_us, node=f"{name}n1")
            if other:
                builder.job(f"{name}f", "0", T0 + 35 * S, T0 + 50 * S, node=f"{name}n2")
    lake = builder.build()
    assert [f.name for f in run_checks(lake) if f.breach] == []
    return {row["job_id"]: row["e_gpu_nj"] // J for row in lake.read("job_index").to_pylist()}


@pytest.mark.parametrize("end_s", ENDS_S)
@pytest.mark.parametrize("other", OTHERS)
def test_readings_at_the_swap_itself_are_booked(
    joules: dict[str, int], end_s: float | None, other: bool
) -> None:
    name = f"{end_s}-{other}-"
    own = {job.removeprefix(name): nj for job, nj in joules.items() if job.startswith(name)}
    assert own == {"e": 1_950 if end_s == 29.5 else 2_000, **({"f": 1_500} if other else {})}
