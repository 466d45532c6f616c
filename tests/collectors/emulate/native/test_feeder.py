"""The state file's life: who may make it, how long it is believed, what damage does."""

import ctypes
import os
import shutil
import stat
import threading
import time
from pathlib import Path

import numpy as np
import pynvml
import pytest

from tests.support.emulated import Walk, small_profile
from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.emulate.native import layout
from tokenergy_collectors.emulate.native.build import library_folder
from tokenergy_collectors.emulate.native.command import emulate
from tokenergy_collectors.emulate.native.feeder import LEASE_US, Feeder
from tokenergy_collectors.emulate.native.filling import SLOT_US
from tokenergy_collectors.emulate.native.state import StateFile
from tokenergy_collectors.emulate.run.node import EmulatedNode

S = 1_000_000
CALLS = ["PowerUsage", "TotalEnergyConsumption", "UtilizationRates", "MemoryInfo", "PciInfo_v3"]
CALLS += ["CurrentClocksEventReasons", "ComputeRunningProcesses_v3"]


def code_of(call, *arguments):
    with pytest.raises(pynvml.NVMLError) as caught:
        call(*arguments)
    return caught.value.value


class Offset(VirtualClock):
    """A virtual clock that starts where the monotonic clock is, or some time before."""

    def __init__(self, ago_us=0):
        super().__init__(1_700_000_000_000_000)
        self._now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000 - ago_us

    def forward(self, by_us):
        self.sleep_until(self.monotonic_us() + by_us, threading.Event())


def feeder(tmp_path, clock):
    return Feeder(EmulatedNode(small_profile(), "n1", clock), clock, tmp_path / "boards")


@pytest.fixture
def real_time(native):
    """The library on the real clock; its own rig's file is replaced by the test's."""
    rig = native()
    rig.library.tokenergy_at_us(-1)
    rig.state.close()
    return rig


def test_it_stays_a_slot_ahead(tmp_path):
    clock = Offset()
    with feeder(tmp_path, clock) as fed:
        slots = fed.state._file["slot"]["head"]
        assert slots["to_us"].tolist() == [SLOT_US, 2 * SLOT_US, 0, 0]
        for _ in range(40):
            clock.forward(S)
            fed.feed()
            now_us = fed._node.now_us()
            (current,) = [s for s in slots if s["from_us"] <= now_us < s["to_us"]]
            assert any(s["from_us"] == current["to_us"] for s in slots)
            assert max(slots["to_us"]) - now_us <= 2 * SLOT_US
            assert fed.state._file["header"]["alive_until_us"] == clock.monotonic_us() + LEASE_US
        assert set(slots["seq"] % 2) == {0}


def test_readers_believe_a_lease_no_longer_than_it_lasts(tmp_path, real_time):
    with feeder(tmp_path, Offset()) as fed:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        assert pynvml.nvmlDeviceGetPowerUsage(handle) > 50_000
        fed.state.keep_alive(0)
        lost = pynvml.NVML_ERROR_GPU_IS_LOST
        assert code_of(pynvml.nvmlDeviceGetPowerUsage, handle) == lost
        assert code_of(pynvml.nvmlDeviceGetTotalEnergyConsumption, handle) == lost
        assert code_of(pynvml.nvmlDeviceGetUtilizationRates, handle) == lost
        fed.feed()
        assert pynvml.nvmlDeviceGetPowerUsage(handle) > 50_000
    assert code_of(pynvml.nvmlDeviceGetPowerUsage, handle) == lost
    assert code_of(pynvml.nvmlDeviceGetHandleByIndex, 0) == lost
    pynvml.nvmlShutdown()
    assert code_of(pynvml.nvmlInit) == pynvml.NVML_ERROR_DRIVER_NOT_LOADED
    assert not (tmp_path / "boards").exists()


def test_a_feeder_that_lags_gives_unknown_and_no_old_value(tmp_path, real_time):
    # 25 s of profile time have passed, and only the first two slots are written.
    clock = Offset(25 * S)
    state = feeder(tmp_path, clock).state
    state.publish(0)
    state.publish(1)
    clock.forward(25 * S)
    state.keep_alive(clock.monotonic_us() + LEASE_US)
    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    unknown = pynvml.NVML_ERROR_UNKNOWN
    assert code_of(pynvml.nvmlDeviceGetPowerUsage, handle) == unknown
    assert code_of(pynvml.nvmlDeviceGetTemperature, handle, 0) == unknown
    field = pynvml.NVML_FI_DEV_POWER_INSTANT
    assert pynvml.nvmlDeviceGetFieldValues(handle, [field])[0].nvmlReturn == unknown
    state.publish(2)
    assert pynvml.nvmlDeviceGetPowerUsage(handle) > 50_000
    state.close()


def test_a_slot_in_motion_is_not_read(native):
    rig = native()
    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    rig.state._file["slot"]["head"]["seq"][0] += 1
    assert code_of(pynvml.nvmlDeviceGetPowerUsage, handle) == pynvml.NVML_ERROR_UNKNOWN
    rig.state._file["slot"]["head"]["seq"][0] += 1
    assert pynvml.nvmlDeviceGetPowerUsage(handle) > 50_000


def test_a_slot_that_was_never_written_is_no_value(tmp_path, native):
    rig = native()
    rig.state.close()
    node = rig.node
    fresh = StateFile(tmp_path / "boards", node.boards, origin_us=0, start_us=node.start_us)
    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    unknown = pynvml.NVML_ERROR_UNKNOWN
    assert code_of(pynvml.nvmlDeviceGetTemperature, handle, 0) == unknown
    assert code_of(pynvml.nvmlDeviceGetPowerUsage, handle) == unknown
    fresh.publish(0)
    assert pynvml.nvmlDeviceGetTemperature(handle, 0) > 20
    fresh.close()


def test_a_new_feeder_is_found_by_the_next_init(tmp_path, real_time):
    for _ in range(2):
        with feeder(tmp_path, Offset()) as fed:
            pynvml.nvmlInit()
            handle = pynvml.nvmlDeviceGetHandleByIndex(0)
            assert pynvml.nvmlDeviceGetUUID(handle) == fed._node.boards[0].identity.uuid
            assert pynvml.nvmlDeviceGetPowerUsage(handle) > 50_000
            pynvml.nvmlShutdown()


@pytest.mark.parametrize("size", [0, 8, 100, layout.HEADER.itemsize, 100_000])
def test_a_torn_or_foreign_file_is_no_driver(tmp_path, native, size):
    rig = native()
    path = tmp_path / "boards"
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole[:size])
    mismatch = pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH
    assert code_of(pynvml.nvmlInit) == mismatch
    path.write_bytes(b"x" * len(whole))
    assert code_of(pynvml.nvmlInit) == mismatch
    del rig


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_file_never_leads_outside_itself(tmp_path, native, seed):
    """Whatever stands in it, every call returns; a bound that is not checked would end the test."""
    native()
    path = tmp_path / "boards"
    whole = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    refused = 0
    for _ in range(100):
        damaged = whole.copy()
        for at in [*rng.integers(8, 112, rng.integers(0, 3)), *rng.integers(112, 90_000, 3_000)]:
            damaged[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)])
        path.unlink()
        path.write_bytes(damaged)
        if pynvml._nvmlGetFunctionPointer("nvmlInit_v2")() != 0:
            refused += 1
            continue
        out = ctypes.create_string_buffer(4_096)
        for index in range(4):
            handle = ctypes.c_void_p()
            by_index = pynvml._nvmlGetFunctionPointer("nvmlDeviceGetHandleByIndex_v2")
            by_index(index, ctypes.byref(handle))
            for name in CALLS:
                pynvml._nvmlGetFunctionPointer(f"nvmlDeviceGet{name}")(handle, out, out)
        pynvml.nvmlShutdown()
    assert 0 < refused < 100


def test_without_a_file_there_is_no_driver(tmp_path, native, monkeypatch):
    native().state.close()
    gone = pynvml.NVML_ERROR_DRIVER_NOT_LOADED
    assert code_of(pynvml.nvmlInit) == gone
    for value in ("", str(tmp_path / "nothing")):
        monkeypatch.setenv("TOKENERGY_EMULATED_NVML", value)
        assert code_of(pynvml.nvmlInit) == gone


def test_only_the_user_can_read_it(tmp_path):
    with feeder(tmp_path, Offset()):
        assert stat.S_IMODE((tmp_path / "boards").stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_state_file_is_left_alone(tmp_path):
    (tmp_path / "boards").write_text("a letter")
    with pytest.raises(UserError, match="boards: is not a state file"):
        feeder(tmp_path, Offset())
    assert (tmp_path / "boards").read_text() == "a letter"


def test_a_file_in_use_is_left_alone_and_one_left_behind_is_replaced(tmp_path):
    first = feeder(tmp_path, Offset())
    first.feed()
    with pytest.raises(UserError, match=rf"is in use by process {os.getpid()}"):
        feeder(tmp_path, Offset())
    first.state.keep_alive(1)
    second = feeder(tmp_path, Offset())
    second.feed()
    first.state.close()
    assert (tmp_path / "boards").exists()
    second.state.close()
    assert not (tmp_path / "boards").exists()


def test_a_folder_that_cannot_be_written_is_one_line():
    node = Walk().node
    with pytest.raises(UserError, match=r"/proc/none/boards: cannot be written"):
        StateFile(Path("/proc/none/boards"), node.boards, origin_us=0, start_us=0)


def test_the_library_is_compiled_once_and_a_missing_compiler_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(UserError, match=r"no-such-compiler: not found; .* apt-get install gcc"):
        library_folder()
    monkeypatch.setenv("CC", "gcc")
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    folder = library_folder()
    (library,) = folder.iterdir()
    made = library.stat().st_mtime_ns
    assert library_folder() == folder
    assert library.stat().st_mtime_ns == made


def test_what_cannot_be_compiled_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", "gcc -DTE_PROCESSES=(")
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    with pytest.raises(UserError, match="gcc cannot compile the emulated NVML: "):
        library_folder()


@pytest.mark.usefixtures("library")
def test_an_unknown_node_is_one_line():
    with pytest.raises(UserError, match="node 'x': not in the profile"):
        emulate("demo", stop=threading.Event(), say=print, node="x")
