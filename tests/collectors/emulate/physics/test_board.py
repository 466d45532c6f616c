"""Readings against the trace they are made from, recomputed here cell by cell."""

import pytest

from tests.support.emulated import Walk, small_profile
from tokenergy_collectors.emulate.profile import blueprint
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.emulate.workloads.timeline import CELL_US


def integral_nj(trace, index, start_us, end_us):
    """Sum power cell by cell in Python integers."""
    assert trace.start_us <= start_us <= end_us <= trace.end_us
    total, at_us = 0, start_us
    while at_us < end_us:
        cell = (at_us - trace.start_us) // CELL_US
        stop_us = min(trace.start_us + (cell + 1) * CELL_US, end_us)
        total += int(trace.power_mw[index, cell]) * (stop_us - at_us)
        at_us = stop_us
    return total


@pytest.mark.parametrize(("reading", "window_us"), [("instant", 25_000), ("average", 1_000_000)])
def test_reading_is_the_mean_over_its_window_at_the_latest_refresh(reading, window_us):
    walk = Walk()
    sensor = blueprint.sensor(walk.node.profile, "n1", 0)
    board = walk.node.boards[0]
    for at_us in (0, 1, 9_123_456, 9_999_999, 10_000_000, 20_000_001, 25_555_555):
        mw = getattr(board, f"power_{reading}_mw")(at_us)
        refresh_us = at_us - (at_us - sensor.phase_us) % sensor.update_us
        trace = walk.node._group.trace
        energy_nj = integral_nj(trace, 0, refresh_us - window_us, refresh_us)
        assert abs(mw - energy_nj / window_us) <= 0.5


def test_counter_is_the_exact_integral_rounded_down():
    walk = Walk()
    board, base_mj = (
        walk.node.boards[0],
        blueprint.sensor(walk.node.profile, "n1", 0).counter_base_mj,
    )
    assert board.energy_mj(0) == base_mj > 0
    total_nj = last_us = 0
    for at_us in (1, 4_999_999, 9_123_457, 17_000_000, 22_222_222, 31_000_001, 41_234_567):
        mj = board.energy_mj(at_us)
        total_nj += integral_nj(walk.node._group.trace, 0, last_us, at_us)
        last_us = at_us
        assert mj == base_mj + total_nj // 1_000_000


def test_gain_and_offset_bend_the_reading_but_not_the_counter():
    plain = small_profile()
    values = plain.model_dump()
    values["nodes"]["n1"] |= {"power_gain_ppm": [50_000] * 4, "power_offset_mw": [-1_200] * 4}
    bent = Walk(Profile.model_validate(values)).node.boards[0]
    true = Walk(plain).node.boards[0]
    for at_us in (1_000_000, 20_000_000):
        expected = true.power_instant_mw(at_us) * 1.05 - 1_200
        assert abs(bent.power_instant_mw(at_us) - expected) <= 1
        assert bent.energy_mj(at_us) == true.energy_mj(at_us)


def test_gauges_follow_the_workload():
    chat, free = Walk().node.boards[0], Walk().node.boards[3]
    assert (free.utilization(5_000_000), free.processes(5_000_000)) == ((0, 0), [])
    assert (free.sm_mhz(5_000_000), free.clock_reasons(5_000_000)) == (345, 1)
    cold_c = chat.temp_c(2_000_000)
    assert chat.utilization(40_000_000)[0] > 50
    assert 1_400 < chat.sm_mhz(40_000_000) <= 1_980
    assert chat.temp_c(40_000_000) > cold_c + 10
    assert len(chat.processes(40_000_000)) == 1
    assert chat.processes(41_234_567) == []


def test_counter_reset_starts_again_at_zero():
    board = Walk().node.boards[0]
    before_mj = board.energy_mj(10_000_000)
    board.reset_counter(10_000_000)
    assert board.energy_mj(10_000_000) == 0
    assert 0 < board.energy_mj(11_000_000) < before_mj


def test_a_counter_that_is_renewed_now_and_then_holds_its_value_in_between():
    plain, slow = Walk().node, Walk(small_profile(counter_update_us=250_000)).node
    sensor = blueprint.sensor(slow.profile, "n1", 0)
    for at_us in (0, 1_000_000, 9_123_456, 20_000_001, 25_555_555, 31_000_001):
        renewed_us = at_us - (at_us - sensor.counter_phase_us) % 250_000
        for later_us in (renewed_us, at_us, renewed_us + 249_999):
            assert slow.boards[0].energy_mj(later_us) == slow.boards[0].energy_mj(renewed_us)
        if renewed_us >= 0:
            assert slow.boards[0].energy_mj(at_us) == plain.boards[0].energy_mj(renewed_us)
    assert 0 <= sensor.counter_phase_us < 250_000


def test_a_gain_of_the_counter_bends_the_counter_alone():
    plain, bent = Walk(), Walk(small_profile(counter_gain_ppm=-30_000))
    for walk in (plain, bent):
        walk.to(60_000_000)
    true_mj, found_mj = (
        walk.node.boards[0].energy_mj(60_000_000) - walk.node.boards[0].energy_mj(41_000_000)
        for walk in (plain, bent)
    )
    assert abs(found_mj - 0.97 * true_mj) <= 2
    assert bent.node.truth() == plain.node.truth()
    at_us = 60_000_000
    assert bent.node.boards[0].power_instant_mw(at_us) == plain.node.boards[0].power_instant_mw(
        at_us
    )


def test_the_counter_of_a_module_covers_what_shares_it():
    plain, module = (
        Walk(),
        Walk(small_profile(module_rest_w=100.0, counter_scope="module")),
    )
    for walk in (plain, module):
        walk.to(60_000_000)
    gpu_mj, module_mj = (
        walk.node.boards[0].energy_mj(60_000_000) - walk.node.boards[0].energy_mj(50_000_000)
        for walk in (plain, module)
    )
    assert abs(module_mj - gpu_mj - 1_000_000) <= 1
    gpu, whole = (walk.node.truth()[0] for walk in (plain, module))
    assert whole["energy_nj"] == gpu["energy_nj"]
    assert whole["module_energy_nj"] == gpu["energy_nj"] + 100_000 * 60_000_000
    assert "module_energy_nj" not in gpu


def test_the_driver_call_returns_what_the_kind_of_board_does():
    for usage, expected in (("average", "power_average_mw"), ("instant", "power_instant_mw")):
        board = Walk(small_profile(usage=usage)).node.boards[0]
        seen = range(10_000_000, 20_000_000, 333_333)
        assert [board.power_usage_mw(at) for at in seen] == [
            getattr(board, expected)(at) for at in seen
        ]
