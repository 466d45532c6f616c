"""The trials of the gate: what is planted is what servers draw, and a missed verdict fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.gate import alone, design
from benchmarks.gate.__main__ import Cell, markdown


def test_a_planted_regression_is_in_the_servers_own_settings(tmp_path: Path) -> None:
    one = design.profile("steady", [0.0, 0.1], 600, 1, tmp_path)
    specs = {job.id: job.workload.model_dump() for job in one.jobs}
    for name in ("prompt_token_j", "generated_token_j", "idle_w", "load_w"):
        assert specs["head-0"][name] == specs["base-0"][name]
        assert specs["head-1"][name] == pytest.approx(1.1 * specs["base-1"][name], rel=1e-5)
    assert {job.id: job.devices for job in one.jobs if job.id.endswith("1")} == {
        "base-1": {"n00": [1]}, "head-1": {"n00": [1]},
    }  # fmt: skip


def test_a_server_alone_draws_what_its_tokens_cost(tmp_path: Path) -> None:
    one = design.profile("steady", [0.0], 900, 1, tmp_path)
    spec = next(job.workload for job in one.jobs if job.id == "base-0").model_dump()
    side = alone.side(one, "base-0")
    assert len(side.blocks) == 3
    for block in side.blocks[1:]:
        cost_j = (
            spec["prompt_token_j"] * block["prompt"] + spec["generated_token_j"] * block["tokens"]
        )
        assert block["energy_nj"] / 1e9 == pytest.approx(cost_j + spec["idle_w"] * 300, rel=0.01)
    more = alone.scaled(side, 1.1)
    assert [row["energy_nj"] for row in more.blocks] == [
        round(row["energy_nj"] * 1.1) for row in side.blocks
    ]


@pytest.mark.parametrize(
    ("load", "planted", "worse", "passed"),
    [
        ("steady", 0.0, 2, True), ("steady", 0.0, 3, False), ("steady", 0.03, 89, False),
        ("steady, alone", 0.1, 90, True), ("half", 0.1, 0, True), ("steady", 0.01, 0, True),
    ],
)  # fmt: skip
def test_what_fails_the_command(load: str, planted: float, worse: int, *, passed: bool) -> None:
    cell = Cell(load, planted)
    cell.verdicts.update({"worse": worse, "pass": 100 - worse})
    assert cell.passed is passed
    assert f"| {load} | {100 * planted:g} | 100 | {worse} |" in markdown([cell])
