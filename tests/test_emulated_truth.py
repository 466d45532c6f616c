"""Emulated boards of several kinds through the whole pipeline, held against their truth.

The demo's boards have an exact counter. These have none, or only a 1 s average, or a counter but
wrong power readings: what is found then rests on the samples, and the bounds must say how well.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.ledger import ask, assert_checks_pass
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.start import run_collector
from tokenergy_sql.demo.score import Scored, score
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_transforms.aggregate import aggregate, worklist

PROFILE = """
name = "small"
start = 2026-01-15T08:55:00Z
duration_s = 600
seed = 7

[boards.b]
name = "NVIDIA H100 80GB HBM3"
idle_w = 80
limit_w = 700
unsupported = [{unsupported}]

[nodes.n1]
boards = "b"
count = 3
power_gain_ppm = [{gain}, {gain}, {gain}]

[[jobs]]
id = "serve"
devices = {{ n1 = [0] }}
start_s = 20.123457
end_s = 400.5

[jobs.workload]
type = "inference"
model = "m"
log = "azure_conv"
rate = 2.0
load_s = 5
step_us = 6_500
per_sequence_us = 60
per_prompt_token_us = 32

[[jobs]]
id = "train"
devices = {{ n1 = [1, 2] }}
start_s = 30
end_s = 570.000001

[jobs.workload]
type = "training"
model = "t"
tokens_per_step = 1000

[[jobs]]
id = "short"
devices = {{ n1 = [0] }}
start_s = 420
end_s = 425.25
workload = {{ type = "reservation" }}
"""


def run(folder: Path, unsupported: str = "", gain_ppm: int = 0) -> tuple[Lake, dict[str, Scored]]:
    profile = folder / "small.toml"
    profile.write_text(PROFILE.format(unsupported=unsupported, gain=gain_ppm))
    run_collector(
        None,
        lake=str(folder / "lake"),
        node="n1",
        emulate=str(profile),
        truth=folder / "truth.json",
        control=Control(),
    )
    lake = Lake(folder / "lake")
    for hour, node in worklist(lake):
        aggregate(lake, hour, node, 1_000_000, "cpu")
    index(lake, Site(None, None, {}), progress=lambda _: None, catalog=False)
    assert_checks_pass(lake)
    return lake, {row.job_id: row for row in score(lake, [folder / "truth.json"])}


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Scored]]:
    """The folder of boards with an exact counter, and how their lake scored."""
    folder = tmp_path_factory.mktemp("counted")
    return folder, run(folder)[1]


def test_with_a_counter(counted: tuple[Path, dict[str, Scored]]) -> None:
    lake, scored = Lake(counted[0] / "lake"), counted[1]
    assert all(row.passed for row in scored.values())
    assert abs(scored["short"].error or 1) < 1e-4
    assert len(lake.hours("segment")) == 2  # the job runs across the hour
    learned = lake.read("device", columns=["update_us"])["update_us"].to_pylist()
    assert all(abs(period_us - 100_000) < 10_000 for period_us in learned)


@pytest.mark.parametrize("unsupported", ['"counter"', '"counter", "instant"'])
def test_by_samples_alone(tmp_path: Path, unsupported: str) -> None:
    lake, scored = run(tmp_path, unsupported)
    for row in scored.values():
        assert row.tokens_exact
        assert row.inside
    for name in ("serve", "train"):
        assert abs(scored[name].error or 1) < 0.01
    methods = ask(lake, "SELECT DISTINCT method FROM ledger")
    assert {row["method"] for row in methods} == {"samples"}


@pytest.mark.parametrize(
    ("gain_ppm", "method"), [(30_000, "counter_flagged"), (-200_000, "disputed")]
)
def test_a_sensor_that_is_off_is_told_and_does_not_move_the_total(
    tmp_path: Path, gain_ppm: int, method: str
) -> None:
    lake, scored = run(tmp_path, gain_ppm=gain_ppm)
    for row in scored.values():
        assert row.inside
        assert abs(row.error or 1) < 1e-3
    jobs = ask(lake, "SELECT job_id, method, reason_codes FROM job_index WHERE job_id = 'train'")
    assert method in jobs[0]["method"]
    assert method in jobs[0]["reason_codes"]


def test_a_wrong_truth_is_a_miss(counted: tuple[Path, dict[str, Scored]], tmp_path: Path) -> None:
    """The score can fail: a truth that is 2 % off, or one token off, is a miss."""
    truth = tmp_path / "truth.json"
    content = json.loads((counted[0] / "truth.json").read_text())
    for row in content["rows"]:
        if row["row"] == "allocation" and row["job_id"] == "serve":
            row["energy_nj"] = row["energy_nj"] * 102 // 100
        if row["row"] == "tokens" and row["job_id"] == "train":
            row["trained"] += 1
    truth.write_text(json.dumps(content))
    verdicts = {row.job_id: row.passed for row in score(Lake(counted[0] / "lake"), [truth])}
    assert verdicts == {"serve": False, "train": False, "short": True}
