"""The sizing benchmark: its fleet is one, its arithmetic is right, its tables come out.

No test starts the collector in real time; `make bench-sizing` does.
"""

from __future__ import annotations

import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from benchmarks.performance_page import into_page
from benchmarks.sizing import __main__ as command
from benchmarks.sizing import fleet, measure, needs, tables
from benchmarks.sizing.needs import needs_of, units_of

from benchmarks import machine
from tokenergy_collectors.lake import Lake

DOCS = Path(__file__).parents[2] / "docs"
COLLECTOR = {"boards": 8, "seconds": 30.0, "cpu_s": 0.15, "readings": 2_400, "peak_mib": 100.0}
GROUP = {"gpus": 1_160, "cpu_seconds": 11.6, "peak_mib": 1_900.0}


def _report() -> dict[str, Any]:
    """16 GPUs on two nodes for half an hour: eight GPU-hours."""

    def step(cpu_s: float) -> dict[str, Any]:
        return {"small": {"cpu_s": 0.1}, "large": {"cpu_s": cpu_s}, "peak_mib": 300}

    def of(size: int, files: int, nodes: bool) -> dict[str, Any]:
        return {"bytes": size, "files": files, "nodes": nodes}

    return {
        "machine": machine.machine(),
        "devices": 16,
        "nodes": 2,
        "small_devices": 16,
        "hours": 0.5,
        "collector": COLLECTOR,
        "group": GROUP,
        "steps": {"aggregate": step(0.8), "index": step(4.0), "check": step(8.0)},
        "limited": {"memory": "2GiB", **step(9.0)},
        "bounded": False,
        "others": {"bytes": 1_000_000, "files": 44},
        "stored": {
            "power": of(8_000, 26, True),
            "tokens": of(1_600, 10, True),
            "segment": of(800, 2, True),
            "ledger": of(400, 1, False),
        },
        "compacted": {
            "power": of(7_200, 2, True),
            "tokens": of(160, 2, True),
            "segment": of(800, 2, True),
            "ledger": of(400, 1, False),
        },
    }


def test_needs_are_unit_costs_times_the_size_of_a_fleet() -> None:
    found = needs_of(units_of(_report()), 1_000)
    # 0.1, 0.5 and 1 CPU seconds a GPU-hour, of the 3,600 seconds that a core has in an hour.
    cores = {"aggregate": 100 / 3600, "index": 500 / 3600, "check": 1000 / 3600}
    assert found.cores == pytest.approx(cores)
    assert found.check_s == pytest.approx(1_000)
    # 300 MiB for 16 GPUs; of a larger fleet 1,165 (4,194,304 segments of 1 s) are checked at once.
    assert found.check_gib == pytest.approx(1_000 * 300 / 16 / 1024)
    # 24,000 GPU-hours a day, of 1,000 + 200 bytes; 900 + 20 once they are compacted; 100 + 50.
    assert found.raw_gb == pytest.approx(24_000 * 1_200 / 1e9)
    assert found.compacted_gb == pytest.approx(24_000 * 920 / 1e9)
    assert found.derived_gb == pytest.approx(24_000 * 150 / 1e9)
    assert found.year_gb == pytest.approx(365 * 24_000 * (920 + 150) / 1e9)
    # Power stays 90 days; segments, kept for 400, a year; tokens and ledger for ever.
    expiring = 24_000 * (90 * 900 + 365 * (20 + 100 + 50)) / 1e9
    assert found.expiring_gb == pytest.approx(expiring)
    assert found.forever_gb == pytest.approx(365 * 24_000 * (20 + 50) / 1e9)
    # 125 nodes: 13 + 5 + 1 files each an hour, then 1 + 1 + 1; the ledger is one for all.
    assert found.files == pytest.approx(24 * (125 * 19 + 1))
    assert found.compacted_files == pytest.approx(24 * (125 * 3 + 1))


def test_ten_times_the_fleet_needs_ten_times_as_much() -> None:
    units = units_of(_report())
    small, large = needs_of(units, 1_000), needs_of(units, 10_000)
    assert large.check_s == pytest.approx(10 * small.check_s)
    assert large.check_gib == pytest.approx(1.165 * small.check_gib)
    for name in ("raw_gb", "compacted_gb", "derived_gb", "year_gb", "expiring_gb", "forever_gb"):
        assert getattr(large, name) == pytest.approx(10 * getattr(small, name))
    # But for the files that an hour has once.
    assert large.files - 24 == pytest.approx(10 * (small.files - 24))


def test_the_retention_is_the_one_of_its_page() -> None:
    text = (DOCS / "retention.md").read_text("utf-8")
    block = text.split("```toml")[1].split("```")[0]
    kept = {name: f"{days}d" for name, days in needs.KEPT_DAYS.items()}
    assert tomllib.loads(block) == kept


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.012345, "0.012"),
        (4.0, "4.0"),
        (9.96, "10.0"),
        (99.96, "100"),
        (27.44, "27.4"),
        (274.4, "274"),
        (27_449, "27,400"),
        (2_744_999, "2,740,000"),
    ],
)
def test_numbers_have_the_digits_that_count(value: float, text: str) -> None:
    assert tables.number(value) == text


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A fleet of three nodes, minutes of two hours, measured in this process."""
    folder = tmp_path_factory.mktemp("sizing")
    done: dict[str, Any] = {}

    def here(step: str, *lakes: Lake, memory: str | None = None) -> dict[str, Any]:
        # A bound is for a process of its own: what was done without one is not done again.
        if memory is None:
            done[step] = measure.measured(step, *lakes)
        return done[step]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "measure", here)
        patch.setattr(measure, "warm_up", lambda _step, _trial: None)
        patch.setattr(fleet, "ROLL_S", 45.0)
        return folder, command.pipeline(folder, 24, 2, False)


def test_copies_are_a_fleet(run: tuple[Path, dict[str, Any]]) -> None:
    two, large = Lake(run[0] / "small"), Lake(run[0] / "large")
    assert large.nodes("power", fleet.HOUR) == ["serve-0000", "serve-0002", "train-0001"]
    rows = {name: two.read("power", node=name).num_rows for name in fleet.NODES}
    assert large.read("power").num_rows == 2 * rows["serve"] + rows["train"]
    boards = large.read("device")
    assert len(set(boards["device_id"].to_pylist())) == 24
    held = set(large.read("jobs")["device_id"].to_pylist())
    assert held == set(boards["device_id"].to_pylist())
    jobs = large.read("job_index")
    assert jobs.num_rows == 2 * 3 + 2
    assert pc.min(jobs["e_gpu_nj"]).as_py() > 0


def test_a_tiny_fleet_gives_all_tables(run: tuple[Path, dict[str, Any]]) -> None:
    report = {**run[1], "machine": machine.machine(), "collector": COLLECTOR, "group": GROUP}
    large = Lake(run[0] / "large")
    assert report["compacted"]["power"]["files"] == 3 < report["stored"]["power"]["files"]
    size = sum(path.stat().st_size for path in large.files("ledger", [fleet.HOUR]))
    assert report["stored"]["ledger"]["bytes"] == size
    text = tables.markdown(report)
    for table in ("power", "tokens", "segment", "ledger", "job_index", "load_spectrum"):
        assert f"| `{table}` |" in text
    assert "| collector, on its node | 2.25 | 0.15 s in 30 s × 3,600 ÷ 8: 0.50 % of a core" in text
    assert "| GPUs | 1,000 | 10,000 | 100,000 |" in text


def test_the_page_is_in_the_words_of_the_command(run: tuple[Path, dict[str, Any]]) -> None:
    report = {**run[1], "machine": machine.machine(), "collector": COLLECTOR, "group": GROUP}
    page = (DOCS / "sizing.md").read_text("utf-8")
    into_page(page, "sizing", "")  # the part is there once
    lines = tables.markdown(report).splitlines()
    heads = [line for line, rule in pairwise(lines) if rule.startswith("| ---")]
    first = {line.split(" | ")[0] for line in lines if line.startswith("| ")}
    assert len(heads) == 3
    assert all(f"\n{line.split(' | ')[0]}" in page for line in heads)
    assert all(f"\n{cell}" in page for cell in first)
