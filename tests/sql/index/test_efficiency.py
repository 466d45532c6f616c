"""Efficiency: parts by hand, against the emulator's truth, and what cannot be known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.ledger import ask, assert_checks_pass
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.start import run_collector
from tokenergy_sql.cli import app
from tokenergy_sql.index import efficiency
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_sql.terminal.efficiency import all_jobs_table, job_tables
from tokenergy_transforms.aggregate import aggregate, worklist

KJ = 10**12
PARTS = efficiency.PARTS
CAPS = (50, 60, 70, 80, 90)

Phase = tuple[int, int, int, int, int]
"""Seconds, watts, generated and prompt tokens a second, SM utilization in percent."""

PHASES: tuple[Phase, ...] = (
    (100, 100, 0, 0, 50),  # loading
    (100, 600, 1, 1_000, 100),  # prefill
    (200, 500, 100, 50, 100),  # full rate
    (100, 400, 50, 20, 100),  # low batch
    (100, 80, 0, 0, 0),  # idle
)


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    return LakeBuilder(tmp_path / "lake")


def run(
    builder: LakeBuilder,
    phases: tuple[Phase, ...] = PHASES,
    *,
    start_us: int = T0,
    every_s: int = 1,
    kinds: tuple[str, ...] = ("generated", "prompt_computed"),
) -> None:
    """One board that a job holds through some phases, its counters read every so often."""
    builder.device("A")
    readings: dict[int, int] = {}
    counts: dict[str, list[tuple[int, int]]] = {kind: [(start_us, 0)] for kind in kinds}
    gauges, at_us = [], start_us
    for seconds, watts, generated, prompt, busy in phases:
        end_us = at_us + seconds * S
        readings |= dict(level(watts * 1_000, at_us, end_us - 100_000))
        readings[end_us - 1] = watts * 1_000
        gauges += [{"ts_us": t, "device_id": "A", "sm_util": busy} for t in range(at_us, end_us, S)]
        for kind, rate in zip(kinds, (generated, prompt), strict=False):
            base = counts[kind][-1][1]
            counts[kind] += [
                (at_us + k * S, base + rate * k) for k in range(every_s, seconds + 1, every_s)
            ]
        at_us = end_us
    readings[at_us] = phases[-1][1] * 1_000
    builder.power("A", sorted(readings.items()))
    builder.add("state", gauges)
    builder.job("j", "A", start_us, at_us)
    for kind in kinds:
        builder.tokens("j", counts[kind], kind=kind)


def hours(lake: Lake) -> list[dict[str, Any]]:
    rows = ask(lake, "SELECT * FROM job_efficiency ORDER BY hour_us, job_id")
    for row in rows:
        if row["e_gpu_nj"] is not None:
            assert sum(row[name] or 0 for name in PARTS) == row["e_gpu_nj"]
        if row["n_steady"]:
            at_full_rate = int(row["e_steady_nj"]) * row["n_low_batch"] // row["n_steady"]
            assert row["e_low_batch_excess_nj"] == row["e_low_batch_nj"] - at_full_rate
    return rows


def test_every_phase_is_told_by_hand(builder: LakeBuilder) -> None:
    run(builder)
    lake = builder.build()
    (row,) = hours(lake)
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


def test_sums_beyond_53_bits_are_exact(builder: LakeBuilder) -> None:
    """Eight boards of 2 kW: no board draws so much that one would be enough."""
    builder.device("A", ts_us=T0 - S, limit_mw=2_000_000)
    run(builder, ((600, 2_001, 1_013, 7, 100), (600, 1_901, 701, 3, 100)))
    for number in range(1, 8):
        name = f"A{number}"
        builder.device(name, index=number, limit_mw=2_000_000)
        first = level(2_001_000, T0, T0 + 600 * S - 100_000)
        second = level(1_901_000, T0 + 600 * S, T0 + 1200 * S)
        builder.power(name, first + second)
        builder.job("j", name, T0, T0 + 1200 * S)
    (row,) = hours(builder.build())
    assert min(row["e_steady_nj"], row["e_low_batch_nj"]) > 2**53
    assert row["e_gpu_nj"] == row["e_steady_nj"] + row["e_low_batch_nj"] + row["e_unknown_nj"]


def test_above_a_cap_steady_power_is_told_exactly(builder: LakeBuilder) -> None:
    run(builder)  # the limit is 700 W
    (row,) = hours(builder.build())
    levels = ((100, 100), (100, 600), (200, 500), (100, 400), (100, 80))
    for cap in CAPS:
        true_kj = sum(s * max(w - 7 * cap, 0) for s, w in levels) / 1e3
        low, high = (float(row[f"over_{cap}_{bound}_nj"]) / KJ for bound in ("low", "high"))
        assert low <= true_kj * 1.001 + 0.01
        assert high >= true_kj * 0.999 - 0.01
        assert high - low < 1.0  # only the steps between phases are in doubt


def test_above_a_cap_swinging_power_is_bounded(builder: LakeBuilder) -> None:
    """200 W and 600 W by turns of 0.5 s: the mean of a second hides what is above 420 W."""
    builder.device("A")
    readings = [
        (t + edge, 200_000 if t // 500_000 % 2 else 600_000)
        for t in range(T0, T0 + 60 * S, 500_000)
        for edge in (0, 250_000, 499_999)
    ]
    builder.power("A", readings)
    builder.job("j", "A", T0, T0 + 60 * S)
    (row,) = hours(builder.build())
    true_kj = 60 * 0.5 * (600 - 420) / 1e3
    assert row["over_60_low_nj"] == 0
    assert float(row["over_60_high_nj"]) / KJ == pytest.approx(true_kj, rel=0.01)
    assert float(row["over_60_high_nj"]) / KJ >= true_kj * 0.999


def test_without_a_limit_nothing_is_told_of_caps(builder: LakeBuilder) -> None:
    run(builder)
    builder.device("B", index=1, limit_mw=None)
    builder.power("B", level(300_000, T0, T0 + 60 * S))
    builder.job("j", "B", T0, T0 + 60 * S)
    (row,) = hours(builder.build())
    assert all(row[f"over_{cap}_{bound}_nj"] is None for cap in CAPS for bound in ("low", "high"))
    assert row["reason_codes"] == "no_limit"


def test_a_reservation_is_all_idle(builder: LakeBuilder) -> None:
    run(builder, ((300, 80, 0, 0, 0),), kinds=())
    (row,) = hours(builder.build())
    assert row["e_idle_nj"] == row["e_gpu_nj"] > 0
    assert row["reason_codes"] == "no_tokens"
    for name in ("e_steady_nj", "e_low_batch_nj", "te_steady", "steady_us", "interval_us"):
        assert row[name] is None


def test_idle_seconds_inside_the_steady_state_belong_to_it(builder: LakeBuilder) -> None:
    run(builder, ((9, 500, 100, 50, 100), (1, 80, 0, 0, 0)) * 12)
    lake = builder.build()
    (row,) = hours(lake)
    assert row["e_steady_nj"] == row["e_gpu_nj"]
    assert (row["e_idle_nj"], row["idle_us"], row["n_steady"]) == (0, 0, 12 * 900)
    (idle,) = ask(lake, "SELECT sum(energy_nj) AS nj FROM ledger WHERE account = 'resident_idle'")
    assert idle["nj"] > 0


def test_counters_that_stand_still(builder: LakeBuilder) -> None:
    run(builder, ((200, 300, 0, 0, 100), (100, 80, 0, 0, 0)))
    (row,) = hours(builder.build())
    assert float(row["e_no_tokens_nj"]) / KJ == pytest.approx(60, rel=1e-3)
    assert float(row["e_idle_nj"]) / KJ == pytest.approx(8, rel=1e-3)
    assert (row["te_steady"], row["reason_codes"]) == (None, "zero_tokens")


def test_without_a_counter_of_prompts_prefill_is_not_told(builder: LakeBuilder) -> None:
    run(builder, kinds=("generated",))
    (row,) = hours(builder.build())
    assert (row["e_prefill_nj"], row["e_prefill_high_nj"]) == (None, None)
    assert row["te_steady"] == pytest.approx(5, rel=1e-3)
    assert row["reason_codes"] == "no_prompt_counter"


def test_a_short_job_has_no_steady_state(builder: LakeBuilder) -> None:
    run(builder, ((40, 500, 100, 50, 100),))
    (row,) = hours(builder.build())
    assert (row["te_steady"], row["reason_codes"]) == (None, "few_intervals")
    assert row["e_unknown_nj"] == row["e_gpu_nj"]


def test_rare_readings_make_long_intervals(builder: LakeBuilder) -> None:
    """A counter read every 30 s: ten growths are five minutes."""
    run(builder, ((2_400, 500, 100, 50, 100), (1_200, 400, 50, 20, 100)), every_s=30)
    (row,) = hours(builder.build())
    assert (row["interval_us"], row["intervals"], row["steady_us"]) == (300 * S, 12, 2_400 * S)
    assert row["te_steady"] == pytest.approx(5, rel=1e-3)


def test_a_hole_between_readings_is_unknown_unless_nothing_grew(builder: LakeBuilder) -> None:
    run(builder, ((300, 500, 100, 50, 100),))
    after = T0 + 300 * S
    # 100 s unread with growth, then 100 s unread without.
    for kind, last in (("generated", 30_000), ("prompt_computed", 15_000)):
        builder.tokens("j", [(after + 100 * S, last + 9), (after + 200 * S, last + 9)], kind=kind)
    builder.power("A", level(300_000, after + 100_000, after + 200 * S))
    builder.add(
        "state",
        [{"ts_us": after + k * S, "device_id": "A", "sm_util": 100} for k in range(200)],
    )
    builder.job("j", "A", T0, after + 200 * S, recorded_us=T0 + 1)
    (row,) = hours(builder.build())
    assert float(row["e_unknown_nj"]) / KJ == pytest.approx(30, rel=0.01)
    assert float(row["e_no_tokens_nj"]) / KJ == pytest.approx(30, rel=0.01)


def test_training_in_lumps_is_not_taken_for_swinging_rates(builder: LakeBuilder) -> None:
    """A step of 1,000 tokens each 7 s, read each second: rates of single intervals would lie."""
    builder.device("A")
    end = T0 + 2_100 * S
    builder.power("A", level(500_000, T0, end, S))
    builder.job("t", "A", T0, end)
    builder.tokens("t", [(T0 + k * S, 1_000 * (k // 7)) for k in range(2_101)], kind="trained")
    (row,) = hours(builder.build())
    assert row["interval_us"] == 120 * S
    assert row["te_steady"] == pytest.approx(500 * 7 / 1_000, rel=0.01)
    assert row["e_prefill_nj"] is None
    assert "no_prompt_counter" not in row["reason_codes"]


def test_a_restarted_server_counts_on(builder: LakeBuilder) -> None:
    run(builder, ((100, 500, 100, 50, 100),) * 4, kinds=("generated",))
    lake = builder.lake
    whole = builder.build()
    before = hours(whole)[0]["n_steady"]
    for path in lake.files("tokens"):
        path.unlink()
    reset = [(T0 + k * S, 100 * k if k < 200 else 100 * (k - 200)) for k in range(401)]
    builder.tokens("j", reset, epochs={T0 + k * S: int(k >= 200) for k in range(401)})
    (row,) = hours(builder.build())
    # One second's worth is unseen at the restart: the interval keeps 90 % of its rate.
    assert row["n_steady"] == before - 100


def test_hours_add_up_and_a_slow_hour_is_not_full_rate(builder: LakeBuilder) -> None:
    start = T0 + HOUR_US - 600 * S
    run(builder, ((600, 500, 100, 50, 100), (600, 400, 20, 10, 100)), start_us=start)
    lake = builder.build()
    first, second = hours(lake)
    assert first["te_steady"] == pytest.approx(5, rel=1e-3)
    assert second["te_steady"] == pytest.approx(20, rel=1e-3)  # steady by the hour's own measure
    (job,) = efficiency.jobs(lake)
    assert job["e_steady_nj"] == first["e_steady_nj"]
    assert job["e_low_batch_nj"] == second["e_steady_nj"]
    assert sum(job[name] or 0 for name in PARTS) == job["e_gpu_nj"]
    assert job["te_steady"] == first["te_steady"]
    assert job["over_50_low_nj"] == first["over_50_low_nj"] + second["over_50_low_nj"]
    assert job["n_low_batch"] == second["n_steady"]


def test_gaps_are_time_without_energy(builder: LakeBuilder) -> None:
    run(builder, ((300, 500, 100, 50, 100),))
    (path,) = builder.lake.files("power")
    path.unlink()
    builder.power(
        "A", level(500_000, T0, T0 + 100 * S) + level(500_000, T0 + 200 * S, T0 + 300 * S)
    )
    (row,) = hours(builder.build())
    assert row["gap_us"] == 100 * S
    assert row["gap_high_nj"] >= 100 * 700 * 10**9
    assert row["te_steady"] == pytest.approx(5, rel=1e-3)
    assert "gap" in row["reason_codes"].split(",")


def test_nothing_metered(builder: LakeBuilder) -> None:
    builder.device("A")
    builder.tokens("j", [(T0 + k * S, k) for k in range(100)])
    (row,) = hours(builder.build())
    assert row["e_gpu_nj"] is None
    assert all(row[name] is None for name in PARTS)
    assert row["reason_codes"].split(",")[0] == "no_energy"


# --- against the emulator -------------------------------------------------------------------------

STEP_S, SEATS, FULL_W, ONE_W, PREFILL_W = 0.01, 8, 486.0, 395.0, 690.0
PROFILE = """
name = "phases"
start = 2026-01-15T08:00:00Z
duration_s = 960
seed = 3
[boards.b]
name = "NVIDIA H100 80GB HBM3"
idle_w = 80
limit_w = 700
[nodes.n1]
boards = "b"
count = 2
[[jobs]]
id = "serve"
devices = { n1 = [0] }
start_s = 0
end_s = 960
[jobs.workload]
type = "inference"
model = "m"
log = "phases.csv"
load_s = 30
max_num_seqs = 8
step_us = 10_000
per_sequence_us = 0
per_prompt_token_us = 100
[[jobs]]
id = "held"
devices = { n1 = [1] }
start_s = 30
end_s = 900
workload = { type = "reservation" }
"""
FULL_TOKENS, LOW_TOKENS = 240_000, 20_000


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Full batch of 8 for 300 s, one sequence alone for 200 s, then prompts with one token each."""
    folder = tmp_path_factory.mktemp("phases")
    requests = [(0, 1, 1_000)] * (FULL_TOKENS // 1_000)
    requests += [(400_000, 1, LOW_TOKENS)]
    requests += [(660_000, 2_000, 1)] * 700
    requests += [(2_000_000, 1, 1)]
    lines = [",".join(map(str, request)) for request in requests]
    (folder / "phases.csv").write_text("\n".join(["offset_ms,context,generated", *lines]) + "\n")
    (folder / "phases.toml").write_text(PROFILE)
    run_collector(
        None,
        lake=str(folder / "lake"),
        node="n1",
        emulate=str(folder / "phases.toml"),
        truth=folder / "truth.json",
        control=Control(),
    )
    lake = Lake(folder / "lake")
    for hour, node in worklist(lake):
        aggregate(lake, hour, node, S, "cpu")
    index(lake, Site(None, None, {}), progress=lambda _: None)
    return lake


def test_steady_state_of_a_known_batch(emulated: Lake) -> None:
    held, serve = hours(emulated)
    true_te = FULL_W * STEP_S / SEATS
    assert serve["te_steady"] == pytest.approx(true_te, rel=0.02)
    assert serve["te_steady_low"] < true_te < serve["te_steady_high"]
    assert serve["steady_tokens_s"] == pytest.approx(SEATS / STEP_S, rel=0.01)
    assert serve["steady_w"] == pytest.approx(FULL_W, rel=0.02)
    assert serve["steady_us"] == 240 * S  # the whole minutes of the 300 s
    assert held["e_idle_nj"] == held["e_gpu_nj"] > 0
    assert_checks_pass(emulated)


def test_low_batch_and_prefill_of_known_cost(emulated: Lake) -> None:
    serve = hours(emulated)[1]
    # With half a minute at full rate in the first minute, and in that after the last steady one.
    low_j = ONE_W * LOW_TOKENS * STEP_S + 60 * FULL_W
    n_low = LOW_TOKENS + 60 * SEATS / STEP_S
    assert float(serve["e_low_batch_nj"]) / 1e9 == pytest.approx(low_j, rel=0.05)
    assert serve["n_low_batch"] == pytest.approx(n_low, rel=0.01)
    excess_j = low_j - n_low * FULL_W * STEP_S / SEATS
    assert float(serve["e_low_batch_excess_nj"]) / 1e9 == pytest.approx(excess_j, rel=0.08)
    prefill_j = float(serve["e_prefill_nj"]) / 1e9
    step_j = PREFILL_W * 2_000 * 100e-6 + ONE_W * STEP_S
    assert prefill_j == pytest.approx(700 * step_j, rel=0.03)
    assert prefill_j <= float(serve["e_prefill_high_nj"]) / 1e9


# --- on the terminal ------------------------------------------------------------------------------


def test_the_table_and_one_job(builder: LakeBuilder) -> None:
    run(builder)
    lake = builder.build()
    shown = CliRunner().invoke(app, ["efficiency", "--lake", str(lake.root)])
    assert shown.exit_code == 0
    (line,) = (line for line in shown.output.splitlines() if line.startswith("j "))
    # 218 kJ: 100 steady, 40 low, 60 prefill, 10 loading, 8 idle
    cells = [cell.strip() for cell in line.split("│")]
    assert cells[2:8] == ["45.9", "18.3", "27.5", "4.6", "3.7", "0.0"]
    one = CliRunner().invoke(app, ["efficiency", "--lake", str(lake.root), "--job", "j"])
    assert one.exit_code == 0
    assert "2026-01-15T08" in one.output
    assert "kJ above [low, high]" in one.output


def test_odd_questions_get_one_line(builder: LakeBuilder) -> None:
    run(builder)
    with pytest.raises(UserError, match="nothing is indexed"):
        all_jobs_table(builder.lake)
    with pytest.raises(UserError, match="job 'j': is not indexed"):
        job_tables(builder.lake, "j")
    with pytest.raises(UserError, match="did you mean j"):
        job_tables(builder.lake, "J")
    with pytest.raises(UserError, match="no job id there is similar"):
        job_tables(builder.lake, "'; DROP TABLE tokens")
