"""A real Prometheus that scraped an emulated node, imported and held against the truth.

`make e2e-prometheus`. Twenty virtual minutes are given to the server as blocks; a real minute is
scraped by the server itself.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.prometheus.history import history
from tests.prometheus.node import live_node
from tests.support.commands import command
from tests.support.gate import Gate
from tests.support.ledger import ask, assert_checks_pass
from tests.support.prometheus import Prometheus, victoria_metrics
from tokenergy_collectors.lake import Lake

pytestmark = pytest.mark.e2e

SPAN = ("--from", "2026-01-15T08:50:00Z", "--to", "2026-01-15T09:12:00Z")
KINDS = ("prompt_computed", "prompt_cached", "generated", "trained")

Truth = list[dict[str, Any]]


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gate, str, Truth]]:
    """A gate before a Prometheus with 22 virtual minutes, its samples as text, and the truth."""
    text, truth = history()
    server = Prometheus(tmp_path_factory.mktemp("prometheus"))
    server.backfill(text)
    with server, Gate(server.url) as gate:
        yield gate, text, truth


@pytest.fixture(scope="module")
def lake(scraped: tuple[Gate, str, Truth], tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The lake of an import that nothing disturbed, with its index."""
    root = tmp_path_factory.mktemp("import") / "lake"
    said = run(*arguments(scraped[0], root))
    print(said)
    book(root)
    return Lake(root)


def arguments(gate: Gate, root: Path) -> tuple[str, ...]:
    """The command's arguments; chunks of 2 minutes, so that there is something to stop."""
    at = ("--url", gate.url, "--lake", str(root))
    return ("import", "prometheus", *at, *SPAN, "--chunk", "2m")


def run(*given: str) -> str:
    code, out, err = command("tokenergy-collect", *given)
    assert code == 0, err
    return out


def book(root: Path) -> None:
    for step in ("aggregate", "index"):
        code, _, err = command("tokenergy", step, "--lake", str(root))
        assert code == 0, err


def raw_files(root: Path) -> dict[str, bytes]:
    """The bytes of what an import writes, its record included."""
    tables = (".import", "power", "state", "device", "tokens", "jobs")
    return {
        str(path.relative_to(root)): path.read_bytes()
        for table in tables
        for path in sorted((root / table).rglob("*"))
        if path.is_file()
    }


def tables(root: Path) -> dict[str, bytes]:
    """The same without the record, which names the address of the store."""
    return {name: text for name, text in raw_files(root).items() if name.endswith(".parquet")}


def true_energy_nj(truth: Truth) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in truth:
        if row["row"] == "allocation":
            job = f"ml/{row['job_id']}"
            found[job] = found.get(job, 0) + row["energy_nj"]
    return found


def assert_bounds_hold(lake: Lake, truth: Truth, *, widest: float) -> None:
    """Every job's true energy is inside its bounds, which are no wider than so many times it."""
    jobs = {row["job_id"]: row for row in ask(lake, "FROM job_index")}
    energy = true_energy_nj(truth)
    assert set(jobs) == set(energy)
    for job, true_nj in energy.items():
        low_nj, high_nj = jobs[job]["e_gpu_low_nj"], jobs[job]["e_gpu_high_nj"]
        off = (jobs[job]["e_gpu_nj"] - true_nj) / true_nj
        print(f"{job}: true {true_nj / 1e9:.0f} J, booked {off:+.1%}, bounds "
              f"{low_nj / true_nj - 1:+.1%} to {high_nj / true_nj - 1:+.1%}")  # fmt: skip
        assert low_nj <= true_nj <= high_nj, job
        assert high_nj - low_nj <= widest * true_nj, job


def test_bounds_of_each_job_hold_its_true_energy(
    lake: Lake, scraped: tuple[Gate, str, Truth]
) -> None:
    # A job of three minutes is most of it edges: its bounds are 2.1 times as wide as it is.
    assert_bounds_hold(lake, scraped[2], widest=2.2)
    assert_checks_pass(lake)


def test_the_counter_rules(lake: Lake, scraped: tuple[Gate, str, Truth]) -> None:
    (sums,) = ask(lake, "SELECT sum(energy_nj) AS nj FROM ledger WHERE meter = 'counter'")
    (whole,) = ask(lake, "SELECT sum(energy_nj) AS nj FROM ledger")
    assert sums["nj"] == whole["nj"]
    (seen,) = ask(lake, "SELECT min(ts_us) AS first_us, max(ts_us) AS last_us FROM power")
    board_nj = sum(row["energy_nj"] for row in scraped[2] if row["row"] == "board")
    seconds = sum(row["end_us"] - row["start_us"] for row in scraped[2] if row["row"] == "board")
    # The emulated counters have no error: what is off is the time before and after the scrapes.
    missing_us = seconds - 4 * (seen["last_us"] - seen["first_us"])
    assert abs(board_nj - int(whole["nj"])) <= missing_us * 700_000


def test_boards_carry_the_spacing_of_their_readings(lake: Lake) -> None:
    boards = ask(lake, "FROM device_now")
    assert len(boards) == 4
    # Scraped each 15 s, read by the exporter each 30 s: what repeats is left out. Labels are as old
    # as the exporter's page, and known to half of 15 s.
    assert {(b["update_us"], b["counter_us"]) for b in boards} == {(30_000_000, 15_000_000)}
    assert {b["stamp_step_us"] for b in boards} == {37_500_000}


def test_each_series_of_tokens_is_what_was_scraped(
    lake: Lake, scraped: tuple[Gate, str, Truth]
) -> None:
    pattern = (
        r"(?P<metric>vllm:generation|tokenergy_trained)_tokens_total\{(?P<labels>.*)\} (.*) (.*)"
    )
    shown: dict[tuple[str, int], int] = {}
    for found in re.finditer(pattern, scraped[1]):
        pod = re.search(r'pod="([^"]*)"', found["labels"])
        assert pod is not None
        shown[f"ml/{pod[1]}", round(float(found[4]) * 1_000) * 1_000] = int(float(found[3]))
    rows = ask(lake, "FROM tokens WHERE kind IN ('generated', 'trained')")
    assert {(row["job_id"], row["ts_us"]): row["value"] for row in rows} == shown
    assert {row["quantum"] for row in rows} == {1}
    assert all(row["since_us"] for row in rows)


def test_bounds_of_each_jobs_tokens_hold_the_true_ones(
    lake: Lake, scraped: tuple[Gate, str, Truth]
) -> None:
    used = {
        (row["job_id"], row["kind"]): row
        for row in ask(
            lake,
            "SELECT job_id, kind, sum(tokens) AS tokens, sum(low) AS low, sum(high) AS high "
            "FROM token_usage GROUP BY ALL",
        )
    }
    true = {
        (f"ml/{row['job_id']}", kind): row[kind]
        for row in scraped[2]
        if row["row"] == "tokens"
        for kind in KINDS
        if row.get(kind)
    }
    assert set(used) == set(true)
    for key, count in true.items():
        print(f"{key}: true {count}, counted {used[key]['tokens']} in "
              f"[{used[key]['low']}, {used[key]['high']}]")  # fmt: skip
        assert used[key]["low"] <= count <= used[key]["high"], key


def test_imported_twice_nothing_changes(lake: Lake, scraped: tuple[Gate, str, Truth]) -> None:
    before = raw_files(lake.root)
    assert "already imported: nothing changed" in run(*arguments(scraped[0], lake.root))
    assert raw_files(lake.root) == before
    (record,) = (lake.root / ".import").glob("*.json")
    record.unlink()
    assert "already imported: nothing changed" in run(*arguments(scraped[0], lake.root))
    assert raw_files(lake.root) == before


@pytest.mark.parametrize("requests", [20, 57, 98])
def test_killed_half_way_and_run_again_it_writes_the_same_bytes(
    lake: Lake, scraped: tuple[Gate, str, Truth], tmp_path: Path, requests: int
) -> None:
    gate, root = scraped[0], tmp_path / "lake"
    gate.close_after(requests)
    process = subprocess.Popen(
        [sys.executable, "-m", "tokenergy_collectors", *arguments(gate, root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert gate.reached.wait(60)
    process.kill()
    process.communicate()
    gate.open()
    whole = raw_files(lake.root)
    assert 0 < len(tables(root)) < len(tables(lake.root))
    run(*arguments(gate, root))
    assert raw_files(root) == whole


@pytest.mark.skipif(
    shutil.which("victoria-metrics") is None,
    reason="no victoria-metrics here: apt-get install victoria-metrics",
)
def test_victoria_metrics_gives_the_same_rows(
    lake: Lake, scraped: tuple[Gate, str, Truth], tmp_path: Path
) -> None:
    root = tmp_path / "lake"
    with victoria_metrics(tmp_path / "store", scraped[1]) as url:
        at = ("--url", url, "--lake", str(root))
        run("import", "prometheus", *at, *SPAN, "--chunk", "2m")
    assert tables(root) == tables(lake.root)


def test_a_real_minute_scraped_by_the_server_itself(tmp_path: Path) -> None:
    with live_node(tmp_path) as (server, truth):
        board = next(row for row in truth if row["row"] == "board")
        start_us, end_us = board["start_us"], board["end_us"]
        root = tmp_path / "lake"
        said = run(
            *("import", "prometheus", "--url", server.url, "--lake", str(root)),
            *("--from", str(start_us // 1_000_000), "--to", str(end_us // 1_000_000 + 3)),
            *("--settle", "1s", "--exporter-interval", "2s", "--chunk", "1m"),
        )
        print(said)
    book(root)
    assert_bounds_hold(Lake(root), truth, widest=1.5)
    rows = ask(Lake(root), "SELECT count(DISTINCT ts_us) AS n FROM tokens WHERE kind = 'generated'")
    assert rows[0]["n"] > 10
    assert json.loads(next((root / ".import").glob("*.json")).read_text())["done"]
