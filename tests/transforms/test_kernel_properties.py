"""Laws of the integration on drawn batches: every back end and every lane gives the same bits.

Drawn are devices with 0 to 2,000 readings: spacings of 1 us to the widest that the contract
allows, gaps at the limit and just beyond, rows twice and stamps twice, powers up to the overflow
bound, counters that are sparse, fall or restart; and cuts on, between, before and after
readings, so that segments hold anything from none of the readings to all of them.
"""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.support import oracle
from tests.support.host_shim import HostKernels
from tokenergy_collectors.lake.contract import BOUNDS, HOUR_US
from tokenergy_transforms import kernel_cpu
from tokenergy_transforms.batch import COUNTER_SPAN_US, NONE, Batch, Result
from tokenergy_transforms.cuda import plan
from tokenergy_transforms.cuda.lanes import LANES
from tokenergy_transforms.unsorted import UnsortedRows, sort_rows

HOUR = 1_768_464_000_000_000
GAP_MOST = BOUNDS["gap_limit_us"][1]
POWER_MOST = 2**31 - 1

examples = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def powers(draw: st.DrawFn, rng: np.random.Generator, n: int) -> np.ndarray:
    most = draw(st.sampled_from([0, 1, 900, 700_000, POWER_MOST]))
    kind = draw(st.sampled_from(["any", "ends", "steady", "ramp"]))
    if kind == "ends":
        return rng.choice([0, most], n)
    if kind == "steady":
        return np.full(n, most)
    if kind == "ramp":
        return np.linspace(0, most, n).astype(np.int64)
    return rng.integers(0, most + 1, n)


@st.composite
def stamps(draw: st.DrawFn, rng: np.random.Generator, n: int, limit: int) -> np.ndarray:
    """n stamps around the hour, over at most an hour, so that no energy overflows."""
    spacing = rng.integers(1, draw(st.sampled_from([2, 150, 20_000, 200_000])), n)
    wide = rng.random(n) < draw(st.sampled_from([0, 0.01, 0.3]))
    choices = [limit - 1, limit, limit + 1, 3 * limit]
    spacing[wide] = np.maximum(rng.choice(choices, int(wide.sum())), 1)
    if n and draw(st.integers(0, 5)) == 0:  # all over the hour
        spacing = rng.integers(HOUR_US // n - 5, HOUR_US // n + 1, n)
    ts = np.cumsum(spacing)
    ts = ts[ts < HOUR_US]
    begin = HOUR + draw(st.sampled_from([-1_000_000, 0, 1_000_000]))
    return begin + ts


@st.composite
def cuts_of(draw: st.DrawFn, rng: np.random.Generator, ts: np.ndarray) -> np.ndarray:
    cuts = [HOUR, HOUR + HOUR_US]  # the edges of the hour
    for _ in range(draw(st.integers(0, 12))):
        near = int(rng.choice(ts)) if len(ts) else HOUR
        cuts.append(near + draw(st.sampled_from([-1, 0, 0, 1, 7, 100_000])))
    if len(ts) and draw(st.booleans()):
        window = draw(st.sampled_from([10, 100, 600]))
        cuts += ts[:: max(window, len(ts) // 15)].tolist()
    return np.unique(np.array(cuts, np.int64))


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    columns, devices, starts, ends, limits = [], [], [], [], []
    sizes = st.one_of(st.integers(0, 20), st.integers(0, 150), st.sampled_from([513, 2000]))
    for d in range(draw(st.integers(1, 3))):
        limit = draw(st.sampled_from([1, 1_000, 1_500_000, GAP_MOST]))
        ts = draw(stamps(rng, draw(sizes), limit))
        n = len(ts)
        mw = draw(powers(rng, n))
        mj = 10**12 + np.cumsum(rng.integers(0, 10**9, n)) - (rng.random(n) < 0.02) * 10**6
        counted = rng.random(n) < draw(st.sampled_from([0, 0.02, 0.3, 1]))
        if draw(st.integers(0, 5)) == 0:
            counted = np.isin(np.arange(n), [0, n - 1])
        epoch = np.cumsum(rng.random(n) < draw(st.sampled_from([0, 0.05])))
        again = rng.integers(0, n, n // 5) if n else np.empty(0, np.int64)
        order = rng.permutation(np.concatenate([np.arange(n), again]))
        other = mw[order] + np.where(rng.random(len(order)) < 0.1, 1, 0)  # an equal stamp
        columns.append(
            (
                np.full(len(order), d),
                ts[order],
                np.minimum(other, POWER_MOST),
                np.ones(len(order), bool),
                mj[order],
                counted[order],
                epoch[order],
            )
        )
        cuts = draw(cuts_of(rng, ts))
        devices.append(np.full(len(cuts) - 1, d, np.int32))
        starts.append(cuts[:-1])
        ends.append(cuts[1:])
        limits.append(limit)
    rows = UnsortedRows(*(np.concatenate(parts) for parts in zip(*columns, strict=True)))
    segments = np.concatenate(devices), np.concatenate(starts), np.concatenate(ends)
    names = [str(d) for d in range(len(limits))]
    return sort_rows(rows, names).batch(np.array(limits, np.int64), segments)


def assert_same_bits(want: Result, got: Result) -> None:
    for field in fields(Result):
        a, b = getattr(want, field.name), getattr(got, field.name)
        assert a.tobytes() == b.tobytes(), (field.name, a.tolist(), b.tolist())


@given(batch=batches(), which=st.randoms(use_true_random=False))
@examples
def test_the_twin_equals_the_fractions(batch: Batch, which: object) -> None:
    result = kernel_cpu.integrate(batch)
    count = len(batch.seg_start_us)
    most = max(3, 4000 // (len(batch.ts_us) + 1))  # the oracle is slow
    chosen = which.sample(range(count), min(most, count))  # type: ignore[attr-defined]
    for s in chosen:
        wanted = oracle.segment(batch, s)
        if wanted["covered_us"]:  # energies beyond 2^53 nJ are rounded before they are divided
            wanted["mean_mw"] = float(wanted["energy_nj"]) / float(wanted["covered_us"])
        for name, want in wanted.items():
            got = getattr(result, name)[s]
            if want is None:
                assert math.isnan(got) if name == "mean_mw" else got == NONE, (s, name)
            else:
                assert got == want, (s, name)


@given(batch=batches(), backwards=st.booleans())
@settings(examples, max_examples=150)
def test_every_lane_of_the_cuda_source_equals_the_twin(
    host_kernels: HostKernels, batch: Batch, backwards: bool
) -> None:
    """Each batch on each lane: a batch takes longer to draw than to integrate."""
    want = kernel_cpu.integrate(batch)
    for lane in LANES:
        note(f"lane {lane.kernel}")
        assert_same_bits(want, host_kernels.integrate(batch, lane, backwards=backwards))


@given(batch=batches(), wanted=st.integers(1, 200_000))
@examples
def test_shards_equal_the_whole(batch: Batch, wanted: int) -> None:
    got = Result.empty(len(batch.seg_start_us))
    for shard in plan.shards(batch, wanted, 1 << 40):
        plan.put(got, shard, kernel_cpu.integrate(plan.cut(batch, shard)))
    assert_same_bits(kernel_cpu.integrate(batch), got)


@given(batch=batches())
@examples
def test_segments_add_up_to_the_hour(host_kernels: HostKernels, batch: Batch) -> None:
    """Neighbouring segments add up to one that spans them all, exactly."""
    parts = host_kernels.integrate(batch)
    first = np.flatnonzero(np.diff(batch.seg_device, prepend=-1))
    last = np.append(first[1:], len(batch.seg_device)) - 1
    hour = replace(
        batch,
        seg_device=batch.seg_device[first],
        seg_start_us=batch.seg_start_us[first],
        seg_end_us=batch.seg_end_us[last],
    )
    whole = kernel_cpu.integrate(hour)
    for name in ("readings", "covered_us", "energy_nj"):
        added = np.add.reduceat(getattr(parts, name), first)
        assert added.tolist() == getattr(whole, name).tolist(), name
    assert np.maximum.reduceat(parts.max_mw, first).tolist() == whole.max_mw.tolist()
    for d, (a, z) in enumerate(zip(first, last + 1, strict=True)):
        counters = parts.counter_nj[a:z]
        if (counters != NONE).all():
            assert counters.sum() == whole.counter_nj[d]


def test_the_drawn_batches_reach_every_lane_and_every_edge() -> None:
    """What the laws above are tested on: if the drawing narrowed, they would say less."""
    seen: dict[str, bool] = {}

    def add(what: str, is_there: bool) -> None:
        seen[what] = seen.get(what, False) or bool(is_there)

    @given(batch=batches())
    @settings(examples, max_examples=150, database=None, derandomize=True)
    def look(batch: Batch) -> None:
        result = kernel_cpu.integrate(batch)
        for low, high in ((1, 16), (17, 128), (129, 512), (513, 5000)):
            inside = (result.readings >= low) & (result.readings <= high)
            add(f"{low} readings or more", inside.any())
        for what, is_there in {
            "a device without readings": (np.diff(batch.offsets) == 0).any(),
            "a device with one": (np.diff(batch.offsets) == 1).any(),
            "a cut on a reading": np.isin(batch.seg_start_us, batch.ts_us).any(),
            "a gap": (result.covered_us < batch.seg_end_us - batch.seg_start_us).any(),
            "the greatest power": (result.max_mw == POWER_MOST).any(),
            "the widest gap limit": (result.max_gap_us == GAP_MOST).any(),
            "a counter": (result.counter_nj > 0).any(),
            "no counter": (result.counter_nj == NONE).any(),
            "counters too far apart": (np.diff(batch.counter_ts_us) > COUNTER_SPAN_US).any(),
            "epochs": (np.diff(batch.counter_epoch) != 0).any(),
            "readings before the hour": (batch.ts_us < HOUR).any(),
        }.items():
            add(what, is_there)

    look()
    assert all(seen.values()), [what for what, is_there in seen.items() if not is_there]
