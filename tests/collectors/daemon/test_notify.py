"""sd_notify against a real datagram socket, and what a supervised daemon says to it."""

import os
import socket

import pynvml
import pytest

from tokenergy_collectors.base.clock import BeatingClock, SystemClock, VirtualClock
from tokenergy_collectors.daemon import supervise
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.daemon.notify import Notifier
from tokenergy_collectors.sources.nvml.boards import Board

S = 1_000_000


@pytest.fixture(params=["path", "abstract"])
def supervisor(request, tmp_path):
    name = str(tmp_path / "notify") if request.param == "path" else f"@tokenergy-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name.replace("@", "\0", 1))
        receiver.settimeout(2)
        yield receiver, name


def test_states_arrive(supervisor):
    receiver, name = supervisor
    Notifier({"NOTIFY_SOCKET": name}).send("READY=1", "STATUS=two boards")
    assert receiver.recv(4096) == b"READY=1\nSTATUS=two boards"


def test_nobody_listening_is_nothing(tmp_path):
    Notifier({}).send("READY=1")
    Notifier({"NOTIFY_SOCKET": ""}).send("READY=1")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).send("READY=1")
    Notifier({"NOTIFY_SOCKET": "/" + "x" * 300}).send("READY=1")


def test_a_supervisor_that_does_not_read_holds_up_nobody(supervisor):
    notifier = Notifier({"NOTIFY_SOCKET": supervisor[1]})
    for _ in range(5_000):
        notifier.send("WATCHDOG=1")


@pytest.mark.parametrize(
    ("environment", "watchdog_us"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30_000_000),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30_000_000),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_read_from_the_environment(environment, watchdog_us):
    assert Notifier(environment).watchdog_us == watchdog_us


class Told(Notifier):
    """Keeps what would be sent."""

    def __init__(self, watchdog_us=None):
        super().__init__({})
        self.watchdog_us = watchdog_us
        self.states = []

    def send(self, *states):
        self.states.append(states[0])


def boards(*failures):
    found = [Board(None, f"GPU-{i}", i, "b", None, None, None) for i in range(len(failures))]
    for board, failure in zip(found, failures, strict=True):
        board.failure = failure
    return found


def test_a_beating_daemon_is_ready_once_and_alive_at_half_the_watchdog():
    control = Control(Told(2 * S))
    supervision = supervise.Supervision(boards(None), control)
    for now_us in range(0, 5 * S, S // 20):
        supervision.beat(now_us)
    assert control.notifier.states == ["READY=1", *["WATCHDOG=1"] * 5]
    supervision.restart()
    supervision.beat(5 * S)
    assert control.notifier.states[-2:] == ["READY=1", "WATCHDOG=1"]
    assert not control.event.is_set()


UNKNOWN, LOST = pynvml.NVML_ERROR_UNKNOWN, pynvml.NVML_ERROR_GPU_IS_LOST


@pytest.mark.parametrize(
    ("failures", "ends"),
    [((UNKNOWN, UNKNOWN), True), ((UNKNOWN, None), False), ((UNKNOWN, LOST), False), ((), False)],
)
def test_nvml_is_lost_when_every_board_says_unknown_error_for_a_minute(failures, ends):
    control = Control(Told())
    supervision = supervise.Supervision(boards(*failures), control)
    for now_us in range(0, 60 * S + 1, S // 2):
        supervision.beat(now_us)
    assert not control.event.is_set()
    for now_us in range(60 * S, 65 * S, S // 2):
        supervision.beat(now_us)
    assert control.event.is_set() == ends
    assert ("NVML is lost: each of 2 boards" in (control.failure or "")) == ends
    assert control.notifier.states.count("STOPPING=1") == int(ends)


def test_a_board_that_answers_again_starts_the_minute_anew():
    control, found = Control(Told()), boards(UNKNOWN)
    supervision = supervise.Supervision(found, control)
    for second in range(100):
        found[0].failure = None if second == 50 else UNKNOWN
        supervision.beat(second * S)
    assert not control.event.is_set()


def test_the_clock_of_the_daemon_beats_before_it_waits(monkeypatch):
    virtual, stop = VirtualClock(0), Control(Told()).event
    for name in ("monotonic_us", "sleep_until"):
        of_virtual = getattr(virtual, name)
        monkeypatch.setattr(SystemClock, name, lambda _, *given, do=of_virtual: do(*given))
    clock, beats = BeatingClock(), []
    clock.sleep_until(clock.monotonic_us() + 1_000, stop)

    def beat(now_us):
        beats.append(now_us)
        return now_us + 50_000

    clock.beat = beat
    before_us = clock.monotonic_us()
    clock.sleep_until(before_us + 20_000, stop)
    assert beats == [before_us]
    assert clock.monotonic_us() == before_us + 20_000
    clock.sleep_until(before_us + 60_000, stop)
    clock.sleep_until(before_us + 80_000, stop)
    assert beats == [before_us, before_us + 60_000], "not before it asked to be told again"
