"""Workloads on their own: tokens are conserved, steps are cut, logs repeat."""

import itertools

import pytest

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.emulate.workloads.inference import Inference, InferenceSpec
from tokenergy_collectors.emulate.workloads.request_log import (
    SHIPPED,
    Request,
    RequestLog,
    load_log,
)
from tokenergy_collectors.emulate.workloads.stray import Stray, StraySpec
from tokenergy_collectors.emulate.workloads.timeline import CELL_US
from tokenergy_collectors.emulate.workloads.training import Training, TrainingSpec

COSTS = {"step_us": 6_500.0, "per_sequence_us": 60.0, "per_prompt_token_us": 32.0}


def server(requests, *, end_us=60_000_000, period_us=10**12, rate=1.0, **parameters):
    spec = InferenceSpec(
        type="inference", model="m", log="-", rate=rate, load_s=1.0, **COSTS, **parameters
    )
    return Inference(spec, RequestLog(requests, period_us), 1, "job", 0, end_us)


def final(workload):
    workload.advance(workload.end_us)
    return workload.totals_at(workload.end_us)


@pytest.mark.parametrize("parameters", [{}, {"max_num_seqs": 3}, {"max_batched_tokens": 64}])
def test_every_request_gets_exactly_what_it_asked_for(parameters):
    requests = [Request(1_000 * i, 10 + 37 * i % 900, 1 + 13 * i % 70) for i in range(100)]
    prompt, cached, generated, running, waiting = final(
        server(requests, cached_fraction=0.5, **parameters)
    )
    assert prompt == sum(r.context for r in requests)
    assert generated == sum(r.generated for r in requests)
    assert cached == sum(int(r.context * 0.5) // 16 * 16 for r in requests)
    assert (running, waiting) == (0, 0)


def test_one_request_takes_the_steps_it_should():
    workload = server([Request(0, 100, 3)], max_batched_tokens=60)
    steps_us = [6_500 + 60 * 32, 6_500 + 40 * 32, 6_560, 6_560]
    ends_us = list(itertools.accumulate(steps_us, initial=1_000_000))
    final(workload)
    seen = [workload.totals_at(end_us)[:3:2] for end_us in ends_us]
    assert seen == [(0, 0), (0, 0), (100, 1), (100, 2), (100, 3)]
    assert workload.totals_at(ends_us[2] - 1)[2] == 0


def test_planted_energies_are_drawn_above_idle_power():
    requests = [Request(20_000 * i, 10 + 37 * i % 900, 1 + 13 * i % 70) for i in range(100)]
    planted = {"prompt_token_j": 0.02, "generated_token_j": 0.3}
    workload = server(requests, idle_w=120.0, load_w=120.0, cached_fraction=0.5, **planted)
    prompt, cached, generated, *_ = final(workload)
    drawn_j = workload.cells(0, 60_000_000 // CELL_US).power_mw.sum() * CELL_US / 1e9
    assert drawn_j == pytest.approx(120 * 60 + 0.02 * (prompt - cached) + 0.3 * generated)


def test_planted_energies_come_in_pairs():
    with pytest.raises(ValueError, match="expected both or neither"):
        server([Request(0, 100, 3)], prompt_token_j=0.02)


def test_counters_never_fall_and_never_exceed_what_arrived():
    log = load_log("azure_conv", SHIPPED["azure_conv"].parent)
    workload = server(log.requests, rate=8.0, end_us=30_123_457, cached_fraction=0.3)
    arrived = [r for r in log.requests if r.arrival_us / 8 <= 29_123_457]
    before = (0, 0, 0)
    for at_us in range(0, 30_123_458, 99_991):
        workload.advance(at_us)
        *counters, running, waiting = workload.totals_at(at_us)
        assert all(a <= b for a, b in zip(before, counters, strict=True))
        assert running >= 0
        assert waiting >= 0
        before = tuple(counters)
    prompt, cached, generated, running, _ = final(workload)
    assert 0 < cached < prompt <= sum(r.context for r in arrived)
    assert 0 < generated < sum(r.generated for r in arrived)
    assert running > 0, "the job should end with requests in flight, which are cut"


def test_load_ends_with_the_job():
    requests = [Request(1_000 * i, 500, 900) for i in range(50)]
    training = TrainingSpec(type="training", model="m", tokens_per_step=1)
    for workload in (
        server(requests, end_us=2_345_678),
        Training(training, 1, "job", 0, 33_345_678),
        Stray(StraySpec(type="stray"), 1, "job", 0, 7_345_678),
    ):
        workload.advance(40_000_000)
        covered_us = workload.cells(0, 8_000).covered.sum() * CELL_US
        assert covered_us == pytest.approx(workload.end_us, abs=0.01)


def test_a_log_repeats_after_its_period_and_can_be_sped_up():
    log = RequestLog([Request(0, 1, 1), Request(600, 2, 2)], 1_000)
    arrivals = [r.arrival_us for r in itertools.islice(log.stream(2.0), 5)]
    assert arrivals == [0, 300, 500, 800, 1_000]


def test_training_counts_whole_steps_only():
    spec = TrainingSpec(
        type="training",
        model="m",
        tokens_per_step=100,
        load_s=1.0,
        step_s=2.0,
        jitter=0.0,
        checkpoint_every_s=5.0,
        checkpoint_s=3.0,
    )
    workload = Training(spec, 1, "job", 0, 12_999_999)
    assert final(workload) == (400,)  # ends at 3, 5, 7, then a checkpoint, 12; the next is cut
    assert workload.totals_at(2_999_999) == (0,)
    assert workload.totals_at(3_000_000) == (100,)
    assert workload.totals_at(11_999_999) == (300,)


@pytest.mark.parametrize(
    "text", ["", "a,b\n1,2\n", "offset_ms,context,generated\n5,1,1\n4,1,1\n", "\xff"]
)
def test_a_bad_log_is_one_line(tmp_path, text):
    (tmp_path / "log.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError) as caught:
        load_log("log.csv", tmp_path)
    assert "log.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_log_is_one_line(tmp_path):
    with pytest.raises(UserError, match="azure_code, azure_conv"):
        load_log("nowhere", tmp_path)


def test_a_step_may_hold_several_dips():
    spec = TrainingSpec(
        type="training",
        model="m",
        tokens_per_step=100,
        load_s=0.0,
        step_s=1.0,
        jitter=0.0,
        allreduces=4,
        allreduce_s=0.2,
        compute_w=500.0,
        allreduce_w=300.0,
    )
    workload = Training(spec, 1, "job", 0, 2_600_000)
    assert final(workload) == (200,)
    power_w = workload.cells(0, 520).power_mw / 1e3
    dips = [cell for cell in range(1, 520) if power_w[cell - 1] > power_w[cell]]
    assert dips == [40, 90, 140, 190, 240, 290, 340, 390, 440, 490]
    assert power_w.sum() * CELL_US / 1e6 == pytest.approx(2.6 * 500 - 10 * 0.05 * 200)
