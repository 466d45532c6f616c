"""Boards of every kind, eight nodes and 64 GPUs, through the whole pipeline and against the truth.

Bounds, stated once: 1 % where the counter books the GPU, the ledger's 5 % where samples alone do.
GH200's counter covers its module, so there only the bounds hold the GPU's truth.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.ledger import ask, assert_checks_pass
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.emulate.profile.catalogue import shipped
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.emulate.run.fleet import collect_fleet
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.settings.config import Config
from tokenergy_sql.demo.score import Scored, score
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_transforms.aggregate import aggregate, worklist
from tokenergy_transforms.inventory import read_inventory

LOCKED = {"type": "periodic", "model": "m", "frequency_hz": 10.0, "tokens_per_period": 3}
SLOW = {**LOCKED, "frequency_hz": 0.7, "shape": "sine"}


def profile() -> Profile:
    """One node a kind: six boards that train together, one with a locked load, one with a slow."""
    nodes, jobs = {}, []
    for kind, board in shipped().items():
        limit_w = float(board["limit_w"])
        levels = {"high_w": 0.95 * limit_w, "low_w": 0.45 * limit_w}
        train = {
            "type": "training",
            "model": "m",
            "tokens_per_step": 1_000,
            "load_s": 1.0,
            "load_w": 0.4 * limit_w,
            "step_s": 0.6,
            "allreduce_s": 0.1,
            "compute_w": 0.95 * limit_w,
            "allreduce_w": 0.6 * limit_w,
            "checkpoint_every_s": 8.0,
            "checkpoint_s": 1.0,
            "checkpoint_w": 0.4 * limit_w,
        }
        node = f"{kind}-0"
        nodes[node] = {"boards": kind}
        for name, devices, workload in (
            ("train", list(range(6)), train),
            ("locked", [6], LOCKED | levels),
            ("slow", [7], SLOW | levels),
        ):
            job = {"id": f"{kind}/{name}", "devices": {node: devices}, "workload": workload}
            jobs.append({**job, "start_s": 2.25, "end_s": 18.5})
    values = {"name": "kinds", "start": "2026-01-15T08:00:00Z", "duration_s": 20.0, "seed": 5}
    return Profile.model_validate({**values, "nodes": nodes, "jobs": jobs}, strict=False)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict[str, Scored], Path]:
    folder = tmp_path_factory.mktemp("fleet")
    root, truth = folder / "lake", folder / "truth"

    def read_config(node: str) -> Config:
        return Config(lake=str(root), node=node, rate_hz=10.0)

    done = collect_fleet(profile(), read_config, Control(), truth=truth)
    assert (done.nodes, done.boards) == (8, 64)
    lake = Lake(root)
    inventory = read_inventory(lake)
    for hour, node in worklist(lake):
        aggregate(lake, hour, node, 1_000_000, "cpu", inventory)
    index(lake, Site(None, None, {}), progress=lambda _: None)
    return lake, {row.job_id: row for row in score(lake, truth.glob("*.json"))}, truth


def test_the_books_close(fleet: tuple[Lake, dict[str, Scored], Path]) -> None:
    assert_checks_pass(fleet[0])


@pytest.mark.parametrize("job", ["train", "locked", "slow"])
@pytest.mark.parametrize("kind", [kind for kind in shipped() if kind != "gh200"])
def test_every_kind_scores_within_its_bound(
    fleet: tuple[Lake, dict[str, Scored], Path], kind: str, job: str
) -> None:
    row = fleet[1][f"{kind}/{job}"]
    counted = "counter" not in shipped()[kind].get("unsupported", [])
    assert row.bound == pytest.approx(0.01 if counted else 0.05)
    assert row.error is not None
    assert abs(row.error) <= row.bound
    assert row.tokens_exact
    assert row.inside


def test_a_counter_of_the_module_is_kept_apart_and_the_gpu_is_booked_by_samples(
    fleet: tuple[Lake, dict[str, Scored], Path],
) -> None:
    lake, scored, truth = fleet
    rows = json.loads((truth / "gh200-0.json").read_text())["rows"]
    boards = {r["device_id"]: r for r in rows if r["row"] == "board"}
    for job in ("train", "locked", "slow"):
        row = scored[f"gh200/{job}"]
        assert row.inside
        assert row.error is not None
        # Samples alone see one part of a swing that is locked to their period.
        assert row.bound == pytest.approx(0.05)
        assert abs(row.error) <= (0.2 if job == "locked" else row.bound)
        assert row.tokens_exact
    booked = ask(lake, "SELECT DISTINCT meter FROM ledger WHERE node = 'gh200-0'")
    assert {row["meter"] for row in booked} <= {"samples", "none"}
    by_counter = ask(
        lake,
        "SELECT domain, max(energy_uj) - min(energy_uj) AS uj FROM host "
        "WHERE node = 'gh200-0' AND energy_uj IS NOT NULL GROUP BY domain",
    )
    assert len(by_counter) == len(boards)
    for row in by_counter:
        of_module = boards[row["domain"].removeprefix("module:")]["module_energy_nj"] / 1_000
        assert row["uj"] == pytest.approx(of_module, rel=0.01)


def test_what_the_boards_are_is_what_the_collector_found(
    fleet: tuple[Lake, dict[str, Scored], Path],
) -> None:
    lake, _, _ = fleet
    found = ask(lake, "SELECT DISTINCT node, sensor FROM power JOIN device USING (device_id)")
    sensors = {row["node"].removesuffix("-0"): row["sensor"] for row in found}
    assert sensors == {kind: "unknown" if kind == "v100" else "instant" for kind in shipped()}
    learned = ask(
        lake,
        "SELECT node, median(update_us)::BIGINT AS period_us FROM device "
        "WHERE node IN ('a100-0', 'h100-0', 'rtx4090-0') GROUP BY node",
    )
    periods_us = {row["node"]: row["period_us"] for row in learned}
    assert abs(periods_us["a100-0"] - 101_000) < 3_000
    assert abs(periods_us["h100-0"] - 100_000) < 3_000


def test_a_locked_load_fools_the_samples_and_not_the_books(
    fleet: tuple[Lake, dict[str, Scored], Path],
) -> None:
    """Without the counter the locked H100 would be off by far more than its bound."""
    lake, scored, _ = fleet
    rows = ask(
        lake,
        "SELECT sum(integral_nj)::BIGINT AS samples_nj FROM ledger WHERE job_id = 'h100/locked'",
    )
    row = scored["h100/locked"]
    assert abs(rows[0]["samples_nj"] / row.true_nj - 1) > 0.03
    assert abs(row.error or 1) < 0.01
