"""The unmodified binding, talking to emulated boards."""

import pynvml
import pytest

from tests.support.emulated import Walk, small_profile
from tokenergy_collectors.emulate.physics.board import Board

INSTANT = pynvml.NVML_FI_DEV_POWER_INSTANT
AVERAGE = pynvml.NVML_FI_DEV_POWER_AVERAGE
ENERGY = pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION


@pytest.fixture
def walk():
    walk = Walk()
    with walk.node:
        pynvml.nvmlInit()
        yield walk
        pynvml.nvmlShutdown()


def code_of(call, *arguments):
    with pytest.raises(pynvml.NVMLError) as caught:
        call(*arguments)
    return caught.value.value


def test_boards_introduce_themselves(walk):
    assert pynvml.nvmlDeviceGetCount() == 4
    assert "emulated" in pynvml.nvmlSystemGetDriverVersion()
    assert pynvml.nvmlSystemGetNVMLVersion().startswith("13.")
    uuids = set()
    for index in range(4):
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        uuid = pynvml.nvmlDeviceGetUUID(handle)
        uuids.add(uuid)
        assert uuid.startswith("GPU-")
        assert len(uuid) == 40
        bus = pynvml.nvmlDeviceGetPciInfo(handle).busId
        for again in (
            pynvml.nvmlDeviceGetHandleByUUID(uuid),
            pynvml.nvmlDeviceGetHandleByPciBusId(bus),
        ):
            assert pynvml.nvmlDeviceGetIndex(again) == index
        assert pynvml.nvmlDeviceGetName(handle) == "NVIDIA H100 80GB HBM3"
        assert pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) == 700_000
        assert pynvml.nvmlDeviceGetPowerManagementLimit(handle) == 700_000
        assert pynvml.nvmlDeviceGetPowerManagementLimitConstraints(handle) == [200_000, 700_000]
        assert pynvml.nvmlDeviceGetMigMode(handle) == [0, 0]
    assert len(uuids) == 4


def test_power_and_energy_come_from_the_board(walk):
    walk.to(30_123_456)
    board = walk.node.boards[0]
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    now_us = walk.node.now_us()
    values = pynvml.nvmlDeviceGetFieldValues(handle, [INSTANT, AVERAGE, ENERGY])
    assert [v.nvmlReturn for v in values] == [0, 0, 0]
    assert {v.timestamp for v in values} == {walk.node.start_us + now_us}
    assert values[0].value.uiVal == board.power_instant_mw(now_us) > 200_000
    assert values[1].value.uiVal == pynvml.nvmlDeviceGetPowerUsage(handle)
    assert values[1].value.uiVal == board.power_average_mw(now_us)
    assert values[2].value.ullVal == pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    assert values[2].valueType == pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG


def test_each_field_has_its_own_return_code(walk):
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    values = pynvml.nvmlDeviceGetFieldValues(handle, [INSTANT, 9_999, (INSTANT, 1), (INSTANT, 0)])
    missing = pynvml.NVML_ERROR_NOT_SUPPORTED
    assert [v.nvmlReturn for v in values] == [0, missing, missing, 0]


def test_slow_gauges(walk):
    walk.to(30_000_000)
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    assert 0 <= pynvml.nvmlDeviceGetUtilizationRates(handle).gpu <= 100
    assert pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM) > 1_000
    assert pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM) == 1_980
    warm_c = pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)
    assert warm_c == pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU) > 20
    reasons = pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
    assert reasons == pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    assert memory.used + memory.free == memory.total
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
    assert memory.used + memory.free + memory.reserved == memory.total
    (process,) = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    assert process.pid > 1
    assert process.usedGpuMemory > 2**30
    pynvml.nvmlDeviceGetBoardId(handle)
    free = pynvml.nvmlDeviceGetHandleByIndex(3)
    walk.to(35_000_000)
    assert pynvml.nvmlDeviceGetComputeRunningProcesses(free) == []


def test_readings_that_a_profile_lists_are_not_supported():
    walk = Walk(small_profile(unsupported=["instant", "counter", "usage"]))
    with walk.node:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        values = pynvml.nvmlDeviceGetFieldValues(handle, [INSTANT, AVERAGE, ENERGY])
        assert [v.nvmlReturn for v in values] == [3, 0, 3]
        assert code_of(pynvml.nvmlDeviceGetTotalEnergyConsumption, handle) == 3
        assert code_of(pynvml.nvmlDeviceGetPowerUsage, handle) == 3


def test_errors_are_nvml_errors(walk, monkeypatch, caplog):
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    wrong = pynvml.NVML_ERROR_INVALID_ARGUMENT
    assert code_of(pynvml.nvmlDeviceGetHandleByIndex, 4) == wrong
    assert code_of(pynvml.nvmlDeviceGetClockInfo, handle, 99) == wrong
    assert code_of(pynvml.nvmlDeviceGetHandleByUUID, "GPU-0") == pynvml.NVML_ERROR_NOT_FOUND
    missing = pynvml.NVML_ERROR_FUNCTION_NOT_FOUND
    assert code_of(pynvml.nvmlDeviceGetVbiosVersion, handle) == missing
    monkeypatch.setattr(Board, "utilization", lambda *_: 1 // 0)
    assert code_of(pynvml.nvmlDeviceGetUtilizationRates, handle) == pynvml.NVML_ERROR_UNKNOWN
    assert "nvmlDeviceGetUtilizationRates failed: ZeroDivisionError" in caplog.text
    assert pynvml.nvmlErrorString(pynvml.NVML_ERROR_GPU_IS_LOST) == "GPU IS LOST"
    assert pynvml.nvmlErrorString(12_345) == "UNKNOWN"


def test_a_lost_board_comes_back(walk):
    handle = pynvml.nvmlDeviceGetHandleByIndex(1)
    walk.node.fail(1, pynvml.NVML_ERROR_GPU_IS_LOST)
    assert code_of(pynvml.nvmlDeviceGetPowerUsage, handle) == pynvml.NVML_ERROR_GPU_IS_LOST
    assert code_of(pynvml.nvmlDeviceGetFieldValues, handle, [INSTANT]) == 15
    assert code_of(pynvml.nvmlDeviceGetHandleByIndex, 1) == pynvml.NVML_ERROR_GPU_IS_LOST
    walk.node.fail(1, None)
    assert pynvml.nvmlDeviceGetPowerUsage(handle) > 0


def test_nothing_answers_before_init_and_after_shutdown():
    before = pynvml.nvmlLib
    with Walk().node:
        unready = pynvml.NVML_ERROR_UNINITIALIZED
        assert code_of(pynvml.nvmlDeviceGetCount) == unready
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        pynvml.nvmlShutdown()
        assert code_of(pynvml.nvmlDeviceGetPowerUsage, handle) == unready
        assert code_of(pynvml.nvmlShutdown) == unready
    assert pynvml.nvmlLib is before
    assert pynvml._nvmlGetFunctionPointer_cache == {}


def test_boards_on_a_module_have_two_scopes():
    there = Walk(small_profile(module_rest_w=100.0))
    with there.node:
        pynvml.nvmlInit()
        there.to(30_123_456)
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        asked = [(field, scope) for field in (INSTANT, AVERAGE, ENERGY) for scope in (0, 1, 2)]
        found = pynvml.nvmlDeviceGetFieldValues(handle, asked)
        codes = [value.nvmlReturn for value in found]
        missing = pynvml.NVML_ERROR_NOT_SUPPORTED
        assert codes == [0, 0, missing, 0, 0, missing, 0, missing, missing]
        for gpu, module in ((found[0], found[1]), (found[3], found[4])):
            assert module.value.uiVal == gpu.value.uiVal + 100_000
        pynvml.nvmlShutdown()
