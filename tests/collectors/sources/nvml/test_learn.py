"""Learned update periods: on emulated boards, and from awkward sequences of changes."""

import threading
import tomllib

import numpy as np
import pynvml
import pytest

from tests.support.emulated import SMALL, Walk, small_profile
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.emulate.run.emulated import _learn_on_a_twin
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.nvml.boards import close_boards, open_boards
from tokenergy_collectors.sources.nvml.learn import Change, learn_periods, period_us
from tokenergy_collectors.start import run_collector

MS = 1_000


@pytest.fixture
def opened():
    entered = []

    def opened(**board):
        walk = Walk(small_profile(**board))
        entered.append(walk.node.__enter__())
        return walk, open_boards()[0]

    yield opened
    for node in entered:
        close_boards()
        node.__exit__(None, None, None)


def learn(walk, boards, learn_s=1.5):
    before_us = walk.node.now_us()
    learn_periods(boards, walk.clock, learn_s, threading.Event())
    return walk.node.now_us() - before_us


@pytest.mark.parametrize("at_us", [0, 10_000_000])
@pytest.mark.parametrize("period_ms", [20, 100, 101, 500])
def test_the_period_of_emulated_boards_is_learned(opened, period_ms, at_us):
    walk, boards = opened(update_us=period_ms * MS)
    walk.to(at_us)
    learn(walk, boards)
    assert [b.update_us for b in boards] == [pytest.approx(period_ms * MS, rel=0.03)] * 4


@pytest.mark.parametrize("period_ms", [20, 100, 101, 500])
def test_the_period_of_the_counter_is_learned_of_its_own(opened, period_ms):
    walk, boards = opened(update_us=50 * MS, counter_update_us=period_ms * MS)
    learn(walk, boards)
    assert [b.counter_us for b in boards] == [pytest.approx(period_ms * MS, rel=0.03)] * 4
    assert [b.update_us for b in boards] == [pytest.approx(50 * MS, rel=0.03)] * 4


def test_a_counter_that_always_grows_has_no_period_and_a_missing_one_is_unknown(opened):
    walk, boards = opened(counter_update_us=0)
    learn(walk, boards)
    assert [b.counter_us for b in boards] == [0] * 4
    without, others = opened(unsupported=["counter"])
    learn(without, others)
    assert [b.counter_us for b in others] == [None] * 4
    assert others[0].update_us is not None


def test_the_average_field_is_watched_where_there_is_no_instant_one(opened):
    walk, boards = opened(unsupported=["instant"], update_us=100 * MS)
    learn(walk, boards)
    assert boards[0].update_us == pytest.approx(100 * MS, rel=0.03)


def test_boards_that_change_are_not_watched_longer_than_asked(opened):
    walk, boards = opened(update_us=100 * MS)
    assert learn(walk, boards) == pytest.approx(1_500 * MS, abs=10 * MS)


def test_a_constant_reading_is_watched_longer_and_stays_unknown(opened):
    walk, boards = opened(update_us=100 * MS, ripple=0.0)
    assert learn(walk, boards) == pytest.approx(3_000 * MS, abs=10 * MS)
    assert [b.update_us for b in boards] == [None] * 4


def test_boards_that_do_not_answer_are_unknown_and_hold_up_nobody(opened):
    walk, boards = opened(update_us=100 * MS)
    walk.node.fail(0, pynvml.NVML_ERROR_GPU_IS_LOST)
    learn(walk, boards)
    assert boards[0].update_us is None
    assert boards[0].failure == pynvml.NVML_ERROR_GPU_IS_LOST
    assert boards[3].update_us == pytest.approx(100 * MS, rel=0.03)
    assert boards[3].failure is None


def test_zero_seconds_and_a_stop_read_nothing(opened):
    walk, boards = opened()
    assert learn(walk, boards, 0.0) == 0
    stop = threading.Event()
    stop.set()
    learn_periods(boards, walk.clock, 1.5, stop)
    assert walk.node.now_us() == 0
    assert boards[0].update_us is None


def changes(stamps_us, width_us=2 * MS):
    return [Change(round(at_us), width_us) for at_us in stamps_us]


def test_equal_neighbours_make_multiples():
    missing = {3, 4, 7, 11, 12, 13}
    stamps = [100 * MS * n for n in range(20) if n not in missing]
    assert period_us(changes(stamps)) == pytest.approx(100 * MS, rel=0.01)


def test_the_period_is_found_where_no_single_one_was_seen():
    assert period_us(changes(np.cumsum([0, 200, 300, 200, 500, 300]) * MS)) == 100 * MS


@pytest.mark.parametrize("period_ms", [20, 100, 500])
def test_jitter_and_a_few_strays_do_not_matter(period_ms):
    rng = np.random.default_rng(1)
    stamps = np.arange(0, 3_000, period_ms) * MS + rng.uniform(-MS, MS, 3_000 // period_ms)
    assert period_us(changes(stamps)) == pytest.approx(period_ms * MS, rel=0.02)
    if period_ms == 20:
        stray = sorted([*stamps, 500_500, 1_507_000, 2_003_700])
        assert period_us(changes(stray)) == pytest.approx(20 * MS, rel=0.02)


def test_a_change_seen_by_a_late_poll_does_not_count():
    found = changes(np.arange(12) * 100 * MS)
    found[5] = Change(found[5].at_us + 35 * MS, 70 * MS)
    assert period_us(found) == 100 * MS


def test_a_period_that_changes_do_not_show_is_none():
    assert period_us([]) is None
    assert period_us(changes([0, 100 * MS])) is None
    each_poll = changes(np.arange(500) * 2 * MS)
    assert period_us(each_poll) is None
    rng = np.random.default_rng(2)
    assert period_us(changes(np.cumsum(rng.uniform(10, 400, 60)) * MS)) is None


def test_learning_costs_an_emulated_node_nothing(tmp_path):
    profile = Profile.model_validate(tomllib.loads(SMALL))
    twins = _learn_on_a_twin(profile, Config(lake="x", node="n1"))
    assert [twin.update_us for twin in twins.values()] == [pytest.approx(100 * MS, rel=0.03)] * 4
    assert [twin.counter_us for twin in twins.values()] == [0] * 4
    unlearned = _learn_on_a_twin(profile, Config(lake="x", node="n1", learn_s=0))
    assert {name: twin.update_us for name, twin in unlearned.items()} == dict.fromkeys(twins)
    assert {twin.counter_us for twin in unlearned.values()} == {None}
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    lake = str(tmp_path / "lake")
    run_collector(None, control=Control(), lake=lake, node="n1", emulate=str(path), duration="2s")
    power = Lake(lake).read("power").to_pylist()
    assert min(row["ts_us"] for row in power) == profile.start_us
    assert {row["device_id"] for row in power} == set(twins)
