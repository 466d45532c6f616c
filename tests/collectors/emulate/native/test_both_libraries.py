"""One body of tests for both emulated libraries: ctypes callbacks, and C with NVML's soname."""

import ctypes
import subprocess
import tomllib
from contextlib import nullcontext

import pynvml
import pytest

from tests.support.emulated import SMALL, Walk, small_profile
from tokenergy_collectors.emulate.nvml.fixed_calls import generation
from tokenergy_collectors.emulate.nvml.library import NvmlLibrary
from tokenergy_collectors.emulate.profile.profile import Profile

INSTANT = pynvml.NVML_FI_DEV_POWER_INSTANT
AVERAGE = pynvml.NVML_FI_DEV_POWER_AVERAGE
ENERGY = pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION

SINGLES = [
    *("PowerUsage", "TotalEnergyConsumption", "Index", "Architecture", "PciInfo_v3"),
    *("UtilizationRates", "MemoryInfo", "MemoryInfo_v2", "TemperatureV"),
    "CurrentClocksEventReasons",
]
"""Calls that take one pointer after the handle."""

UNREADY = pynvml.NVML_ERROR_UNINITIALIZED
WRONG = pynvml.NVML_ERROR_INVALID_ARGUMENT
MISSING = pynvml.NVML_ERROR_NOT_SUPPORTED
FORBIDDEN = pynvml.NVML_ERROR_NO_PERMISSION


@pytest.fixture
def running(rig):
    pynvml.nvmlInit()
    rig.to(30_000_000)
    yield rig
    pynvml.nvmlShutdown()


def code_of(call, *arguments):
    with pytest.raises(pynvml.NVMLError) as caught:
        call(*arguments)
    return caught.value.value


def raw(name, *arguments):
    """Call a function as a C program would."""
    return pynvml._nvmlGetFunctionPointer(name)(*arguments)


@pytest.mark.parametrize("kind", ["python", "c"])
def test_device_files_may_be_numbered_in_another_order(request, kind):
    text = SMALL.replace("count = 4", "count = 4\nminors = [3, 0, 6, 1]")
    profile = Profile.model_validate(tomllib.loads(text))
    node = Walk(profile).node if kind == "python" else nullcontext()
    if kind == "c":
        request.getfixturevalue("native")(profile)
    with node:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(4)]
        assert [pynvml.nvmlDeviceGetMinorNumber(one) for one in handles] == [3, 0, 6, 1]
        pynvml.nvmlShutdown()


def test_boards_introduce_themselves(running):
    assert pynvml.nvmlDeviceGetCount() == 4
    assert pynvml.nvmlSystemGetDriverVersion() == "580.00.00-emulated"
    assert pynvml.nvmlSystemGetNVMLVersion() == "13.580.00-emulated"
    assert pynvml.nvmlSystemGetCudaDriverVersion() == 13_000
    assert pynvml.nvmlSystemGetCudaDriverVersion_v2() == 13_000
    for index, board in enumerate(running.node.boards):
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        uuid, bus = pynvml.nvmlDeviceGetUUID(handle), pynvml.nvmlDeviceGetPciInfo(handle)
        assert uuid == board.identity.uuid
        assert bus.busId == f"00000000:{bus.bus:02X}:00.0"
        assert bus.busIdLegacy == bus.busId[4:]
        assert (bus.domain, bus.bus, bus.device) == (0, board.identity.pci_bus, 0)
        assert bus.pciDeviceId == 0x2330_10DE
        for again in (
            pynvml.nvmlDeviceGetHandleByUUID(uuid),
            pynvml.nvmlDeviceGetHandleByPciBusId(bus.busId),
            pynvml.nvmlDeviceGetHandleByPciBusId(bus.busId.lower()),
            pynvml.nvmlDeviceGetHandleByPciBusId(bus.busIdLegacy.lower()),
        ):
            assert pynvml.nvmlDeviceGetIndex(again) == index
        assert pynvml.nvmlDeviceGetName(handle) == "NVIDIA H100 80GB HBM3"
        assert pynvml.nvmlDeviceGetMinorNumber(handle) == index
        assert pynvml.nvmlDeviceGetBoardId(handle) == bus.bus << 8
        assert pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) == 700_000
        assert pynvml.nvmlDeviceGetPowerManagementLimit(handle) == 700_000
        assert pynvml.nvmlDeviceGetPowerManagementDefaultLimit(handle) == 700_000
        assert pynvml.nvmlDeviceGetPowerManagementLimitConstraints(handle) == [200_000, 700_000]
        assert pynvml.nvmlDeviceGetArchitecture(handle) == pynvml.NVML_DEVICE_ARCH_HOPPER
        assert pynvml.nvmlDeviceGetCudaComputeCapability(handle) == (9, 0)
        assert pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM) == 1_980
        assert pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_MEM) == 2_619
        assert pynvml.nvmlDeviceGetMigMode(handle) == [0, 0]
        assert pynvml.nvmlDeviceIsMigDeviceHandle(handle).value == 0
        assert pynvml.nvmlDeviceGetPersistenceMode(handle) == 1
        assert pynvml.nvmlDeviceGetComputeMode(handle) == 0
        assert pynvml.nvmlDeviceGetPerformanceState(handle) == 0
        assert pynvml.nvmlDeviceGetDisplayActive(handle) == 0
        assert pynvml.nvmlDeviceGetEncoderUtilization(handle) == [0, 1_000_000]
        assert pynvml.nvmlDeviceGetDecoderUtilization(handle) == [0, 1_000_000]
        assert pynvml.nvmlDeviceGetGraphicsRunningProcesses(handle) == []
        assert pynvml.nvmlDeviceGetMPSComputeRunningProcesses(handle) == []


def test_readings_agree_with_each_other(running):
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    fields = [INSTANT, AVERAGE, ENERGY, 9_999, (INSTANT, 1), (INSTANT, 0)]
    values = pynvml.nvmlDeviceGetFieldValues(handle, fields)
    assert [v.nvmlReturn for v in values] == [0, 0, 0, MISSING, MISSING, 0]
    assert {v.timestamp for v in values} == {running.node.start_us + 30_000_000}
    assert {v.latencyUsec for v in values} == {0}
    assert [v.valueType for v in values] == [1, 1, 3, 0, 0, 1]
    assert values[0].value.uiVal == values[5].value.uiVal > 200_000
    assert values[1].value.uiVal == pynvml.nvmlDeviceGetPowerUsage(handle)
    assert values[2].value.ullVal == pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    assert values[3].value.ullVal == 0
    warm_c = pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)
    assert warm_c == pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU) > 30
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    newer = pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
    assert memory.total == newer.total == 80 * 2**30 + newer.reserved
    assert memory.used == newer.used + newer.reserved == 72 * 2**30 + newer.reserved
    assert memory.free == newer.free == memory.total - memory.used
    (process,) = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    assert process.usedGpuMemory == newer.used
    assert process.gpuInstanceId == process.computeInstanceId == 0xFFFF_FFFF
    reasons = pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
    assert reasons == pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)


def test_real_processes_are_listed_besides_those_of_the_profile(native, tmp_path, monkeypatch):
    native()
    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(3)
    listed = pynvml.nvmlDeviceGetComputeRunningProcesses
    before = [one.pid for one in listed(handle)]
    path = tmp_path / "processes"
    monkeypatch.setenv("TOKENERGY_EMULATED_PROCESSES", str(path))
    assert [one.pid for one in listed(handle)] == before
    path.write_text("3 4242\n0 17\nnonsense\n3 4243\n" + "3 " * 500 + "\n")
    assert [one.pid for one in listed(handle)][: len(before) + 2] == [*before, 4242, 4243]
    path.write_text("".join(f"3 {pid}\n" for pid in range(1, 1_001)))
    assert len(listed(handle)) == len(before) + 64


def test_what_a_profile_lists_as_unsupported_is_not_supported(native):
    native(small_profile(unsupported=["instant", "counter", "usage"]))
    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    values = pynvml.nvmlDeviceGetFieldValues(handle, [INSTANT, AVERAGE, ENERGY])
    assert [v.nvmlReturn for v in values] == [MISSING, 0, MISSING]
    assert code_of(pynvml.nvmlDeviceGetTotalEnergyConsumption, handle) == MISSING
    assert code_of(pynvml.nvmlDeviceGetPowerUsage, handle) == MISSING


def test_refusals(running):
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    for call, more in (
        (pynvml.nvmlDeviceGetFanSpeed, ()),
        (pynvml.nvmlDeviceGetSerial, ()),
        (pynvml.nvmlDeviceGetTotalEccErrors, (0, 0)),
        (pynvml.nvmlDeviceGetPcieThroughput, (0,)),
        (pynvml.nvmlDeviceGetC2cModeInfoV, ()),
        (pynvml.nvmlDeviceGetBAR1MemoryInfo, ()),
        (pynvml.nvmlDeviceGetSupportedMemoryClocks, ()),
    ):
        assert code_of(call, handle, *more) == MISSING, call
    assert code_of(pynvml.nvmlEventSetCreate) == MISSING
    for call, more in (
        (pynvml.nvmlDeviceSetPowerManagementLimit, (300_000,)),
        (pynvml.nvmlDeviceSetPersistenceMode, (0,)),
        (pynvml.nvmlDeviceSetGpuLockedClocks, (300, 600)),
        (pynvml.nvmlDeviceResetGpuLockedClocks, ()),
    ):
        assert code_of(call, handle, *more) == FORBIDDEN, call
    missing = pynvml.NVML_ERROR_FUNCTION_NOT_FOUND
    assert code_of(pynvml.nvmlDeviceGetVbiosVersion, handle) == missing


def test_wrong_arguments(running):
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    stranger = ctypes.c_void_p(64)
    assert code_of(pynvml.nvmlDeviceGetHandleByIndex, 4) == WRONG
    for call in (pynvml.nvmlDeviceGetHandleByUUID, pynvml.nvmlDeviceGetHandleByPciBusId):
        assert code_of(call, "GPU-0") == pynvml.NVML_ERROR_NOT_FOUND
    assert code_of(pynvml.nvmlDeviceGetClockInfo, handle, 4) == WRONG
    assert code_of(pynvml.nvmlDeviceGetMaxClockInfo, handle, 4) == WRONG
    assert code_of(pynvml.nvmlDeviceGetTemperature, handle, 1) == WRONG
    for board in (None, stranger):
        for name in ("PowerUsage", "FanSpeed", "PciInfo_v3", "UtilizationRates"):
            assert raw(f"nvmlDeviceGet{name}", board, None) == WRONG
    old = pynvml.c_nvmlMemory_v2_t(version=1)
    mismatch = pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH
    assert raw("nvmlDeviceGetMemoryInfo_v2", handle, ctypes.byref(old)) == mismatch
    older = pynvml.c_nvmlTemperature_v1_t(version=1)
    assert raw("nvmlDeviceGetTemperatureV", handle, ctypes.byref(older)) == mismatch
    field = pynvml.c_nvmlFieldValue_t()
    assert raw("nvmlDeviceGetFieldValues", handle, 0, ctypes.byref(field)) == WRONG


def test_null_pointers(running):
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    size = ctypes.c_uint(96)
    for name in ("DriverVersion", "NVMLVersion"):
        assert raw(f"nvmlSystemGet{name}", None, size) == WRONG
    for name in ("nvmlSystemGetCudaDriverVersion", "nvmlDeviceGetCount_v2", "nvmlEventSetCreate"):
        assert raw(name, None) == WRONG
    assert raw("nvmlDeviceGetHandleByIndex_v2", 0, None) == WRONG
    for name in ("UUID", "PciBusId_v2"):
        assert raw(f"nvmlDeviceGetHandleBy{name}", None, None) == WRONG
    assert raw("nvmlDeviceGetUUID", handle, None, size) == WRONG
    assert raw("nvmlDeviceGetFieldValues", handle, 1, None) == WRONG
    for name in SINGLES:
        assert raw(f"nvmlDeviceGet{name}", handle, None) == WRONG, name
    value = ctypes.byref(ctypes.c_uint())
    for name in ("PowerManagementLimitConstraints", "MigMode", "EncoderUtilization"):
        assert raw(f"nvmlDeviceGet{name}", handle, value, None) == WRONG, name
    for name in ("ClockInfo", "MaxClockInfo", "Temperature"):
        assert raw(f"nvmlDeviceGet{name}", handle, 0, None) == WRONG, name
    for name in ("Compute", "Graphics"):
        assert raw(f"nvmlDeviceGet{name}RunningProcesses_v3", handle, None, None) == WRONG, name


def test_too_little_room(running):
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    small = pynvml.NVML_ERROR_INSUFFICIENT_SIZE
    text = ctypes.create_string_buffer(b"?" * 48, 48)
    assert raw("nvmlDeviceGetUUID", handle, text, ctypes.c_uint(40)) == small
    assert text.raw == b"?" * 48
    assert raw("nvmlDeviceGetUUID", handle, text, ctypes.c_uint(41)) == 0
    assert text.value.decode() == running.node.boards[0].identity.uuid
    assert raw("nvmlSystemGetDriverVersion", text, ctypes.c_uint(3)) == small
    count = ctypes.c_uint(0)
    listing = ("nvmlDeviceGetComputeRunningProcesses_v3", handle, ctypes.byref(count))
    assert raw(*listing, None) == small
    assert count.value == 1
    assert raw(*listing, None) == WRONG


def test_a_lost_board_comes_back(running):
    handle = pynvml.nvmlDeviceGetHandleByIndex(1)
    lost = pynvml.NVML_ERROR_GPU_IS_LOST
    running.fail(1, lost)
    assert code_of(pynvml.nvmlDeviceGetPowerUsage, handle) == lost
    assert code_of(pynvml.nvmlDeviceGetFieldValues, handle, [INSTANT]) == lost
    assert code_of(pynvml.nvmlDeviceGetName, handle) == lost
    assert code_of(pynvml.nvmlDeviceGetFanSpeed, handle) == lost
    assert code_of(pynvml.nvmlDeviceGetHandleByIndex, 1) == lost
    assert pynvml.nvmlDeviceGetPowerUsage(pynvml.nvmlDeviceGetHandleByIndex(0)) > 0
    running.fail(1, None)
    assert pynvml.nvmlDeviceGetPowerUsage(handle) > 0


def test_nothing_answers_before_init_and_after_the_last_shutdown(rig):
    assert code_of(pynvml.nvmlDeviceGetCount) == UNREADY
    assert code_of(pynvml.nvmlSystemGetDriverVersion) == UNREADY
    assert code_of(pynvml.nvmlDeviceGetHandleByUUID, "GPU-0") == UNREADY
    assert code_of(pynvml.nvmlDeviceGetHandleByIndex, 0) == UNREADY
    pynvml.nvmlInit()
    pynvml.nvmlInit()
    rig.to(1_000_000)
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    pynvml.nvmlShutdown()
    assert pynvml.nvmlDeviceGetPowerUsage(handle) > 0
    pynvml.nvmlShutdown()
    assert code_of(pynvml.nvmlDeviceGetPowerUsage, handle) == UNREADY
    assert code_of(pynvml.nvmlDeviceGetFanSpeed, handle) == UNREADY
    assert code_of(pynvml.nvmlEventSetCreate) == UNREADY
    assert code_of(pynvml.nvmlShutdown) == UNREADY


def test_every_code_has_its_text(rig):
    del rig
    names = [name for name in dir(pynvml) if name.startswith("NVML_ERROR_")]
    assert len(names) > 20
    for name in names:
        words = name.removeprefix("NVML_ERROR_").replace("_", " ")
        assert pynvml.nvmlErrorString(getattr(pynvml, name)) == words
    assert pynvml.nvmlErrorString(0) == "The operation was successful"
    assert pynvml.nvmlErrorString(12_345) == "UNKNOWN"


def test_both_have_the_same_functions(library, native):
    listing = subprocess.run(
        ["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True
    )
    exported = {line.split()[-1] for line in listing.stdout.splitlines()}
    callbacks = {name for name in vars(NvmlLibrary(native().node)) if name.startswith("nvml")}
    assert exported == callbacks | {"tokenergy_at_us"}


def test_chips_by_name():
    assert generation("NVIDIA A100-SXM4-80GB").capability == (8, 0)
    assert generation("NVIDIA GB200").architecture == pynvml.NVML_DEVICE_ARCH_BLACKWELL
    assert generation("NVIDIA GH200 480GB").architecture == pynvml.NVML_DEVICE_ARCH_HOPPER
    assert generation("Other").architecture == pynvml.NVML_DEVICE_ARCH_UNKNOWN
