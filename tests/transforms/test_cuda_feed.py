"""The feeder: shards give the whole's bits, memory stays in its limit, streams overlap safely."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from benchmarks.random_batch import random_batch

from tests.support import fake_cupy
from tests.support.host_shim import HostKernels
from tokenergy_collectors.base.errors import UserError
from tokenergy_transforms import kernel_cpu, kernel_cuda
from tokenergy_transforms.batch import Batch, Result
from tokenergy_transforms.cuda import feed, lanes, plan


def assert_same_bits(want: Result, got: Result) -> None:
    for field in fields(Result):
        a, b = getattr(want, field.name), getattr(got, field.name)
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes(), field.name


def by_shards(batch: Batch, wanted_bytes: int) -> tuple[Result, int]:
    result = Result.empty(len(batch.seg_start_us))
    number = 0
    for shard in plan.shards(batch, wanted_bytes, 1 << 40):
        plan.put(result, shard, kernel_cpu.integrate(plan.cut(batch, shard)))
        number += 1
    return result, number


@pytest.mark.parametrize("wanted_bytes", [1, 9_000, 30_000, 10**9])
@pytest.mark.parametrize("seed", range(4))
def test_shards_give_the_bits_of_the_whole(seed: int, wanted_bytes: int) -> None:
    batch = random_batch(seed, devices=9, readings=400, jobs=9)
    whole = kernel_cpu.integrate(batch)
    result, number = by_shards(batch, wanted_bytes)
    assert_same_bits(whole, result)
    if wanted_bytes == 1:
        assert number == len(batch.seg_start_us)
    elif wanted_bytes == 10**9:
        assert number == 1


def test_shards_stay_below_what_is_wanted_and_cover_all() -> None:
    batch = random_batch(5, devices=20, readings=3000)
    wanted = 60_000
    parts = list(plan.shards(batch, wanted, wanted))
    assert [p.begin for p in parts] == [0, *(p.end for p in parts[:-1])]
    assert parts[-1].end == len(batch.seg_start_us)
    assert all(p.bytes <= wanted for p in parts)
    assert all(p.bytes > wanted * 0.8 for p in parts[:-1])  # and they fill it


def test_a_shard_counts_its_bytes() -> None:
    batch = random_batch(5, devices=20, readings=300)
    shard = next(plan.shards(batch, 40_000, 40_000))
    part = plan.cut(batch, shard)
    assert shard.lengths == tuple(len(a) for a in part.arrays())
    assert tuple(a.itemsize for a in part.arrays()) == plan.INPUT_BYTES
    outputs = Result.empty(shard.end - shard.begin).arrays()
    assert shard.bytes == sum(plan.aligned(a.nbytes) for a in [*part.arrays(), *outputs])


def test_a_segment_larger_than_the_memory_is_refused_in_one_line() -> None:
    batch = random_batch(1, devices=3, readings=3000, window_us=400_000_000, jobs=0)
    with pytest.raises(UserError, match=r"expected at least [\d,]+, which one segment of \d,\d+"):
        list(plan.shards(batch, 10_000, 20_000))


def test_segments_out_of_order_are_not_cut() -> None:
    batch = random_batch(1, devices=1, readings=300)
    turned = replace(
        batch,
        seg_start_us=batch.seg_start_us[::-1].copy(),
        seg_end_us=batch.seg_end_us[::-1].copy(),
    )
    with pytest.raises(ValueError, match="ascending order"):
        list(plan.shards(turned, 5_000, 10**6))


def test_the_lane_follows_the_readings_of_a_segment() -> None:
    per_segment = [0, 10, 13, 14, 100, 400, 1000, 5]
    segments = [3, 2, 2, 2, 2, 2, 70_000, 2]
    offsets = np.concatenate([[0], np.cumsum(np.multiply(per_segment, segments))])
    seg_device = np.repeat(np.arange(8, dtype=np.int32), segments)
    launches = lanes.launches(offsets, seg_device)
    assert [x.lane.kernel.removeprefix("segments_") for x in launches] == [
        *("thread", "warp8", "warp32", "block", "thread")
    ]
    assert [x.begin for x in launches] == [0, 7, 11, 13, 70_013]
    assert launches[-1].end == len(seg_device)
    block = launches[3]
    assert -(-(block.end - block.begin) // block.blocks) <= block.lane.segments


@pytest.mark.parametrize("lazy", [True, False])
def test_integrates_through_streams_within_its_memory(
    host_kernels: HostKernels, lazy: bool
) -> None:
    batch = random_batch(2, devices=30, readings=3000)
    whole = kernel_cpu.integrate(batch)
    memory = 300_000
    with fake_cupy.installed(host_kernels, lazy=lazy) as fake:
        for _ in range(2):
            assert_same_bits(whole, kernel_cuda.integrate(batch, memory_bytes=memory))
        assert len(fake.launched) > 2 * sum(a.nbytes for a in batch.arrays()) / memory
        assert fake.device.peak <= memory
        assert fake.pinned.peak <= memory
        assert fake.device.in_use == 0  # the device has its memory back
        assert len(fake.compiled) == 1


def test_a_smaller_limit_gives_page_locked_memory_back(host_kernels: HostKernels) -> None:
    batch = random_batch(2, devices=30, readings=3000)
    with fake_cupy.installed(host_kernels) as fake:
        kernel_cuda.integrate(batch, memory_bytes=600_000)
        kernel_cuda.integrate(batch, memory_bytes=150_000)
        assert fake.pinned.in_use <= 150_000


def test_the_default_limit_is_half_of_what_is_free(host_kernels: HostKernels) -> None:
    batch = random_batch(2, devices=30, readings=3000)
    with fake_cupy.installed(host_kernels, free_bytes=400_000) as fake:
        assert_same_bits(kernel_cpu.integrate(batch), kernel_cuda.integrate(batch))
        assert 100_000 < fake.device.peak <= 200_000


def test_a_segment_larger_than_wanted_makes_slots_grow(
    host_kernels: HostKernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Devices of small segments, then of large ones: the slot must grow, within the limit."""
    monkeypatch.setattr(kernel_cuda, "SHARD_BYTES", 20_000)
    small = random_batch(2, devices=4, readings=1000)
    rows, cuts = len(small.ts_us), small.seg_device == 3
    starts, ends = small.seg_start_us[cuts], small.seg_end_us[cuts]
    keep = ~cuts
    batch = replace(
        small,
        seg_device=np.append(small.seg_device[keep], np.int32(3)),
        seg_start_us=np.append(small.seg_start_us[keep], starts[0]),
        seg_end_us=np.append(small.seg_end_us[keep], ends[-1]),
    )
    assert rows > 2000
    with fake_cupy.installed(host_kernels) as fake:
        got = kernel_cuda.integrate(batch, memory_bytes=200_000)
        assert_same_bits(kernel_cpu.integrate(batch), got)
        assert fake.device.peak <= 200_000


@pytest.mark.parametrize("lazy", [True, False])
def test_several_devices_share_the_work(host_kernels: HostKernels, lazy: bool) -> None:
    batch = random_batch(2, devices=60, readings=3000)
    with fake_cupy.installed(host_kernels, lazy=lazy) as fake:
        got = kernel_cuda.integrate(batch, memory_bytes=200_000, ordinals=[0, 1])
        assert_same_bits(kernel_cpu.integrate(batch), got)
        assert {ordinal for ordinal, _ in fake.launched} == {0, 1}
        assert fake.device.peak <= 2 * 200_000


def test_an_error_midway_leaves_nothing_on_its_way(host_kernels: HostKernels) -> None:
    """One segment does not fit: those before it are under way when that comes to light."""
    small = random_batch(2, devices=9, readings=1000)
    last = np.flatnonzero(small.seg_device == 8)
    keep = np.arange(last[0] + 1)
    batch = replace(
        small,
        seg_device=small.seg_device[keep],
        seg_start_us=small.seg_start_us[keep],
        seg_end_us=np.append(small.seg_end_us[keep[:-1]], small.seg_end_us[-1]),
    )
    with fake_cupy.installed(host_kernels) as fake:
        with pytest.raises(UserError, match="which one segment of"):
            kernel_cuda.integrate(batch, memory_bytes=50_000)
        assert len(fake.launched) > 3
        assert fake.device.in_use == 0
        got = kernel_cuda.integrate(batch, memory_bytes=200_000)
        assert_same_bits(kernel_cpu.integrate(batch), got)


def test_pinned_batches_are_copied_from_where_they_lie(
    host_kernels: HostKernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = random_batch(2, devices=30, readings=1000)
    with fake_cupy.installed(host_kernels):
        page_locked = kernel_cuda.pinned(batch)
        staged: list[int] = []
        stage = feed._stage
        monkeypatch.setattr(
            feed, "_stage", lambda to, array: (staged.append(array.nbytes), stage(to, array))
        )
        got = kernel_cuda.integrate(page_locked)
        assert_same_bits(kernel_cpu.integrate(batch), got)
        assert sum(staged) <= 4 * len(batch.seg_device) + 16 * 31  # rebuilt: seg_device, offsets


def test_large_arrays_are_staged_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_PIECE_BYTES", 64)
    array = np.arange(1001)
    target = np.zeros(1001, np.int64)
    feed._stage(target, array)
    assert (target == array).all()


def test_a_gap_limit_beyond_the_bound_is_refused(host_kernels: HostKernels) -> None:
    batch = random_batch(2, devices=1, readings=10)
    with fake_cupy.installed(host_kernels), pytest.raises(ValueError, match="at most 600,000,000"):
        kernel_cuda.integrate(replace(batch, gap_limit_us=np.array([600_000_001])))


def test_no_segments(host_kernels: HostKernels) -> None:
    batch = random_batch(2, devices=1, readings=10)
    none = {n: getattr(batch, n)[:0] for n in ("seg_device", "seg_start_us", "seg_end_us")}
    with fake_cupy.installed(host_kernels):
        assert len(kernel_cuda.integrate(replace(batch, **none)).readings) == 0
