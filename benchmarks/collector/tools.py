"""Programs that sample the boards, one a process: `python -m benchmarks.collector.tools NAME HZ`.

In: the boards of this machine's NVML, a rate. Out: nothing; each samples until it is ended. The
peers run unmodified, as their own documentation has it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import pynvml


def plain(hz: float) -> None:
    """The loop that anyone would write: nvmlDeviceGetPowerUsage for each board, stored nowhere."""
    handles = _handles()
    _every(1 / hz, lambda: [pynvml.nvmlDeviceGetPowerUsage(handle) for handle in handles])


def plain_same(hz: float) -> None:
    """The same loop with all that this collector reads, and as often: instant power; the energy
    counter, utilization, clock, temperature and clock event reasons each second."""
    handles = _handles()
    power, energy = pynvml.NVML_FI_DEV_POWER_INSTANT, pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        second = ticks % round(hz) == 0
        ticks += 1
        for handle in handles:
            pynvml.nvmlDeviceGetFieldValues(handle, [power, energy] if second else [power])
        for handle in handles if second else ():
            pynvml.nvmlDeviceGetUtilizationRates(handle)
            pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)
            pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)
            pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle)

    _every(1 / hz, tick)


def zeus(hz: float) -> None:
    """Zeus's PowerMonitor on instant power; it samples in a process of its own."""
    from zeus.monitor.power import PowerMonitor

    monitor = PowerMonitor(update_period=1 / hz, power_domains=["device_instant"])
    while True:
        time.sleep(1.0)
        monitor.get_power()


def codecarbon(hz: float) -> None:
    """CodeCarbon's tracker, offline, writing no file."""
    from codecarbon import OfflineEmissionsTracker

    tracker = OfflineEmissionsTracker(
        country_iso_code="USA",
        measure_power_secs=1 / hz,
        save_to_file=False,
        log_level="critical",
        allow_multiple_runs=True,
    )
    tracker.start()
    while True:
        time.sleep(1.0)


def gpustat(hz: float) -> None:
    """The loop of gpustat's own command, `gpustat --interval`; it goes no faster than 10 Hz."""
    from gpustat.cli import main

    main("gpustat", "--no-color", "--interval", str(1 / hz))


TOOLS: dict[str, Callable[[float], None]] = {
    "plain": plain,
    "plain_same": plain_same,
    "zeus": zeus,
    "codecarbon": codecarbon,
    "gpustat": gpustat,
}


def _handles() -> list[object]:
    pynvml.nvmlInit()
    count = pynvml.nvmlDeviceGetCount()
    return [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]


def _every(period_s: float, tick: Callable[[], object]) -> None:
    due_s = time.monotonic()
    while True:
        tick()
        due_s += period_s
        time.sleep(max(0.0, due_s - time.monotonic()))


if __name__ == "__main__":
    TOOLS[sys.argv[1]](float(sys.argv[2]))
