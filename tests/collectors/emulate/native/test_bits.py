"""The C library returns to the bit what `sensor.py` returns at the same microsecond."""

import dataclasses
import subprocess
from pathlib import Path

import numpy as np
import pynvml
import pytest

from tests.support.emulated import Walk, small_profile
from tokenergy_collectors.emulate.native import layout
from tokenergy_collectors.emulate.native.filling import GAUGE_US, SLOT_US
from tokenergy_collectors.emulate.physics.board import Board
from tokenergy_collectors.emulate.workloads.timeline import CELL_US

HERE = Path(layout.__file__).parent

FIELDS = [
    pynvml.NVML_FI_DEV_POWER_INSTANT,
    pynvml.NVML_FI_DEV_POWER_AVERAGE,
    pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION,
]

MODULE = [(field, pynvml.NVML_POWER_SCOPE_MODULE) for field in FIELDS[:2]]

KINDS = {
    "usual": {},
    "fast": {"update_us": 1_000, "window_us": 2_000_000},
    "slow": {"update_us": 2_000_000, "average_window_us": 2_000_000},
    "odd": {"update_us": 33_337, "window_us": 7_919, "ripple": 0.05},
    "coarse counter": {"counter_update_us": 100_000, "counter_gain_ppm": -20_000},
    "module": {"module_rest_w": 130.5, "counter_scope": "module", "usage": "instant"},
}


def instants(update_us, phase_us):
    """Random instants, and those around borders of slots, cells and refreshes."""
    rng = np.random.default_rng(11)
    found = set(rng.integers(0, 59_000_000, 400).tolist())
    borders = [SLOT_US * k for k in range(6)] + (CELL_US * rng.integers(0, 11_000, 60)).tolist()
    borders += [phase_us + update_us * int(n) for n in rng.integers(0, 59_000_000 // update_us, 60)]
    for border in borders:
        found |= {max(border - 1, 0), border, border + 1}
    return sorted(at_us for at_us in found if at_us < 59_000_000)


@pytest.mark.parametrize("kind", KINDS)
def test_power_and_energy_at_any_microsecond(native, kind):
    profile = small_profile(**KINDS[kind])
    errors = {
        "power_gain_ppm": [30_000, -46_000, 0, 7],
        "power_offset_mw": [-1_200, 900, -9_000, 0],
    }
    node = profile.nodes["n1"].model_copy(update=errors)
    profile = profile.model_copy(update={"nodes": {"n1": node}})
    rig, reference = native(profile), Walk(profile).node.boards
    pynvml.nvmlInit()
    handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(4)]
    sensor = reference[0]._sensor
    seen = set()
    for at_us in instants(sensor.update_us, sensor.phase_us):
        if at_us < sensor.counter_update_us:
            continue  # the counter was renewed before the file begins
        rig.to(at_us)
        for handle, board in zip(handles, reference, strict=True):
            instant, average, counter = pynvml.nvmlDeviceGetFieldValues(handle, FIELDS)
            assert instant.value.uiVal == board.power_instant_mw(at_us)
            assert average.value.uiVal == board.power_average_mw(at_us)
            assert pynvml.nvmlDeviceGetPowerUsage(handle) == board.power_usage_mw(at_us)
            module = pynvml.nvmlDeviceGetFieldValues(handle, MODULE)
            if board.module_rest_mw:
                found = [value.value.uiVal for value in module]
                assert found == [board.module_instant_mw(at_us), board.module_average_mw(at_us)]
            else:
                missing = pynvml.NVML_ERROR_NOT_SUPPORTED
                assert [value.nvmlReturn for value in module] == [missing, missing]
            assert counter.value.ullVal == board.energy_mj(at_us)
            assert pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) == counter.value.ullVal
            assert instant.timestamp == rig.node.start_us + at_us
            seen.add(instant.value.uiVal)
    assert len(seen) > 100


def test_gauges_hold_for_a_tenth_of_a_second(native):
    rig, reference = native(), Walk().node.boards
    pynvml.nvmlInit()
    handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(4)]
    rng = np.random.default_rng(12)
    loads, listed = set(), 0
    for at_us in sorted(rng.integers(0, 59_000_000, 300).tolist()):
        rig.to(at_us)
        step_us = at_us - at_us % GAUGE_US
        for handle, board in zip(handles, reference, strict=True):
            rates = pynvml.nvmlDeviceGetUtilizationRates(handle)
            assert (rates.gpu, rates.memory) == board.utilization(step_us)
            loads.add(rates.gpu)
            warm_c = pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)
            assert warm_c == board.temp_c(step_us)
            for domain in range(4):
                assert pynvml.nvmlDeviceGetClockInfo(handle, domain) == board.clock_mhz(
                    domain, step_us
                )
            reasons = pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
            assert reasons == board.clock_reasons(step_us)
            found = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
            expected = [(one.pid, one.used_bytes) for one in board.processes(step_us)]
            assert [(p.pid, p.usedGpuMemory) for p in found] == expected
            listed += len(found)
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
            assert memory.used == board.used_bytes(step_us)
    assert len(loads) > 5
    assert listed > 100


@pytest.fixture
def sensors(monkeypatch):
    """Give all boards sensors of a kind that the usual ones do not have."""

    def replace(**changes):
        tables = Board.tables
        monkeypatch.setattr(
            Board, "tables", lambda *given: dataclasses.replace(tables(*given), **changes)
        )

    return replace


def test_a_counter_that_is_renewed_now_and_then(native, sensors):
    sensors(counter_update_us=20_001, counter_phase_us=7)
    rig, reference = native(), Walk().node.boards[0]
    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    # At some of these the latest renewal lies in the slot before.
    for at_us in (10_000_000, 10_000_507, 10_000_508, 20_000_001, 25_123_456):
        renewed_us = 7 + (at_us - 7) // 20_001 * 20_001
        rig.to(at_us)
        counter = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        assert counter == reference.energy_mj(renewed_us)


def test_a_counter_with_a_gain_that_covers_a_module(native, sensors):
    sensors(counter_gain_ppm=-46_001, counter_rest_mw=77_777)
    rig, reference = native(), Walk().node.boards[0]
    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    base_mj = reference.energy_mj(0)
    for at_us in (0, 1, 9_999_999, 10_000_000, 41_234_567):
        rig.to(at_us)
        trace = reference._trace_to(at_us)
        energy_nj = int(trace.energy_at(0, np.array([at_us]))[0])
        counted_nj = energy_nj * (1_000_000 - 46_001) // 1_000_000 + 77_777 * at_us
        counter = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        assert counter == base_mj + counted_nj // 1_000_000


def test_power_of_a_module_and_a_usage_that_is_instant(native, sensors):
    sensors(module_rest_mw=250_000, usage_instant=True)
    rig, reference = native(), Walk().node.boards[0]
    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    rig.to(30_000_000)
    values = pynvml.nvmlDeviceGetFieldValues(handle, [(field, 1) for field in FIELDS])
    assert [v.nvmlReturn for v in values] == [0, 0, pynvml.NVML_ERROR_NOT_SUPPORTED]
    instant_mw, average_mw = (
        reference.power_instant_mw(30_000_000),
        reference.power_average_mw(30_000_000),
    )
    assert values[0].value.uiVal == instant_mw + 250_000
    assert values[1].value.uiVal == average_mw + 250_000
    assert pynvml.nvmlDeviceGetPowerUsage(handle) == instant_mw != average_mw


def test_the_layout_is_the_same_in_both_languages(library, tmp_path):
    kinds = {
        "te_header": layout.HEADER,
        "te_board": layout.BOARD,
        "te_process": layout.PROCESS,
        "te_gauge": layout.GAUGE,
        "te_table": layout.TABLE,
        "te_slot": layout.SLOT,
    }
    asked, expected = [], []
    for struct, kind in kinds.items():
        asked.append(f"sizeof(struct {struct})")
        expected.append(kind.itemsize)
        for name in kind.names:
            asked += [
                f"offsetof(struct {struct}, {name})",
                f"sizeof(((struct {struct} *)0)->{name})",
            ]
            expected += [kind.fields[name][1], kind[name].itemsize]
    prints = "".join(f'printf("%zu\\n", (size_t){expression});\n' for expression in asked)
    code = tmp_path / "offsets.c"
    includes = "".join(f"#include {name}\n" for name in ('"state.h"', "<stddef.h>", "<stdio.h>"))
    code.write_text(f"{includes}int main(void) {{\n{prints}}}\n")
    words = ["gcc", "-std=gnu11", f"-I{HERE}", code, "-o", tmp_path / "offsets"]
    subprocess.run(words, check=True)
    done = subprocess.run([tmp_path / "offsets"], capture_output=True, text=True, check=True)
    assert [int(line) for line in done.stdout.split()] == expected
