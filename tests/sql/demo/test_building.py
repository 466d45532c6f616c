"""The demo's building: its meters, the figures made of them, and the truth behind both."""

from __future__ import annotations

import json
import math
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.sql.metering.test_planted_site import again
from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tests.support.ledger import ask, assert_checks_pass
from tokenergy_collectors.lake import Lake
from tokenergy_sql.demo.building import HALL_OF, add_building


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict[str, Any]]:
    """An hour of the demo's nodes, a job on each; and the truth."""
    root = tmp_path_factory.mktemp("building")
    builder = LakeBuilder(root / "lake")
    for number, node in enumerate(HALL_OF):
        watts = [
            (T0 + s * S, round(1e3 * (370 + 270 * math.sin(s / 300 + number))))
            for s in range(3_601)
        ]
        for index in range(8):
            board = f"{node}-{index}"
            builder.device(board, node=node, index=index)
            builder.power(board, watts, node=node)
            builder.job(f"on {node}", board, T0, T0 + HOUR_US, node=node)
    text = resources.files("tokenergy_sql.demo").joinpath("building.toml").read_text("utf-8")
    (root / "lake" / "site.toml").write_text(text, "utf-8")
    readings = add_building(builder.lake, root / "truth.json")
    assert readings == 12 * 361
    again(builder.lake)
    return builder.lake, json.loads((root / "truth.json").read_text("utf-8"))


def inside(row: dict[str, Any], side: str, true: float, within: float = 0.01) -> None:
    low, value, high = (int(row[f"{side}{end}"]) for end in ("_low", "", "_high"))
    assert low <= true <= high
    assert abs(value - true) < within * true


def test_every_figure_holds_the_truth(built: tuple[Lake, dict[str, Any]]) -> None:
    lake, truth = built
    true = truth["energy_nj"]
    rows = {(r["place"], r["figure"]): r for r in lake.read("site_hour", [T0]).to_pylist()}
    inside(rows["site", "pue"], "above", true["grid"])
    inside(rows["site", "pue"], "below", true["busway-h1"] + true["busway-h2"])
    inside(rows["site", "wue"], "above", truth["water_l"] * 1e6, 0.02)
    for hall in HALL_OF.values():
        inside(rows[f"hall:{hall}", "it"], "above", true[f"busway-{hall}"])
    cooled = true["chiller-h2"] + true["pump-h2"]
    inside(rows["hall:h2", "cooling"], "above", cooled)
    inside(rows["hall:h2", "intake"], "above", true["ups-h2"] + cooled)
    # The register of hall h1 rolled over within the hour.
    shown = [r for r in lake.read("meter").to_pylist() if r["meter_id"] == "busway-h1"]
    assert any(b["value_n"] < a["value_n"] for a, b in pairwise(shown))


def test_chip_host_and_facility_are_measured(built: tuple[Lake, dict[str, Any]]) -> None:
    lake, truth = built
    jobs = ask(lake, "FROM job_index")
    assert {(j["host_method"], j["facility_method"]) for j in jobs} == {("measured", "measured")}
    assert {j["measured_share"] for j in jobs} == {1.0}
    for job in jobs:
        node = job["job_id"].removeprefix("on ")
        true_nj = truth["energy_nj"][f"bmc-{node}"]
        e_it_nj = int(job["e_gpu_nj"] + job["e_host_nj"])
        assert abs(e_it_nj - true_nj) < 0.02 * true_nj
    # The jobs held all boards all the time: they bear what the utility's meter shows.
    (grid,) = [r for r in lake.read("meter_hour").to_pylist() if r["meter_id"] == "grid"]
    assert sum(int(j["e_facility_burdened_nj"]) for j in jobs) == int(grid["amount"])
    assert_checks_pass(lake)


def test_a_job_that_holds_a_whole_node_has_the_bounds_of_its_meter(
    built: tuple[Lake, dict[str, Any]],
) -> None:
    """The errors of boards and host oppose each other: their sum is what the BMC shows."""
    lake, truth = built
    jobs = {row["job_id"]: row for row in lake.read("job_hour_index", [T0]).to_pylist()}
    for host in lake.read("host_hour", [T0]).to_pylist():
        job = jobs[f"on {host['node']}"]
        low, high = int(job["e_it_low_nj"]), int(job["e_it_high_nj"])
        assert (low, high) == (int(host["input_low_nj"]) - 1, int(host["input_high_nj"]) + 1)
        assert low <= truth["energy_nj"][f"bmc-{host['node']}"] <= high
        naive = [int(job[f"e_gpu_{end}_nj"] + job[f"e_host_{end}_nj"]) for end in ("low", "high")]
        assert naive[0] < low < high < naive[1]


def test_the_same_every_time(built: tuple[Lake, dict[str, Any]], tmp_path: Path) -> None:
    lake, _ = built
    before = lake.read("meter").to_pylist()
    other = LakeBuilder(tmp_path / "lake")
    for table in ("device", "power"):
        rows = lake.read(table).to_pylist()
        for node in HALL_OF:
            other.add(table, [r for r in rows if r["device_id"].startswith(node)], node)
    add_building(other.lake, tmp_path / "truth.json")
    assert other.lake.read("meter").to_pylist() == before
