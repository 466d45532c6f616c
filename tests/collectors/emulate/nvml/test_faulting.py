"""Faults on a schedule, seen through the unmodified binding."""

import ctypes
import time

import pynvml
import pytest

from tests.support.emulated import SMALL, Walk, small_profile
from tokenergy_collectors.base.clock import SystemClock
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.emulate.profile.profile import Profile, load_profile
from tokenergy_collectors.emulate.run.node import EmulatedNode
from tokenergy_collectors.emulate.run.wallclock import SteppableClock

S = 1_000_000
INSTANT = pynvml.NVML_FI_DEV_POWER_INSTANT
AVERAGE = pynvml.NVML_FI_DEV_POWER_AVERAGE
ENERGY = pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION


def profile_with(*faults, **board):
    values = small_profile(**board).model_dump()
    return Profile.model_validate(values | {"faults": [{"node": "n1"} | f for f in faults]})


@pytest.fixture
def walk_with():
    entered = []

    def walk_with(*faults, **board):
        walk = Walk(profile_with(*faults, **board))
        entered.append(walk.node.__enter__())
        pynvml.nvmlInit()
        return walk

    yield walk_with
    for node in entered:
        node.__exit__(None, None, None)


def handle(index=0):
    return pynvml.nvmlDeviceGetHandleByIndex(index)


def address(board):
    return ctypes.cast(board, ctypes.c_void_p).value


def code_of(call, *arguments):
    with pytest.raises(pynvml.NVMLError) as caught:
        call(*arguments)
    return caught.value.value


def fields(board, *numbers):
    values = pynvml.nvmlDeviceGetFieldValues(board, list(numbers))
    return [v.value.ullVal if v.nvmlReturn == 0 else -v.nvmlReturn for v in values]


def test_a_lost_board_is_back_with_its_uuid_and_its_counter(walk_with):
    walk = walk_with({"kind": "lost", "device": 1, "at_s": 10, "for_s": 5})
    board, other = handle(1), handle(0)
    uuid, before_mj = pynvml.nvmlDeviceGetUUID(board), fields(board, ENERGY)[0]
    walk.to(10 * S - 1)
    assert pynvml.nvmlDeviceGetPowerUsage(board) > 0
    walk.to(10 * S)
    assert code_of(pynvml.nvmlDeviceGetPowerUsage, board) == pynvml.NVML_ERROR_GPU_IS_LOST
    assert pynvml.nvmlDeviceGetPowerUsage(other) > 0
    walk.to(15 * S)
    assert address(pynvml.nvmlDeviceGetHandleByUUID(uuid)) == address(board)
    assert fields(board, ENERGY)[0] == walk.node.boards[1].energy_mj(15 * S) > before_mj


def test_a_reload_voids_handles_and_begins_counters_at_zero(walk_with):
    walk = walk_with({"kind": "driver_reload", "at_s": 10, "for_s": 30.5})
    before = handle(0)
    walk.to(12 * S)
    for call in (pynvml.nvmlDeviceGetCount, lambda: pynvml.nvmlDeviceGetPowerUsage(before)):
        assert code_of(call) == pynvml.NVML_ERROR_UNINITIALIZED
    assert code_of(pynvml.nvmlInit) == pynvml.NVML_ERROR_DRIVER_NOT_LOADED
    walk.to(55 * S)  # nobody asks for longer than the boards remember
    assert code_of(pynvml.nvmlDeviceGetCount) == pynvml.NVML_ERROR_UNINITIALIZED
    pynvml.nvmlInit()
    assert code_of(pynvml.nvmlDeviceGetPowerUsage, before) == pynvml.NVML_ERROR_INVALID_ARGUMENT
    after = handle(0)
    assert address(after) != address(before)
    [counted_mj] = fields(after, ENERGY)
    walk.to(60 * S)
    truth = {
        (r["row"], r["device_id"]): r["energy_nj"] for r in walk.node.truth() if r["row"] == "board"
    }
    whole_nj = truth["board", pynvml.nvmlDeviceGetUUID(after)]
    assert 0 < counted_mj < whole_nj / 1e6
    assert counted_mj < 14.5 * 730_000  # what it can have drawn since 40.5 s
    assert counted_mj > 14.5 * 40_000


def test_a_fault_makes_readings_unsupported_for_a_while(walk_with):
    names = ["instant", "usage", "counter", "utilization", "processes", "reasons"]
    walk = walk_with(
        {"kind": "not_supported", "devices": [0, 0], "readings": names, "at_s": 5, "for_s": 5}
    )
    calls = [
        pynvml.nvmlDeviceGetPowerUsage,
        pynvml.nvmlDeviceGetTotalEnergyConsumption,
        pynvml.nvmlDeviceGetUtilizationRates,
        pynvml.nvmlDeviceGetComputeRunningProcesses,
        pynvml.nvmlDeviceGetCurrentClocksEventReasons,
    ]
    walk.to(6 * S)
    first, second = fields(handle(0), INSTANT, AVERAGE, ENERGY), fields(handle(1), INSTANT, ENERGY)
    assert first[0] == first[2] == -pynvml.NVML_ERROR_NOT_SUPPORTED
    assert first[1] > 0
    assert min(second) > 0
    for call in calls:
        assert code_of(call, handle(0)) == pynvml.NVML_ERROR_NOT_SUPPORTED
        call(handle(1))
    walk.to(10 * S)
    assert min(fields(handle(0), INSTANT, AVERAGE, ENERGY)) > 0
    for call in calls:
        call(handle(0))


def test_what_the_board_never_had_does_not_come_with_the_end_of_a_fault(walk_with):
    fault = {"kind": "not_supported", "device": 0, "readings": ["counter"], "at_s": 1, "for_s": 1}
    walk = walk_with(fault, unsupported=["counter"])
    walk.to(3 * S)
    assert fields(handle(0), ENERGY) == [-pynvml.NVML_ERROR_NOT_SUPPORTED]


@pytest.mark.parametrize("counter", [False, True])
def test_a_stale_reading_stands_at_its_value_of_the_beginning(walk_with, counter):
    walk = walk_with({"kind": "stale", "device": 0, "at_s": 20, "for_s": 20, "counter": counter})
    board = walk.node.boards[0]
    walk.to(20 * S)
    then = (board.power_instant_mw(20 * S), board.power_average_mw(20 * S))
    then_mj = board.energy_mj(20 * S)
    for at_s in (20, 27, 39.9):
        walk.to(round(at_s * S))
        assert tuple(fields(handle(0), INSTANT, AVERAGE)) == then
        assert pynvml.nvmlDeviceGetPowerUsage(handle(0)) == then[1]
        true_mj = board.energy_mj(walk.node.now_us())
        assert fields(handle(0), ENERGY) == [then_mj if counter else true_mj]
    walk.to(40 * S)
    assert fields(handle(0), INSTANT, ENERGY) == [
        board.power_instant_mw(40 * S),
        board.energy_mj(40 * S),
    ]


def test_slow_calls_take_their_time_on_either_clock(walk_with):
    fault = {"kind": "slow", "device": 0, "at_s": 5, "for_s": 5, "call_ms": 250}
    walk = walk_with(fault)
    slow, quick = handle(0), handle(1)
    walk.to(5 * S)
    pynvml.nvmlDeviceGetPowerUsage(quick)
    assert walk.node.now_us() == 5 * S
    pynvml.nvmlDeviceGetPowerUsage(slow)
    assert walk.node.now_us() == 5 * S + 250_000
    walk.to(10 * S)
    pynvml.nvmlDeviceGetPowerUsage(slow)
    assert walk.node.now_us() == 10 * S
    real = profile_with(fault | {"at_s": 0, "call_ms": 30})
    with EmulatedNode(real, "n1", SystemClock()):
        pynvml.nvmlInit()
        before_s = time.monotonic()
        pynvml.nvmlDeviceGetPowerUsage(handle(0))
        assert time.monotonic() - before_s >= 0.03


def test_the_wall_clock_jumps_and_no_other(walk_with):
    walk = walk_with({"kind": "clock_jump", "at_s": 5, "by_s": -60.5})
    walk.to(6 * S)
    before = (walk.clock.monotonic_us(), walk.clock.boottime_us(), walk.clock.realtime_us())
    handle(0)
    after = (walk.clock.monotonic_us(), walk.clock.boottime_us(), walk.clock.realtime_us())
    assert [b - a for a, b in zip(before, after, strict=True)] == [0, 0, -60_500_000]


def test_a_clock_of_this_host_can_be_set_for_an_emulated_one():
    clock, real = SteppableClock(), SystemClock()
    clock.step_realtime(-3600 * S)
    assert abs(real.realtime_us() - 3600 * S - clock.realtime_us()) < 60 * S
    fault = {"kind": "clock_jump", "at_s": 5, "by_s": 1}
    with pytest.raises(TypeError, match="can be set"):
        EmulatedNode(profile_with(fault), "n1", real).__enter__()


def test_truth_knows_no_faults(walk_with):
    def truth(*faults):
        walk = walk_with(*faults)
        walk.to(60 * S)
        handle(0)
        return walk.node.truth()

    healthy = truth()
    pynvml.nvmlShutdown()
    assert healthy == truth(
        {"kind": "undercount", "device": 0, "at_s": 0, "for_s": 60, "faster_than_s": 9},
        {"kind": "stale", "device": 1, "at_s": 3, "for_s": 60, "counter": True},
        {"kind": "clock_jump", "at_s": 5, "by_s": 60},
    )


LOST = '[[faults]]\nkind = "lost"\nnode = "n1"\ndevice = 1\nat_s = 10\nfor_s = 5\n'


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ('"lost"', '"burnt"', ["faults.0", "'burnt'", "'driver_reload'", "'clock_jump'"]),
        ('"n1"', '"n9"', ["'lost'", "node = 'n9'", "allowed: n1"]),
        ("device = 1", "device = 4", ["'lost'", "device = 4", "0 to 3"]),
        ("device = 1", "", ["devices = None", "one of the two"]),
        ("device = 1", "devices = []", ["faults.0.lost.devices", "at least 1 item"]),
        ("at_s = 10", "at_s = 60", ["at_s = 60", "less than duration_s = 60"]),
        ("at_s = 10", "at_s = -1", ["faults.0.lost.at_s", "-1"]),
        ("for_s = 5", "for_s = 0", ["faults.0.lost.for_s", "greater than 0"]),
        ("for_s = 5", "", ["faults.0.lost.for_s", "required"]),
        ("for_s = 5", "until_s = 5", ["'until_s' = 5", "allowed: node, at_s, for_s, device"]),
        ("for_s = 5\n", "for_s = 5\n" + LOST, ["'lost' twice", "board 1", "10 s", "one at a time"]),
        (
            LOST,
            LOST.replace('"lost"', '"not_supported"') + 'readings = ["power"]\n',
            ["faults.0.not_supported.readings.0", "'instant', 'average'", "'power'"],
        ),
        (
            LOST,
            '[[faults]]\nkind = "clock_jump"\nnode = "n1"\nat_s = 3\nby_s = 0\n',
            ["by_s = 0", "any jump but 0"],
        ),
        (
            LOST,
            LOST.replace('"lost"', '"slow"') + "call_ms = 0\n",
            ["faults.0.slow.call_ms", "greater than 0"],
        ),
        (
            LOST,
            LOST.replace('"lost"', '"undercount"') + "faster_than_s = 1\nshare = 2\n",
            ["faults.0.undercount.share", "less than or equal to 1"],
        ),
    ],
)
def test_a_fault_that_is_wrong_is_said_in_one_line(tmp_path, old, new, parts):
    assert old in LOST
    path = tmp_path / "mine.toml"
    path.write_text(SMALL + "\n" + LOST.replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        load_profile(path)
    line = str(caught.value)
    assert "\n" not in line
    for part in parts:
        assert part in line, line


def test_boards_of_a_fault_count_once_and_kinds_may_overlap(tmp_path):
    path = tmp_path / "mine.toml"
    twice = LOST.replace("device = 1", "devices = [2, 1, 1]")
    path.write_text(SMALL + "\n" + twice + LOST.replace('"lost"', '"stale"'))
    lost, stale = load_profile(path).faults
    assert (lost.boards, lost.at_us, lost.end_us) == ([1, 2], 10 * S, 15 * S)
    assert (stale.boards, stale.counter) == ([1], False)
