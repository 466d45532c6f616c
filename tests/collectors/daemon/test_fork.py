"""A process that was forked off starts NVML anew and uses none of its parent's handles."""

import ctypes
import json
import os
import warnings

import pynvml
import pytest

from tests.support.emulated import Walk
from tokenergy_collectors.sources.nvml.boards import close_boards, open_boards


def in_a_child(task):
    """Run a task in a forked child; return what it returns, through JSON."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads
        child = os.fork()
    if child == 0:
        try:
            os.write(write, json.dumps(task()).encode())
        except BaseException as error:  # noqa: BLE001 - the child must end here in any case
            os.write(write, json.dumps(repr(error)).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as told:
        found = json.loads(told.read())
    os.waitpid(child, 0)
    return found


@pytest.fixture
def node():
    walk = Walk()
    with walk.node:
        yield walk.node


def watched_calls(monkeypatch):
    """Note the order of starts, ends and handles passed to the driver."""
    calls = []

    def note(where, name, of):
        real = getattr(where, name)

        def call(*arguments):
            calls.append((name, of(arguments)))
            return real(*arguments)

        monkeypatch.setattr(where, name, call)

    def address(arguments):
        return ctypes.cast(arguments[0], ctypes.c_void_p).value

    note(pynvml, "nvmlInit", lambda _: None)
    note(pynvml, "nvmlShutdown", lambda _: None)
    note(pynvml.nvmlLib, "nvmlDeviceGetFieldValues", address)
    return calls


def test_a_child_reads_through_handles_of_its_own(node, monkeypatch):
    boards, _ = open_boards()
    calls = watched_calls(monkeypatch)

    def task():
        forgotten = [board.handle is None for board in boards]
        readings = [board.read(energy=True) for board in boards]
        again = [board.read(energy=False)[0] for board in boards]
        return [forgotten, readings, again, calls]

    forgotten, readings, again, told = in_a_child(task)
    expected = [list(board.read(energy=True)) for board in boards]
    assert forgotten == [True] * 4
    assert readings == expected
    assert again == [power for power, _ in expected]
    names = [name for name, _ in told]
    assert names == ["nvmlShutdown", "nvmlInit", *["nvmlDeviceGetFieldValues"] * 8]
    assert all(address for name, address in told[2:])
    # The parent goes on as before.
    assert [name for name, _ in calls] == ["nvmlDeviceGetFieldValues"] * 4
    close_boards()


def test_a_child_may_look_for_a_board_first(node, monkeypatch):
    boards, _ = open_boards()
    calls = watched_calls(monkeypatch)

    def task():
        boards[2].reopen()
        return [boards[2].read(energy=False)[0], [name for name, _ in calls]]

    power_mw, names = in_a_child(task)
    assert power_mw == boards[2].read(energy=False)[0]
    assert names[:2] == ["nvmlShutdown", "nvmlInit"]
    close_boards()


def test_a_child_without_a_driver_is_told_so(node, monkeypatch):
    boards, _ = open_boards()

    def task():
        def refuse():
            raise pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)

        pynvml.nvmlInit = refuse
        try:
            boards[0].read(energy=False)
        except pynvml.NVMLError as error:
            return [error.value, boards[0].failure]
        return None

    code = pynvml.NVML_ERROR_DRIVER_NOT_LOADED
    assert in_a_child(task) == [code, code]
    close_boards()
