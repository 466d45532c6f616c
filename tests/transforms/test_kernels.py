"""One body of tests for every back end: numba, the CUDA source on the host, and CUDA itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from functools import partial

import numpy as np
import pytest
from benchmarks.random_batch import random_batch

from tests.support.host_shim import HostKernels
from tests.support.oracle import exact_energy, segment
from tokenergy_transforms import choice, kernel_cpu, kernel_cuda
from tokenergy_transforms.batch import NONE, Batch, Result
from tokenergy_transforms.cuda.lanes import LANES

Backend = Callable[[Batch], Result]

_HOST = {f"host-{lane.kernel.removeprefix('segments_')}": lane for lane in LANES}


@pytest.fixture(params=["cpu", *_HOST, pytest.param("cuda", marks=pytest.mark.gpu)])
def backend(request: pytest.FixtureRequest) -> Backend:
    if request.param == "cpu":
        return kernel_cpu.integrate
    if request.param in _HOST:
        kernels: HostKernels = request.getfixturevalue("host_kernels")
        return partial(kernels.integrate, lane=_HOST[request.param])
    if choice.cuda_unusable() is not None:
        pytest.skip(f"no CUDA: {choice.cuda_unusable()}")
    return kernel_cuda.integrate


def one_device(
    rows: list[tuple[int, int]],
    cuts: list[int],
    *,
    limit_us: int = 1_500_000,
    counters: list[tuple[int, int, int]] | None = None,
) -> Batch:
    counters = counters or []
    return Batch(
        ts_us=np.array([t for t, _ in rows], np.int64),
        power_mw=np.array([p for _, p in rows], np.int32),
        offsets=np.array([0, len(rows)], np.int64),
        counter_ts_us=np.array([t for t, _, _ in counters], np.int64),
        counter_mj=np.array([c for _, c, _ in counters], np.int64),
        counter_epoch=np.array([e for _, _, e in counters], np.int32),
        counter_offsets=np.array([0, len(counters)], np.int64),
        gap_limit_us=np.array([limit_us], np.int64),
        seg_device=np.zeros(len(cuts) - 1, np.int32),
        seg_start_us=np.array(cuts[:-1], np.int64),
        seg_end_us=np.array(cuts[1:], np.int64),
    )


def assert_equals_oracle(batch: Batch, result: Result) -> None:
    for s in range(len(batch.seg_start_us)):
        for name, want in segment(batch, s).items():
            got = getattr(result, name)[s]
            if want is None:
                assert math.isnan(got) if name == "mean_mw" else got == NONE, (s, name)
            else:
                assert got == want, (s, name)


@pytest.mark.parametrize("seed", range(6))
def test_random_batches_equal_the_oracle(backend: Backend, seed: int) -> None:
    period = [100_000, 20_000, 1_000, 100_000, 400_000, 7][seed]
    batch = random_batch(
        seed, devices=9, readings=300, period_us=period, window_us=max(period * 10, 100)
    )
    assert_equals_oracle(batch, backend(batch))


def test_overflow_bound(backend: Backend) -> None:
    """The largest power and the widest gap the contract allows, cut where products are largest."""
    big, wide = 2**31 - 1, 600_000_000
    rows = [(0, big), (wide, big), (2 * wide, 0), (3 * wide, big)]
    cuts = [0, 1, wide // 2, wide - 1, wide, 2 * wide - 1, 2 * wide, 3 * wide - 1, 3 * wide]
    batch = one_device(rows, cuts, limit_us=wide)
    result = backend(batch)
    assert_equals_oracle(batch, result)
    assert result.energy_nj.sum() == big * wide + 2 * (big * wide // 2)


def test_counter_overflow_bound(backend: Backend) -> None:
    """Two counter readings 50 minutes apart on a 1 MW device."""
    span = 3_000_000_000
    counters = [(0, 10**12, 0), (span, 10**12 + 3 * 10**9, 0), (2 * span + 1, 2 * 10**12, 0)]
    batch = one_device([(0, 1)], [0, 1, span // 3, span - 1, span, span + 5], counters=counters)
    result = backend(batch)
    assert_equals_oracle(batch, result)
    assert result.counter_nj[:4].sum() == 3 * 10**15
    assert result.counter_nj[4] == NONE  # the next reading is too far away


def test_segments_add_up_whatever_the_cuts(backend: Backend) -> None:
    batch = random_batch(3, devices=3, readings=2000)
    ends = [batch.ts_us[batch.offsets[d]] for d in (0,)]
    last = batch.ts_us[batch.offsets[1] - 1]
    rng = np.random.default_rng(0)
    rows = list(
        zip(
            batch.ts_us[: batch.offsets[1]].tolist(),
            batch.power_mw[: batch.offsets[1]].tolist(),
            strict=True,
        )
    )
    whole = backend(one_device(rows, [int(ends[0]), int(last)])).energy_nj.sum()
    for pieces in (2, 17, 1000):
        cuts = np.unique(rng.integers(ends[0], last, pieces)).tolist()
        cut = backend(one_device(rows, [int(ends[0]), *cuts, int(last)])).energy_nj
        assert cut.sum() == whole
        assert (cut >= 0).all()


def test_energy_is_the_trapezoid(backend: Backend) -> None:
    """By hand: 100 W to 300 W over 1 s is 200 J; its first half is 75 J."""
    rows = [(0, 100_000), (1_000_000, 300_000)]
    result = backend(one_device(rows, [0, 500_000, 1_000_000]))
    assert result.energy_nj.tolist() == [75 * 10**9, 125 * 10**9]
    assert result.mean_mw.tolist() == [150_000.0, 250_000.0]
    assert result.rise_mw_s.tolist() == [200_000, 200_000]
    assert result.fall_mw_s.tolist() == [0, 0]


def test_a_gap_is_not_covered(backend: Backend) -> None:
    rows = [(0, 100_000), (1_000_000, 100_000), (4_000_000, 100_000), (5_000_000, 100_000)]
    result = backend(one_device(rows, [0, 2_500_000, 5_000_000]))
    assert result.covered_us.tolist() == [1_000_000, 1_000_000]
    assert result.energy_nj.tolist() == [100 * 10**9, 100 * 10**9]
    assert result.max_gap_us.tolist() == [3_000_000, 3_000_000]


def test_a_gap_of_forty_minutes_is_one(backend: Backend) -> None:
    """Wider than 32 bits of microseconds: what the CPU's tiles keep of a stamp."""
    second = 1_000_000
    rows = [(t * second, 100_000) for t in (0, 1, 2_401, 2_402, 2_403)]
    result = backend(one_device(rows, [second // 2, 2_402 * second + 1]))
    assert result.readings.tolist() == [3]
    assert result.max_gap_us.tolist() == [2_400 * second]
    assert result.covered_us.tolist() == [second // 2 + second + 1]
    assert result.energy_nj.tolist() == [result.covered_us[0] * 100_000]


def test_no_readings_is_nothing_known(backend: Backend) -> None:
    result = backend(one_device([], [0, 10, 20]))
    assert result.readings.tolist() == [0, 0]
    assert result.covered_us.tolist() == [0, 0]
    assert result.max_gap_us.tolist() == [10, 10]
    assert np.isnan(result.mean_mw).all()
    assert result.p50_mw.tolist() == [NONE, NONE]
    assert result.counter_nj.tolist() == [NONE, NONE]


def test_percentiles_of_many_readings(backend: Backend) -> None:
    """More readings than a lane sorts: another code path, the same definition.

    Of 99 readings the 99th percentile is the 99th (98.01 rounds up), of 100 it is the 99th too.
    """
    rng = np.random.default_rng(5)
    rows = [(t * 1000, int(p)) for t, p in enumerate(rng.integers(60_000, 700_000, 1000))]
    batch = one_device(rows, [0, 64_000, 129_000, 228_000, 328_000, 1_000_000])
    result = backend(batch)
    assert result.readings.tolist() == [64, 65, 99, 100, 672]
    assert result.p99_mw[2] == result.max_mw[2]
    assert_equals_oracle(batch, result)


def test_no_segments(backend: Backend) -> None:
    result = backend(one_device([(0, 1)], [5]))
    assert all(len(array) == 0 for array in result.arrays())


@pytest.mark.parametrize("backwards", [False, True])
def test_back_ends_agree_on_every_bit(host_kernels: HostKernels, backwards: bool) -> None:
    """Threads run in both orders: a missing barrier would show as a difference."""
    batch = random_batch(11, devices=40, readings=5000)
    cpu, host = kernel_cpu.integrate(batch), host_kernels.integrate(batch, backwards=backwards)
    for field in fields(Result):
        a, b = getattr(cpu, field.name), getattr(host, field.name)
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes(), field.name


def test_the_oracle_itself() -> None:
    assert exact_energy(100_000, 300_000, 1_000_000, 1_000_000) == 200 * 10**9
