"""Efficiency in lakes of their own: over hours, of altered files, against the emulator, shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.ledger import assert_checks_pass
from tests.support.phases import hours, run
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.start import run_collector
from tokenergy_sql.cli import app
from tokenergy_sql.index import efficiency
from tokenergy_sql.index.efficiency import PARTS
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_sql.terminal.efficiency import all_jobs_table, job_tables
from tokenergy_transforms.aggregate import aggregate, worklist

KJ = 10**12


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    return LakeBuilder(tmp_path / "lake")


def test_sums_beyond_53_bits_are_exact(builder: LakeBuilder) -> None:
    """Eight boards of 2 kW: no board draws so much that one would be enough."""
    builder.device("j", ts_us=T0 - S, limit_mw=2_000_000, node="j")
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


def test_a_hole_between_readings_is_unknown_unless_nothing_grew(builder: LakeBuilder) -> None:
    run(builder, ((300, 500, 100, 50, 100),))
    after = T0 + 300 * S
    # 100 s unread with growth, then 100 s unread without.
    for kind, last in (("generated", 30_000), ("prompt_computed", 15_000)):
        still = [(after + 100 * S, last + 9), (after + 200 * S, last + 9)]
        builder.tokens("j", still, kind=kind, source_id="j", node="j")
    builder.power("j", level(300_000, after + 100_000, after + 200 * S), node="j")
    builder.add(
        "state",
        [{"ts_us": after + k * S, "device_id": "j", "sm_util": 100} for k in range(200)],
        "j",
    )
    builder.job("j", "j", T0, after + 200 * S, recorded_us=T0 + 1, node="j")
    (row,) = hours(builder.build())
    assert float(row["e_unknown_nj"]) / KJ == pytest.approx(30, rel=0.01)
    assert float(row["e_no_tokens_nj"]) / KJ == pytest.approx(30, rel=0.01)


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
    seen = level(500_000, T0, T0 + 100 * S) + level(500_000, T0 + 200 * S, T0 + 300 * S)
    builder.power("j", seen, node="j")
    (row,) = hours(builder.build())
    assert row["gap_us"] == 100 * S
    assert row["gap_high_nj"] >= 100 * 700 * 10**9
    assert row["te_steady"] == pytest.approx(5, rel=1e-3)
    assert "gap" in row["reason_codes"].split(",")


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
    index(lake, Site(None, None, {}), progress=lambda _: None, catalog=False)
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
