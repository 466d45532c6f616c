"""The GPU benchmarks run through, tiny, on the fake device; where there is none they say so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks.gpu import __main__ as bench
from benchmarks.gpu import chains
from benchmarks.integration import contest, workload

from benchmarks import gpu_check
from tests.support import fake_cupy
from tests.support.host_shim import HostKernels
from tokenergy_transforms import choice, kernel_cpu
from tokenergy_transforms.batch import Batch, Result
from tokenergy_transforms.cuda.lanes import LANES

SIZES = bench.Sizes(devices=3, readings=9_000, copy_bytes=10_000, break_even=(2_000, 5_000), runs=1)
CASES = {"some": {"devices": 4, "readings": 500}}


@pytest.mark.parametrize("window_us", bench.WINDOWS_US)
def test_chains_compute_the_same_statistics(window_us: int) -> None:
    batch = workload.make(5, 20_000).batch(window_us)
    want = contest.of_result(kernel_cpu.integrate(batch))
    arrays = chains.upload(np, batch)
    for found in (chains.by_cupy(np, arrays), chains.by_cudf(np, pd, arrays)):
        assert contest.differences(want, {k: np.asarray(v) for k, v in found.items()}) == []


def test_bench_gpu_measures_prints_and_writes(
    host_kernels: HostKernels,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with fake_cupy.installed(host_kernels, lazy=False):
        assert bench.main([str(tmp_path / "gpu.json")], SIZES) == 0
    figures = json.loads((tmp_path / "gpu.json").read_text())
    assert [row["readings_a_window"] for row in figures["resident"]] == [10, 100, 1000]
    assert [row["lanes"] for row in figures["resident"]] == [
        ["segments_thread"],
        ["segments_warp8"],
        ["segments_block"],
    ]
    assert all(row["share_of_copy"] > 0 for row in figures["resident"])
    assert [row["readings"] for row in figures["break_even"]] == [2_001, 5_001]
    assert "every bit agrees" in capsys.readouterr().out


def test_bench_gpu_fails_if_a_bit_differs(
    host_kernels: HostKernels,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    right = kernel_cpu.integrate

    def wrong(batch: Batch) -> Result:
        result = right(batch)
        result.energy_nj[1] += 1
        return result

    monkeypatch.setattr(kernel_cpu, "integrate", wrong)
    with fake_cupy.installed(host_kernels, lazy=False):
        assert bench.main([], SIZES) == 1
        assert gpu_check.main([], CASES) == 1
    out = capsys.readouterr().out
    assert "10 readings a window, kernel: energy_nj" in out
    assert "gpu-check: FAILED" in out


def test_gpu_check_goes_every_way(
    host_kernels: HostKernels,
    tmp_path: Path,
) -> None:
    with fake_cupy.installed(host_kernels, lazy=False) as fake:
        assert gpu_check.main([str(tmp_path / "check.json")], CASES) == 0
        assert {name for _, name in fake.launched} == {lane.kernel for lane in LANES}
    (case,) = json.loads((tmp_path / "check.json").read_text())["cases"]
    assert case["ways"][0] == "lanes that fit"
    assert case["ways"][-1] == "20 shards"
    assert case["differing_columns"] == {}


def test_gpu_check_is_about_millions_of_readings() -> None:
    with_readings = sum(
        sizes["readings"] * (sizes["devices"] - sizes["devices"] // 8 * 2)
        for sizes in gpu_check.CASES.values()
    )
    assert with_readings >= 10_000_000


@pytest.mark.parametrize(
    ("command", "name"), [(bench.main, "bench-gpu"), (gpu_check.main, "gpu-check")]
)
def test_without_a_device_one_line_and_exit_code_2(  # type: ignore[no-untyped-def]
    command, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(choice, "cuda_unusable", lambda: "no CUDA device")
    assert command([]) == 2
    assert capsys.readouterr().err == f"{name}: no CUDA device\n"
