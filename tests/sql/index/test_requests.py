"""J per request and goodput, against the truth about every request of an emulated server."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.endpoint import Endpoint
from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.ledger import ask, assert_checks_pass
from tests.support.requests import serve, write_site
from tokenergy_collectors.emulate.workloads.request_record import Finished
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import load_site
from tokenergy_transforms.aggregate import aggregate, worklist

START, END = T0 + 3_002 * S, T0 + 4_202 * S
"""The job runs across the end of an hour."""

WATTS = 100


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Finished]]:
    """A lake with one served job on a board of 100 W, and what it truly served."""
    builder = LakeBuilder(tmp_path_factory.mktemp("served") / "lake")
    builder.device("A")
    builder.power("A", level(WATTS * 1000, START - 60 * S, END + 60 * S, S))
    builder.job("j", "A", START, END)
    with Endpoint() as endpoint:
        truth = serve(builder, endpoint, START, END)
    for hour, node in worklist(builder.lake):
        aggregate(builder.lake, hour, node, S, "cpu")
    return builder.lake.root, truth


@pytest.fixture
def lake(served: tuple[Path, list[Finished]], tmp_path: Path) -> Lake:
    return Lake(shutil.copytree(served[0], tmp_path / "lake"))


def indexed(lake: Lake, slo: str) -> dict[str, Any]:
    write_site(lake.root, slo)
    index(lake, load_site(None, lake.root), progress=lambda _: None, catalog=False)
    (row,) = ask(lake, "FROM job_index")
    return row


def within(one: Finished, limits: dict[str, float]) -> bool:
    took = {"ttft_s": one.ttft_us, "tpot_s": one.tpot_us or 0, "e2e_s": one.e2e_us}
    return all(took[name] <= limit * 1e6 for name, limit in limits.items())


def test_every_request_counts_once_across_the_hour(served, lake) -> None:
    row = indexed(lake, "")
    n = len(served[1])
    assert n > 3_000
    assert (row["n_requests"], row["n_requests_failed"]) == (n, 0)
    assert row["n_joint_requests"] == n
    assert row["n_joint_requests_low"] <= n <= row["n_joint_requests_high"]
    true_j = WATTS * (END - START) / 1e6 / n
    assert row["j_per_request"] == pytest.approx(true_j)
    assert row["j_per_request_low"] <= true_j <= row["j_per_request_high"]
    hours = ask(lake, "FROM job_hour_index ORDER BY hour_us")
    assert len(hours) == 2
    for hour in hours:
        true = sum(
            hour["hour_us"] <= START + one.end_us < hour["hour_us"] + HOUR_US for one in served[1]
        )
        assert hour["n_joint_requests_low"] <= true <= hour["n_joint_requests_high"]
        assert hour["n_joint_requests"] == pytest.approx(true, abs=20)
        # Of five seconds around the edge nobody knows on which side a request ended.
        assert 0 < hour["n_joint_requests_high"] - hour["n_joint_requests_low"] < 100
    assert sum(hour["n_requests"] for hour in hours) == n


def test_without_an_slo_there_is_no_goodput_and_no_word_about_it(lake) -> None:
    row = indexed(lake, "")
    assert row["j_per_request"] > 0
    assert {row[name] for name in ("slo", "slo_method", "slo_share", "te_gpu_goodput")} == {None}
    assert row["reason_codes"] == ""


@pytest.mark.parametrize(
    ("limits", "method"),
    [
        ({"ttft_s": 0.06}, "counted"),
        pytest.param({"ttft_s": 0.05}, "interpolated", marks=pytest.mark.long),
        ({"tpot_s": 0.04}, "interpolated"),
        pytest.param({"e2e_s": 2.0}, "counted", marks=pytest.mark.long),
        ({"ttft_s": 0.06, "tpot_s": 0.05}, "estimated"),
        ({"ttft_s": 0.05, "tpot_s": 0.04, "e2e_s": 1.3}, "interpolated+estimated"),
        ({"ttft_s": 0.0001}, "interpolated"),
        pytest.param({"e2e_s": 9_000.0}, "interpolated", marks=pytest.mark.long),
    ],
)
def test_the_true_share_is_inside_its_bounds(served, lake, limits, method) -> None:
    lines = "\n".join(f"{name} = {limit}" for name, limit in limits.items())
    row = indexed(lake, f"[slo]\n{lines}")
    good = [one for one in served[1] if within(one, limits)]
    share = len(good) / len(served[1])
    assert 0.2 < share < 1 or limits in ({"ttft_s": 0.0001}, {"e2e_s": 9_000.0})
    assert row["n_joint_good_low"] <= len(good) <= row["n_joint_good_high"]
    assert row["slo_share_low"] <= share <= row["slo_share_high"]
    assert row["slo_share_low"] <= row["slo_share"] <= row["slo_share_high"]
    assert set(row["slo_method"].split("+")) == set(method.split("+"))
    assert row["slo"].count("_s=") == len(limits)
    if method == "counted" and "e2e_s" in limits:
        assert row["n_joint_good"] == len(good)
    if share:
        figure = row["te_gpu_out"] / share
        assert row["te_gpu_goodput_low"] <= figure
        assert row["te_gpu_goodput_high"] is None or figure <= row["te_gpu_goodput_high"]
        assert row["te_gpu_goodput"] == pytest.approx(row["te_gpu_out"] / row["slo_share"])
    for hour in ask(lake, "FROM job_hour_index"):
        assert 0 <= hour["n_joint_good_low"] <= hour["n_joint_good"] <= hour["n_joint_good_high"]
        assert hour["n_joint_good_high"] <= hour["n_joint_requests_high"]
    assert_checks_pass(lake)


def test_requests_change_no_other_figure(served, tmp_path) -> None:
    with_them = Lake(shutil.copytree(served[0], tmp_path / "with"))
    without = Lake(shutil.copytree(served[0], tmp_path / "without"))
    shutil.rmtree(without.root / "requests")
    rows = [indexed(one, "[slo]\nttft_s = 0.5") for one in (with_them, without)]
    told = {name for name in rows[0] if rows[0][name] != rows[1][name]}
    assert told == {
        "n_requests", "n_requests_failed", "n_joint_requests", "n_joint_requests_low",
        "n_joint_requests_high", "n_joint_good", "n_joint_good_low", "n_joint_good_high",
        "j_per_request", "j_per_request_low", "j_per_request_high", "slo_share", "slo_share_low",
        "slo_share_high", "te_gpu_goodput", "te_gpu_goodput_low", "te_gpu_goodput_high", "slo",
        "slo_method", "inputs_digest",
    }  # fmt: skip
    assert {rows[1][name] for name in told - {"inputs_digest"}} == {None}
    for text in (
        "FROM ledger ORDER BY ALL",
        "FROM token_usage ORDER BY ALL",
        "SELECT * EXCLUDE (inputs_digest) FROM job_efficiency ORDER BY ALL",
    ):
        found = [ask(one, text) for one in (with_them, without)]
        assert found[0] == found[1]
        assert found[0]
