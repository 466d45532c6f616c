"""The same time above and below the line, and time that a job claimed and nothing recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.index.site import Site

DAY_US = 24 * HOUR_US
RATE = 10
"""Tokens a second; a board of 100 W then needs 10 J for each."""


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    """One board that draws 100 W through an hour."""
    found = LakeBuilder(tmp_path / "lake")
    found.device("A")
    found.power("A", level(100_000, T0, T0 + HOUR_US, S))
    return found


def ask(lake: Lake, sql: str) -> list[dict[str, Any]]:
    with catalog.connect(lake, adhoc=True) as con:
        result = con.sql(sql)
        return [dict(zip(result.columns, row, strict=True)) for row in result.fetchall()]


def job_of(builder: LakeBuilder) -> dict[str, Any]:
    lake = builder.build(Site(1_000_000, 200_000, {}))
    (row,) = ask(lake, "FROM job_index WHERE job_id = 'j'")
    return row


def codes(row: dict[str, Any]) -> set[str]:
    return set(row["reason_codes"].split(",")) - {"", "no_host_power", "no_pue"}


def read(builder: LakeBuilder, start_s: int, end_s: int, **more: Any) -> None:
    """Read the job's counter every 10 s from one second of the hour to another."""
    values = [(T0 + s * S, RATE * s) for s in range(start_s, end_s + 1, 10)]
    builder.tokens("j", values, **more)


def test_an_endpoint_that_died_is_unknown_afterwards(builder: LakeBuilder) -> None:
    """Of an hour ten minutes were read: the figure is theirs, not six times too much."""
    builder.job("j", "A", T0, T0 + HOUR_US)
    read(builder, 0, 600)
    row = job_of(builder)
    assert (row["e_gpu_j"], row["n_generated"]) == (360_000, 6_000)
    assert row["te_gpu_out"] == 10.0
    assert codes(row) == {"partial_tokens"}
    assert row["token_coverage"] == row["joint_coverage"] == pytest.approx(1 / 6)
    assert row["coverage"] == 1.0


def test_too_little_is_known_together_for_a_ratio(builder: LakeBuilder) -> None:
    """Of an hour five minutes were read: less than the stated tenth."""
    builder.job("j", "A", T0, T0 + HOUR_US)
    read(builder, 0, 300)
    row = job_of(builder)
    assert (row["te_gpu_out"], row["tokenergy"], row["te_gpu_high"]) == (None, None, None)
    assert codes(row) == {"partial_tokens", "low_joint_coverage"}
    assert float(row["e_joint_nj"]) / 1e9 / row["n_joint"] == 10.0


def test_most_of_the_time_is_enough_for_a_ratio(builder: LakeBuilder) -> None:
    builder.job("j", "A", T0, T0 + HOUR_US)
    read(builder, 0, 2400)
    row = job_of(builder)
    assert codes(row) == {"partial_tokens"}
    assert (row["te_gpu_out"], row["token_coverage"]) == (10.0, pytest.approx(2 / 3))
    assert row["tokenergy"] == pytest.approx(30.0), "the host's 200 W are those of that time"
    assert row["te_gpu_low"] < 10.0 < row["te_gpu_high"] < 12.0
    (day,) = ask(builder.lake, "FROM tokenergy_by('day')")
    assert (day["te_gpu"], day["token_coverage"]) == (10.0, pytest.approx(2 / 3))
    assert "partial_tokens" in day["reason_codes"]


def test_an_hour_after_the_endpoint_died_has_no_tokens_and_not_zero(builder: LakeBuilder) -> None:
    builder.power("A", level(100_000, T0 + HOUR_US, T0 + 2 * HOUR_US, S))
    builder.job("j", "A", T0, T0 + 2 * HOUR_US)
    read(builder, 0, 3500)
    job_of(builder)
    first, second = ask(builder.lake, "FROM job_hour_index ORDER BY hour_us")
    assert first["te_gpu_out"] == 10.0
    assert (second["n_generated"], second["te_gpu_out"]) == (None, None)
    assert "partial_tokens" in codes(second)
    assert "zero_tokens" not in codes(second)


def test_a_server_that_was_up_for_ten_days(builder: LakeBuilder) -> None:
    """What it made before the collector came is in no ratio, and no hour is derived for it."""
    start_us = T0 - 10 * DAY_US
    builder.job("j", "A", start_us, T0 + HOUR_US)
    made = 10 * 24 * 3600 * RATE
    values = [(T0 + s * S, made + RATE * s) for s in range(0, 3601, 10)]
    builder.tokens("j", values, since_us=start_us)
    row = job_of(builder)
    assert [h["hour_us"] for h in ask(builder.lake, "FROM job_hour_index")] == [T0]
    assert row["device_us"] == 10 * DAY_US + HOUR_US
    assert row["joint_coverage"] == pytest.approx(1 / 241)
    assert codes(row) == {"gap", "partial_tokens", "low_joint_coverage"}
    assert row["te_gpu_out"] is None
    assert float(row["e_joint_nj"]) / 1e9 / row["n_joint"] == 10.0
    # any board may have drawn up to its limit of 700 W for ten days
    assert float(row["e_gpu_high_nj"]) / 1e9 > 700 * 10 * 24 * 3600
    (hour,) = ask(builder.lake, "SELECT te_gpu FROM tokenergy_by('hour')")
    assert hour["te_gpu"] == 10.0


def test_a_gap_of_the_power_is_in_no_ratio(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A")
    readings = level(100_000, T0, T0 + HOUR_US, S)
    builder.power("A", [r for r in readings if not T0 + 600 * S < r[0] < T0 + 1200 * S])
    builder.job("j", "A", T0, T0 + HOUR_US)
    read(builder, 0, 3600)
    row = job_of(builder)
    assert row["n_generated"] == 36_000
    assert row["te_gpu_out"] == pytest.approx(10.0)
    assert (row["coverage"], row["joint_coverage"]) == (pytest.approx(5 / 6), pytest.approx(5 / 6))
    assert row["te_gpu_high"] < 12.0
    assert codes(row) == {"gap"}


def test_a_board_that_nobody_collected_is_claimed(builder: LakeBuilder) -> None:
    """Half of a job's boards are unseen: the energy may be that much higher, and says so."""
    for node, device in (("n1", "A"), ("n2", "B")):
        builder.job("j", device, T0, T0 + 60 * S, node=node)
    read(builder, 0, 60)
    row = job_of(builder)
    assert (row["e_gpu_j"], row["devices"], row["device_us"]) == (6_000, 2, 120 * S)
    assert (row["coverage"], row["unseen_us"]) == (0.5, 60 * S)
    assert codes(row) == {"gap"}
    # the largest limit that the lake knows is 700 W
    assert float(row["e_gpu_high_nj"]) / 1e9 > 6_000 + 60 * 700
    assert row["te_gpu_high"] > 80
    parts = ask(builder.lake, "FROM job_device ORDER BY device_id NULLS LAST")
    assert [(p["device_id"], p["device_us"]) for p in parts] == [("A", 60 * S), (None, 60 * S)]
    assert sum(p["e_gpu_high_nj"] for p in parts) == row["e_gpu_high_nj"]


def test_a_job_of_which_nothing_was_recorded(builder: LakeBuilder) -> None:
    builder.job("j", "nowhere", T0, T0 + 60 * S)
    read(builder, 0, 60)
    row = job_of(builder)
    assert (row["e_gpu_j"], row["coverage"], row["device_us"]) == (None, 0.0, 60 * S)
    assert codes(row) == {"no_energy"}
    assert float(row["e_gpu_high_nj"]) / 1e9 == 60 * 700


def test_an_hour_of_a_mixed_job_has_bounds(builder: LakeBuilder) -> None:
    builder.power("A", level(100_000, T0 + HOUR_US, T0 + 2 * HOUR_US, S))
    builder.job("j", "A", T0, T0 + 2 * HOUR_US)
    read(builder, 0, 3600)
    builder.tokens("j", [(T0 + HOUR_US, 0), (T0 + 2 * HOUR_US, 900)], kind="trained")
    row = job_of(builder)
    assert (row["n_joint"], row["te_gpu_low"]) == (None, None)
    assert "mixed_workload" in codes(row)
    for hour in ask(builder.lake, "FROM job_hour_index"):
        ratio = hour["te_gpu_out"] or hour["te_train"]
        assert (ratio is None) == (hour["te_gpu_low"] is None) == (hour["te_gpu_high"] is None)
