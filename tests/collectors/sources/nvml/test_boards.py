"""Boards behind the unmodified binding: which fields answer, what is lost, what is found."""

import pynvml
import pytest

from tests.support.emulated import Walk, small_profile
from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import POWER
from tokenergy_collectors.sampler.sampler import Sampler
from tokenergy_collectors.sources.host import Output
from tokenergy_collectors.sources.nvml.boards import close_boards, open_boards
from tokenergy_collectors.spool.spool import Spool

INSTANT = pynvml.NVML_FI_DEV_POWER_INSTANT
AVERAGE = pynvml.NVML_FI_DEV_POWER_AVERAGE


T0 = 1_768_464_000_000_000
"""UTC at which the monotonic clock is 0."""


class Rig:
    """Opened boards of an emulated node, a sampler on them, and its events."""

    def __init__(self, walk, tmp_path):
        self.walk, self.node, self.clock = walk, walk.node, walk.clock
        self.boards, self.problems = open_boards()
        self.events = []
        lake = Lake(tmp_path, create=True)
        self.spool = Spool(lake, "n1", print)
        self.lake = lake
        self.sampler = Sampler(self.boards, walk.clock, T0, Output(self.spool), self.tell)

    def tell(self, *event):
        self.events.append(event)

    def every(self, period_us, until_us, *, energy=False):
        while self.node.now_us() < until_us:
            self.walk.to(self.node.now_us() + period_us)
            self.sampler.sample(energy=energy)

    def rows(self, table, index=0):
        self.sampler.flush()
        self.spool.seal()
        rows = [{**r, "ts_us": r["ts_us"] - T0} for r in self.lake.read(table).to_pylist()]
        device = self.boards[index].device_id
        return sorted((r for r in rows if r["device_id"] == device), key=lambda r: r["ts_us"])


@pytest.fixture
def rig_of(tmp_path):
    opened = []

    def rig_of(*unsupported):
        walk = Walk(small_profile(unsupported=list(unsupported)))
        opened.append(walk.node.__enter__())
        return Rig(walk, tmp_path)

    yield rig_of
    for node in opened:
        close_boards()
        node.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("unsupported", "sensor", "has_energy"),
    [
        ((), "instant", True),
        (("instant",), "average_1s", True),
        (("instant", "average"), "unknown", True),
        (("counter",), "instant", False),
        (("instant", "average", "counter"), "unknown", False),
    ],
)
def test_the_best_field_is_used(rig_of, unsupported, sensor, has_energy):
    rig = rig_of(*unsupported)
    rig.walk.to(20_300_000)
    board, emulated = rig.boards[0], rig.node.boards[0]
    now_us = rig.node.now_us()
    instant, average = emulated.power_instant_mw(now_us), emulated.power_average_mw(now_us)
    assert instant != average
    assert board.sensor == sensor
    expected = instant if sensor == "instant" else average
    assert board.read(energy=False) == (expected, None)
    assert board.read(energy=True) == (expected, emulated.energy_mj(now_us) if has_energy else None)


def test_a_board_that_tells_nothing_is_not_lost(rig_of):
    rig = rig_of("instant", "average", "usage", "counter")
    assert rig.boards[0].read(energy=True) == (None, None)
    rig.every(100_000, 1_000_000, energy=True)
    assert rig.rows("power") == []
    assert rig.events == []


def test_a_counter_alone_is_kept(rig_of):
    rig = rig_of("instant", "average", "usage")
    rig.every(500_000, 2_000_000, energy=True)
    rows = rig.rows("power")
    assert [r["power_mw"] for r in rows] == [None] * 4
    assert all(r["energy_mj"] > 0 for r in rows)


def test_boards_introduce_themselves(rig_of):
    rig = rig_of()
    assert [board.index for board in rig.boards] == [0, 1, 2, 3]
    board = rig.boards[1]
    assert board.device_id == rig.node.boards[1].identity.uuid
    assert (board.limit_mw, board.name) == (700_000, "NVIDIA H100 80GB HBM3")
    assert "emulated" in board.driver
    assert rig.problems == []


def test_a_lost_board_leaves_a_gap_and_comes_back(rig_of):
    rig = rig_of()
    rig.every(100_000, 2_000_000)
    rig.node.fail(0, pynvml.NVML_ERROR_GPU_IS_LOST)
    rig.every(100_000, 10_000_000)
    rig.sampler.read_state(processes=True)
    rig.node.fail(0, None)
    rig.every(100_000, 20_000_000)
    device = rig.boards[0].device_id
    assert [(kind, who) for kind, who, _ in rig.events] == [("lost", device), ("found", device)]
    rows = rig.rows("power")
    before = [r for r in rows if r["ts_us"] <= 3_000_000]
    after = [r for r in rows if r["ts_us"] > 3_000_000]
    assert before[-1]["ts_us"] == 3_000_000
    assert after[0]["ts_us"] > 11_000_000
    assert after[0]["energy_mj"] is not None
    assert {r["epoch"] for r in rows} == {0}
    assert rig.rows("state") == []
    assert len(rig.rows("power", 1)) > len(rows)


def test_a_lost_board_is_looked_for_ever_more_rarely(rig_of, monkeypatch):
    rig = rig_of()
    tries, reopen = [], type(rig.boards[0]).reopen
    monkeypatch.setattr(
        type(rig.boards[0]), "reopen", lambda b: (tries.append(rig.node.now_us()), reopen(b))
    )
    rig.node.fail(0, pynvml.NVML_ERROR_GPU_IS_LOST)
    rig.every(100_000, 59_000_000)
    seconds = [round(t / 1e6, 1) for t in tries]
    assert seconds == [1.1, 3.1, 7.1, 15.1, 31.1]
    assert [kind for kind, _, _ in rig.events] == ["lost"]


def test_a_new_handle_is_fetched_by_uuid(rig_of):
    rig = rig_of()
    board = rig.boards[2]
    board.handle = rig.boards[0].handle
    board.reopen()
    assert board.read(energy=False)[0] == rig.node.boards[2].power_instant_mw(rig.node.now_us())
    pynvml.nvmlShutdown()
    with pytest.raises(pynvml.NVMLError):
        board.read(energy=False)
    board.reopen()
    assert board.read(energy=False)[0] is not None


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_UNKNOWN])
def test_a_field_that_says_the_board_is_lost_is_believed(rig_of, monkeypatch, code):
    """A driver may return success for the whole call and the error for each field."""
    rig = rig_of()
    real = pynvml.nvmlLib.nvmlDeviceGetFieldValues

    def failing(handle, count, values):
        done = real(handle, count, values)
        for value in values:
            value.nvmlReturn = code
        return done

    monkeypatch.setattr(pynvml.nvmlLib, "nvmlDeviceGetFieldValues", failing)
    rig.every(100_000, 500_000)
    assert [kind for kind, _, _ in rig.events] == ["lost"] * 4


def test_a_board_remembers_how_its_latest_reading_failed(rig_of):
    rig = rig_of()
    board = rig.boards[1]
    for code in (pynvml.NVML_ERROR_UNKNOWN, pynvml.NVML_ERROR_GPU_IS_LOST):
        rig.node.fail(1, code)
        with pytest.raises(pynvml.NVMLError):
            board.read(energy=True)
        assert board.failure == code
    rig.node.fail(1, pynvml.NVML_ERROR_UNKNOWN)
    with pytest.raises(pynvml.NVMLError):
        board.reopen()
    assert board.failure == pynvml.NVML_ERROR_UNKNOWN
    rig.node.fail(1, None)
    board.reopen()
    board.read(energy=False)
    assert [b.failure for b in rig.boards] == [None] * 4


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_TIMEOUT, pynvml.NVML_ERROR_NOT_SUPPORTED])
def test_power_that_is_missing_once_leaves_the_board_alone(rig_of, monkeypatch, code):
    rig = rig_of("counter")
    rig.every(100_000, 1_000_000)
    real = pynvml.nvmlLib.nvmlDeviceGetFieldValues

    def failing(handle, count, values):
        done = real(handle, count, values)
        values[0].nvmlReturn = code
        return done

    with monkeypatch.context() as patch:
        patch.setattr(pynvml.nvmlLib, "nvmlDeviceGetFieldValues", failing)
        rig.every(100_000, 1_100_000)
    rig.every(100_000, 2_000_000)
    assert rig.events == []
    stamps = [r["ts_us"] for r in rig.rows("power")]
    assert 2_100_000 not in stamps
    assert stamps[-1] == 3_000_000


def test_all_ones_are_no_reading(rig_of, monkeypatch):
    rig = rig_of()
    real = pynvml.nvmlLib.nvmlDeviceGetFieldValues

    def ones(handle, count, values):
        done = real(handle, count, values)
        values[0].value.uiVal = 2**32 - 1
        values[1].value.ullVal = 2**64 - 1
        return done

    monkeypatch.setattr(pynvml.nvmlLib, "nvmlDeviceGetFieldValues", ones)
    assert rig.boards[0].read(energy=True) == (None, None)


def test_a_counter_that_restarts_begins_an_epoch(rig_of):
    rig = rig_of()
    rig.every(500_000, 2_000_000, energy=True)
    rig.node.reset_counter(0)
    rig.every(500_000, 4_000_000, energy=True)
    rows = rig.rows("power")
    assert [r["epoch"] for r in rows] == [0] * 4 + [1] * 4
    assert [(kind, who) for kind, who, _ in rig.events] == [
        ("counter_reset", rig.boards[0].device_id)
    ]
    assert {r["epoch"] for r in rig.rows("power", 1)} == {0}


def test_state_and_processes(rig_of):
    rig = rig_of()
    rig.walk.to(20_000_000)
    rig.sampler.read_state(processes=True)
    rig.walk.to(21_000_000)
    rig.sampler.read_state(processes=False)
    first, second = rig.rows("state")
    assert len(first["pids"]) == 1
    assert second["pids"] is None
    assert 0 <= first["sm_util"] <= 100
    assert first["sm_mhz"] > 345
    assert first["throttle"] is not None


def test_one_dead_board_does_not_stop_the_others():
    walk = Walk()
    with walk.node:
        walk.node.fail(1, pynvml.NVML_ERROR_GPU_IS_LOST)
        boards, problems = open_boards()
        assert [board.index for board in boards] == [0, 2, 3]
        assert problems == ["GPU 1 cannot be opened: GPU is lost"]
        for index in range(4):
            walk.node.fail(index, pynvml.NVML_ERROR_GPU_IS_LOST)
        with pytest.raises(UserError, match="GPU 0 cannot be opened"):
            open_boards()


def test_no_driver_is_one_line(monkeypatch):
    def missing():
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    with pytest.raises(UserError, match=r"NVML cannot be started: .*is the NVIDIA driver loaded"):
        open_boards()
    close_boards()


def test_readings_at_one_instant_are_written_once(rig_of):
    rig = rig_of()
    rig.walk.to(1_000_000)
    rig.sampler.sample(energy=True)
    rig.sampler.sample(energy=False)
    rig.sampler.sample(energy=True)
    assert [(r["ts_us"], r["energy_mj"] is not None) for r in rig.rows("power")] == [
        (2_000_000, True)
    ]
    assert isinstance(rig.clock, VirtualClock)
    assert set(rig.rows("power")[0]) == set(POWER.column_names)


@pytest.mark.parametrize(("before_mj", "epoch"), [(5_000, 1), (30_000_000, 0)])
def test_a_counter_that_may_have_restarted_unseen_begins_an_epoch(rig_of, before_mj, epoch):
    """Away for some 8 s a board of 700 W draws less than 30 kJ, but more than 5 J."""
    rig = rig_of()
    board = rig.node.boards[0]
    rig.every(100_000, 1_000_000)
    board._base_mj += before_mj - board.energy_mj(1_000_000)
    rig.every(100_000, 1_100_000, energy=True)
    rig.node.fail(0, pynvml.NVML_ERROR_GPU_IS_LOST)
    rig.every(100_000, 3_000_000)
    if epoch:
        rig.node.reset_counter(0)
    rig.every(100_000, 7_000_000)
    rig.node.fail(0, None)
    rig.every(100_000, 20_000_000, energy=True)
    counted = [r for r in rig.rows("power") if r["energy_mj"] is not None]
    assert counted[-1]["energy_mj"] > counted[0]["energy_mj"]  # no fall shows it
    assert counted[-1]["epoch"] == epoch
    kinds = [kind for kind, _, _ in rig.events]
    assert kinds == ["lost", "found"] + ["counter_reset"] * epoch


def test_gauges_that_a_board_never_had_are_no_event(rig_of, monkeypatch):
    rig = rig_of()

    def none(handle):
        raise pynvml.NVMLError_NotSupported

    monkeypatch.setattr(pynvml, "nvmlDeviceGetUtilizationRates", none)
    rig.sampler.read_state(processes=False)
    rig.walk.to(1_000_000)
    rig.sampler.read_state(processes=False)
    assert rig.events == []
    monkeypatch.undo()
    rig.sampler.read_state(processes=False)
    assert {(kind, detail) for kind, _, detail in rig.events} == {("gauges", "not reported: none")}


def test_a_twin_shares_no_memory_with_its_board(rig_of):
    board = rig_of().boards[0]
    twin = board.twin()
    assert twin.read(energy=True) == board.read(energy=True)
    assert (twin.device_id, twin.sensor, twin.has_energy) == (board.device_id, "instant", True)
    assert twin.power_request is not board.power_request
    assert twin.energy_request is not board.energy_request
