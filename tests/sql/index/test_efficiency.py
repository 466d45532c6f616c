"""Efficiency: parts by hand, and what cannot be known."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.ledger import ask, assert_checks_pass
from tests.support.phases import hours, run
from tests.support.records import Records, build, kept_in
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.efficiency import PARTS

KJ = 10**12
CAPS = (50, 60, 70, 80, 90)

RECORDS: Records = {}
record = kept_in(RECORDS)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A node, a board and a job for each record: nobody who takes them changes them."""
    return build(tmp_path_factory.mktemp("records") / "lake", RECORDS)


Rows = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def rows(lake: Lake) -> Rows:
    """The row of each job, of one hour."""
    found = hours(lake)
    assert len({row["job_id"] for row in found}) == len(found)
    return {row["job_id"]: row for row in found}


@record
def phases(builder: LakeBuilder, name: str) -> None:
    run(builder, name=name)


def test_every_phase_is_told_by_hand(rows: Rows, lake: Lake) -> None:
    row = rows["phases"]
    kilojoules = {name: float(row[name]) / KJ for name in PARTS}
    assert kilojoules == {
        "e_no_tokens_nj": pytest.approx(10, rel=1e-3),
        "e_prefill_nj": pytest.approx(60, rel=1e-3),
        "e_steady_nj": pytest.approx(100, rel=1e-3),
        "e_low_batch_nj": pytest.approx(40, rel=1e-3),
        "e_idle_nj": pytest.approx(8, rel=1e-3),
        "e_unknown_nj": 0,
    }
    assert (row["interval_us"], row["intervals"]) == (10 * S, 60)
    assert (row["steady_us"], row["n_steady"], row["n_low_batch"]) == (200 * S, 20_000, 5_000)
    assert (row["peak_tokens_s"], row["steady_tokens_s"]) == (100, 100)
    assert row["te_steady"] == float(row["e_steady_nj"]) / 1e9 / 20_000
    assert row["te_steady"] == pytest.approx(5, rel=1e-3)
    assert row["te_steady"] == pytest.approx(row["steady_w"] / row["steady_tokens_s"], rel=1e-12)
    assert row["te_steady_low"] < row["te_steady"] < row["te_steady_high"]
    # 5,000 tokens at 8 J, that cost 5 J at full rate.
    assert float(row["e_low_batch_excess_nj"]) / KJ == pytest.approx(15, rel=5e-3)
    # Prompts grew in all intervals with tokens.
    assert float(row["e_prefill_high_nj"]) / KJ == pytest.approx(200, rel=1e-3)
    assert (row["idle_us"], row["gap_us"], row["reason_codes"]) == (100 * S, 0, "")
    assert_checks_pass(lake)


def test_above_a_cap_steady_power_is_told_exactly(rows: Rows) -> None:
    row = rows["phases"]
    levels = ((100, 100), (100, 600), (200, 500), (100, 400), (100, 80))
    for cap in CAPS:
        true_kj = sum(s * max(w - 7 * cap, 0) for s, w in levels) / 1e3
        low, high = (float(row[f"over_{cap}_{bound}_nj"]) / KJ for bound in ("low", "high"))
        assert low <= true_kj * 1.001 + 0.01
        assert high >= true_kj * 0.999 - 0.01
        assert high - low < 1.0  # only the steps between phases are in doubt


@record
def swings(builder: LakeBuilder, name: str) -> None:
    builder.device(name)
    readings = [
        (t + edge, 200_000 if t // 500_000 % 2 else 600_000)
        for t in range(T0, T0 + 60 * S, 500_000)
        for edge in (0, 250_000, 499_999)
    ]
    builder.power(name, readings)
    builder.job(name, name, T0, T0 + 60 * S)


def test_above_a_cap_swinging_power_is_bounded(rows: Rows) -> None:
    """200 W and 600 W by turns of 0.5 s: the mean of a second hides what is above 420 W."""
    row = rows["swings"]
    true_kj = 60 * 0.5 * (600 - 420) / 1e3
    assert row["over_60_low_nj"] == 0
    assert float(row["over_60_high_nj"]) / KJ == pytest.approx(true_kj, rel=0.01)
    assert float(row["over_60_high_nj"]) / KJ >= true_kj * 0.999


@record
def limitless(builder: LakeBuilder, name: str) -> None:
    run(builder, name=name)
    builder.device("B", index=1, limit_mw=None)
    builder.power("B", level(300_000, T0, T0 + 60 * S))
    builder.job(name, "B", T0, T0 + 60 * S)


def test_without_a_limit_nothing_is_told_of_caps(rows: Rows) -> None:
    row = rows["limitless"]
    assert all(row[f"over_{cap}_{bound}_nj"] is None for cap in CAPS for bound in ("low", "high"))
    assert row["reason_codes"] == "no_limit"


@record
def reserved(builder: LakeBuilder, name: str) -> None:
    run(builder, ((300, 80, 0, 0, 0),), kinds=(), name=name)


def test_a_reservation_is_all_idle(rows: Rows) -> None:
    row = rows["reserved"]
    assert row["e_idle_nj"] == row["e_gpu_nj"] > 0
    assert row["reason_codes"] == "no_tokens"
    for name in ("e_steady_nj", "e_low_batch_nj", "te_steady", "steady_us", "interval_us"):
        assert row[name] is None


@record
def idles_within(builder: LakeBuilder, name: str) -> None:
    run(builder, ((9, 500, 100, 50, 100), (1, 80, 0, 0, 0)) * 12, name=name)


def test_idle_seconds_inside_the_steady_state_belong_to_it(rows: Rows, lake: Lake) -> None:
    row = rows["idles_within"]
    assert row["e_steady_nj"] == row["e_gpu_nj"]
    assert (row["e_idle_nj"], row["idle_us"], row["n_steady"]) == (0, 0, 12 * 900)
    ledger = [row for row in ask(lake, "FROM ledger") if row["job_id"] == "idles_within"]
    assert sum(row["energy_nj"] for row in ledger if row["account"] == "resident_idle") > 0


@record
def stands_still(builder: LakeBuilder, name: str) -> None:
    run(builder, ((200, 300, 0, 0, 100), (100, 80, 0, 0, 0)), name=name)


def test_counters_that_stand_still(rows: Rows) -> None:
    row = rows["stands_still"]
    assert float(row["e_no_tokens_nj"]) / KJ == pytest.approx(60, rel=1e-3)
    assert float(row["e_idle_nj"]) / KJ == pytest.approx(8, rel=1e-3)
    assert (row["te_steady"], row["reason_codes"]) == (None, "zero_tokens")


@record
def promptless(builder: LakeBuilder, name: str) -> None:
    run(builder, kinds=("generated",), name=name)


def test_without_a_counter_of_prompts_prefill_is_not_told(rows: Rows) -> None:
    row = rows["promptless"]
    assert (row["e_prefill_nj"], row["e_prefill_high_nj"]) == (None, None)
    assert row["te_steady"] == pytest.approx(5, rel=1e-3)
    assert row["reason_codes"] == "no_prompt_counter"


@record
def short(builder: LakeBuilder, name: str) -> None:
    run(builder, ((40, 500, 100, 50, 100),), name=name)


def test_a_short_job_has_no_steady_state(rows: Rows) -> None:
    row = rows["short"]
    assert (row["te_steady"], row["reason_codes"]) == (None, "few_intervals")
    assert row["e_unknown_nj"] == row["e_gpu_nj"]


@record
def rarely_read(builder: LakeBuilder, name: str) -> None:
    run(builder, ((2_400, 500, 100, 50, 100), (1_200, 400, 50, 20, 100)), every_s=30, name=name)


def test_rare_readings_make_long_intervals(rows: Rows) -> None:
    """A counter read every 30 s: ten growths are five minutes."""
    row = rows["rarely_read"]
    assert (row["interval_us"], row["intervals"], row["steady_us"]) == (300 * S, 12, 2_400 * S)
    assert row["te_steady"] == pytest.approx(5, rel=1e-3)


@record
def lumps(builder: LakeBuilder, name: str) -> None:
    builder.device(name)
    end = T0 + 2_100 * S
    builder.power(name, level(500_000, T0, end, S))
    builder.job(name, name, T0, end)
    builder.tokens(name, [(T0 + k * S, 1_000 * (k // 7)) for k in range(2_101)], kind="trained")


def test_training_in_lumps_is_not_taken_for_swinging_rates(rows: Rows) -> None:
    """A step of 1,000 tokens each 7 s, read each second: rates of single intervals would lie."""
    row = rows["lumps"]
    assert row["interval_us"] == 120 * S
    assert row["te_steady"] == pytest.approx(500 * 7 / 1_000, rel=0.01)
    assert row["e_prefill_nj"] is None
    assert "no_prompt_counter" not in row["reason_codes"]


@record
def unmetered(builder: LakeBuilder, name: str) -> None:
    builder.device(name)
    builder.tokens(name, [(T0 + k * S, k) for k in range(100)])


def test_nothing_metered(rows: Rows) -> None:
    row = rows["unmetered"]
    assert row["e_gpu_nj"] is None
    assert all(row[name] is None for name in PARTS)
    assert row["reason_codes"].split(",")[0] == "no_energy"
