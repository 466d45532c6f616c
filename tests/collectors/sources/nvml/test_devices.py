"""The `device` table over time: limits, smoothing, driver, index, a period learned anew."""

import json
import threading

import pynvml
import pytest

from tests.support.clocks import SteppedClock
from tests.support.daemon import T0, Run, S
from tests.support.emulated import Walk, small_profile
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.emulate.nvml import library as emulated_nvml
from tokenergy_collectors.emulate.run.node import EmulatedNode
from tokenergy_collectors.lake.contract import DEVICE, EVENT
from tokenergy_collectors.sources.host import Host, Output
from tokenergy_collectors.sources.jobs.declared import DeclaredJobs
from tokenergy_collectors.sources.nvml.boards import close_boards, open_boards
from tokenergy_collectors.sources.nvml.devices import DeviceWatch
from tokenergy_collectors.sources.nvml.settings import GpuKeys

BOARD_COLUMNS = ("limit_mw", "limit_min_mw", "limit_max_mw", "limit_default_mw")


class Watching:
    """Opened boards of an emulated node, a watch on them, and what it writes and tells."""

    def __init__(self, node, clock, **config):
        self.node, self.rows, self.events = node, [], []
        self.boards, _ = open_boards()
        host = Host("n1", clock, Log("text"), Output(self), boards=self.boards, emulated=True)
        self.watch = DeviceWatch(GpuKeys(**config), host)

    def add(self, table, rows):
        if table == "device":
            self.rows.extend(rows)
        else:
            self.events += [
                (r["kind"], r["device_id"], r["detail"]) for r in map(EVENT.as_dict, rows)
            ]

    def look(self):
        """Return the rows and events that a look adds."""
        rows, events = len(self.rows), len(self.events)
        self.watch.look()
        return self.rows[rows:], self.events[events:]


@pytest.fixture
def watching():
    walk = Walk(small_profile())
    with walk.node:
        watching = Watching(walk.node, walk.clock)
        watching.watch.begin()
        yield watching
        close_boards()


def test_limits_are_recorded_at_start_and_on_change(tmp_path):
    run = Run(tmp_path)

    def before(node):
        told = {"limit_mw": 500_000, "min_limit_mw": 150_000}
        run.at(30 * S, lambda: node.set_identity(1, **told))

    run.run(130 * S, before=before, sources=False)
    rows = run.rows("device")
    assert len(rows) == 5
    assert all(row["smoothing"] is None and row["counter_scope"] is None for row in rows)
    first = [row for row in rows if row["ts_us"] == T0]
    assert {tuple(row[name] for name in BOARD_COLUMNS) for row in first} == {
        (700_000, 200_000, 700_000, 700_000)
    }
    [later] = [row for row in rows if row["ts_us"] != T0]
    assert later["ts_us"] == T0 + 60 * S
    assert later["index"] == 1
    assert tuple(later[name] for name in BOARD_COLUMNS) == (500_000, 150_000, 500_000, 500_000)
    [event] = [row for row in run.rows("event") if row["kind"] == "limit"]
    assert event["device_id"] == later["device_id"]
    assert "limit_mw 700000 -> 500000" in event["detail"]
    assert "limit_min_mw 200000 -> 150000" in event["detail"]


def test_nothing_changed_nothing_written(watching):
    assert len(watching.rows) == 4
    assert watching.look() == ([], [])


def test_power_smoothing_is_recorded_where_it_is_told(watching):
    node = watching.node
    node.set_field(2, pynvml.NVML_FI_PWR_SMOOTHING_ENABLED, 1)
    node.set_field(2, pynvml.NVML_FI_PWR_SMOOTHING_ACTIVE_PRESET_PROFILE, 3)
    node.set_field(2, pynvml.NVML_FI_PWR_SMOOTHING_PROFILE_RAMP_UP_RATE, 90_000, scope=3)
    node.set_field(2, pynvml.NVML_FI_PWR_SMOOTHING_PROFILE_RAMP_DOWN_RATE, 80_000, scope=0)
    unset = pynvml.NVML_POWER_SMOOTHING_ADMIN_OVERRIDE_NOT_SET
    node.set_field(2, pynvml.NVML_FI_PWR_SMOOTHING_ADMIN_OVERRIDE_RAMP_UP_RATE, unset)
    [row], [event] = watching.look()
    assert json.loads(DEVICE.as_dict(row)["smoothing"]) == {
        "enabled": 1,
        "profile": 3,
        "ramp_up_mw_s": 90_000,
    }
    assert event[0] == "device"
    assert event[1] == watching.boards[2].device_id
    assert watching.look() == ([], [])


def test_another_driver_and_another_index(watching, monkeypatch):
    monkeypatch.setattr(pynvml, "nvmlSystemGetDriverVersion", lambda: "600.1")
    uuids = [board.device_id for board in watching.boards]
    monkeypatch.setattr(
        pynvml,
        "nvmlDeviceGetIndex",
        lambda handle: [2, 1, 0, 3][uuids.index(pynvml.nvmlDeviceGetUUID(handle))],
    )
    rows, events = watching.look()
    assert len(rows) == 4
    assert {row[8] for row in rows} == {"600.1"}
    assert [row[3] for row in rows] == [2, 1, 0, 3]
    assert [kind for kind, _, _ in events] == ["device"] * 4
    old = emulated_nvml.DRIVER_VERSION
    assert events[0][2] == f"index 0 -> 2, driver {old} -> 600.1"
    assert [board.index for board in watching.boards] == [2, 1, 0, 3]
    assert {board.driver for board in watching.boards} == {"600.1"}


def test_jobs_named_by_index_follow_the_index(watching, tmp_path):
    path = tmp_path / "jobs.csv"

    def list_job(job_id):
        path.write_text(f"job_id,node,device_id,start,end\n{job_id},n1,0,1768464000,\n")

    list_job("x")
    a, b = watching.boards[0], watching.boards[1]
    jobs = DeclaredJobs("n1", [a, b], path)
    assert jobs.changes(0).rows[0]["device_id"] == a.device_id
    list_job("another")
    a.index, b.index = 1, 0
    assert jobs.changes(0).rows[0]["device_id"] == b.device_id


def test_a_board_that_does_not_answer_is_not_taken_for_changed(watching):
    board, node = watching.boards[1], watching.node
    for code in (pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_UNKNOWN):
        node.fail(1, code)
        assert watching.look() == ([], [])
        node.fail(1, None)
    board.failure = pynvml.NVML_ERROR_GPU_IS_LOST
    node.set_identity(1, limit_mw=400_000)
    assert watching.look() == ([], [])
    board.failure = None
    rows, _ = watching.look()
    assert len(rows) == 1


def test_a_board_that_was_back_is_looked_at_at_once(tmp_path, monkeypatch):
    run = Run(tmp_path)

    def before(node):
        run.at(10 * S, lambda: node.fail(1, pynvml.NVML_ERROR_GPU_IS_LOST))
        run.at(12 * S, lambda: node.set_identity(1, limit_mw=350_000))
        run.at(12 * S, lambda: node.fail(1, None))

    run.run(20 * S, before=before, sources=False)
    later = [row for row in run.rows("device") if row["ts_us"] != T0]
    [found] = run.rows("event", kind="found")
    assert [(row["ts_us"], row["limit_mw"]) for row in later] == [(found["ts_us"], 350_000)]


def a_board_every_20_ms():
    clock = SteppedClock(T0)
    return EmulatedNode(small_profile(update_us=20_000, window_us=20_000), "n1", clock), clock


@pytest.mark.parametrize("known_us", [None, 100_000])
def test_the_period_of_a_board_that_is_back_is_learned_anew(known_us):
    """The board comes back as one that renews its reading every 20 ms."""
    node, clock = a_board_every_20_ms()
    with node:
        watching = Watching(node, clock, learn_s=0.3)
        board = watching.boards[0]
        board.update_us = known_us
        watching.watch.begin()
        assert watching.rows[0][9] == (known_us or 50_000)
        watching.watch.returned(board.device_id)
        rows, events = watching.look()
        assert watching.look() == ([], [])
        close_boards()
    assert 18_000 < board.update_us < 22_000
    assert [row[1] for row in rows] == [board.device_id]
    assert rows[0][9] == 50_000  # the tick of 20 Hz is the longer of the two
    assert [(kind, detail) for kind, _, detail in events] == [
        ("device", f"update_us {known_us} -> {board.update_us}")
    ]


def test_the_same_period_learned_again_says_nothing():
    node, clock = a_board_every_20_ms()
    with node:
        watching = Watching(node, clock, learn_s=0.3)
        watching.boards[0].update_us = 20_100
        watching.watch.begin()
        watching.watch.returned(watching.boards[0].device_id)
        assert watching.look() == ([], [])
        close_boards()


def test_a_stop_ends_the_learning():
    node, clock = a_board_every_20_ms()
    learning = threading.Event()

    def wait(monotonic_us, stop):
        learning.set()
        assert stop.wait(20)

    clock.sleep_until = wait
    with node:
        watching = Watching(node, clock, learn_s=10.0)
        watching.boards[0].update_us = 100_000
        watching.watch.begin()
        watching.watch.returned(watching.boards[0].device_id)
        looking = threading.Thread(target=watching.watch.look)
        looking.start()
        assert learning.wait(20)
        watching.watch.finish()
        looking.join(timeout=5)
        assert not looking.is_alive()
        close_boards()
    assert watching.boards[0].update_us == 100_000
