"""The integration benchmark: contestants agree, and one that does not is found out."""

from __future__ import annotations

import json
import sys
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from benchmarks.integration import __main__ as command
from benchmarks.integration import by_cpp, by_duckdb, by_numpy, by_polars, workload
from benchmarks.integration.contest import Contestant, differences, of_result, time_all
from benchmarks.random_batch import random_batch

from tests.support.oracle import segment
from tokenergy_transforms import kernel_cpu
from tokenergy_transforms.batch import NONE, Result

PEERS: dict[str, ModuleType] = {"numpy": by_numpy, "duckdb": by_duckdb, "polars": by_polars}


@pytest.fixture(scope="module")
def work() -> workload.Workload:
    return workload.make(7, 21_000)


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> by_cpp.Integrate:
    if by_cpp.compiler() is None:
        pytest.skip("no C++ compiler: the twin cannot be built")
    return by_cpp.build(tmp_path_factory.mktemp("twin"))


def test_the_readings_are_what_the_peers_rely_on(work: workload.Workload) -> None:
    batch = work.batch(workload.SECOND_US)
    for d in range(work.devices):
        ts = work.ts_us[work.offsets[d] : work.offsets[d + 1]]
        spacing = np.diff(ts)
        assert spacing.min() > 0
        assert spacing.max() < workload.SECOND_US
        assert (spacing > workload.GAP_LIMIT_US).any()
        assert ts[0] % workload.SECOND_US == ts[-1] % workload.SECOND_US == 0
        counted = work.counter_ts_us[work.counter_offsets[d] : work.counter_offsets[d + 1]]
        assert np.array_equal(
            counted // workload.SECOND_US, np.arange(work.seconds + 1) + counted[0] // 10**6
        )
    result = kernel_cpu.integrate(batch)
    assert result.readings.min() > 0
    assert (result.counter_nj != NONE).all()
    assert len(set(result.readings.tolist())) > 3
    assert work.ts_us.shape == (7 * 3_001,)


@pytest.mark.parametrize("per_window", [10, 100, 1_000])
@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_gives_the_same_bits(work: workload.Workload, peer: str, per_window: int) -> None:
    window_us = per_window * workload.TICK_US
    expected = of_result(kernel_cpu.integrate(work.batch(window_us)))
    module = PEERS[peer]
    for size in ({}, {"rows": 9_000} if peer == "numpy" else {"devices": 3}):
        found = module.columns(module.prepare(work, window_us, **size)())
        assert differences(expected, found) == []


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("per_window", [3, 10, 100, 1_000])
def test_the_twin_gives_the_same_bits(twin: by_cpp.Integrate, seed: int, per_window: int) -> None:
    """On batches that no peer could take: gaps, job edges, empty devices, extreme powers."""
    batch = random_batch(
        seed,
        devices=20,
        readings=3_000,
        window_us=100_000 * per_window,
        max_mw=[700_000, 2**31 - 1, 3, 0][seed],
    )
    got, want = twin(batch), kernel_cpu.integrate(batch)
    for f in fields(Result):
        assert getattr(got, f.name).tobytes() == getattr(want, f.name).tobytes(), f.name


def test_the_twin_equals_fractions(twin: by_cpp.Integrate) -> None:
    batch = random_batch(5, devices=9, readings=200)
    got = twin(batch)
    for s in range(0, len(batch.seg_start_us), 7):
        for name, want in segment(batch, s).items():
            have = getattr(got, name)[s]
            if want is None:
                assert np.isnan(have) if name == "mean_mw" else have == NONE
            else:
                assert have == want, (s, name)


def test_one_wrong_unit_is_found(work: workload.Workload) -> None:
    right = kernel_cpu.integrate(work.batch(workload.SECOND_US))
    wrong = right.energy_nj.copy()
    wrong[17] += 1
    found = differences(of_result(right), of_result(replace(right, energy_nj=wrong)))
    assert found == [f"energy_nj is {wrong[17]} in segment 17, expected {right.energy_nj[17]}"]
    short = {name: column[1:] for name, column in of_result(right).items()}
    assert len(differences(of_result(right), short)) == len(short)


def test_nothing_is_timed_where_results_differ(work: workload.Workload) -> None:
    right = kernel_cpu.integrate(work.batch(workload.SECOND_US))
    off = replace(right, mean_mw=np.nextafter(right.mean_mw, 0))
    contestants = [
        Contestant("a", lambda: lambda: right, of_result),
        Contestant("b", lambda: lambda: off, of_result),
    ]
    (line,) = time_all(contestants, 3, lambda _: None)
    assert line.startswith("b: mean_mw is ")
    assert contestants[0].runs_s == []


def _run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(command.machine, "read_bandwidth", lambda: 1e10)
    given = ["--readings", "4e3", "--devices", "2", "--runs", "2", *words]
    monkeypatch.setattr(sys, "argv", ["integration", *given])
    return command.main()


def test_the_command_prints_and_writes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "new" / "bench.json"
    words = ("--windows", "10,1000", "--only", "numpy,polars", "--json", str(path))
    assert _run(monkeypatch, *words) == 0
    told = capsys.readouterr().out
    assert "agrees to the bit" in told
    assert ">= 15: " in told
    report = json.loads(path.read_text())
    assert [table["readings_per_window"] for table in report["tables"]] == [10, 1_000]
    for table in report["tables"]:
        assert [row["name"] for row in table["rows"]] == [
            "tokenergy (CPU)",
            "NumPy, chunked",
            "Polars",
        ]
        assert all(len(row["runs_s"]) == 2 for row in table["rows"])


def test_the_command_fails_where_a_peer_differs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def wrong(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {**found, "p99_mw": found["p95_mw"]}

    monkeypatch.setattr(by_numpy, "columns", wrong)
    path = tmp_path / "bench.json"
    assert _run(monkeypatch, "--windows", "100", "--only", "numpy", "--json", str(path)) == 1
    assert "DIFFERS: NumPy, chunked: p99_mw is " in capsys.readouterr().out
    assert not path.exists()


@pytest.mark.parametrize("words", [("--windows", "7"), ("--readings", "1000")])
def test_a_bad_size_is_refused(monkeypatch: pytest.MonkeyPatch, words: tuple[str, str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        _run(monkeypatch, *words)
