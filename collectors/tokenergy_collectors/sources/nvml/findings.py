"""The preflight's findings about the driver and the boards.

In: NVML, started, and opened boards. Out: findings: identity, one value of each reading that works,
the learned update period, and whether the processes on the boards are visible here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pynvml

from tokenergy_collectors.base.clock import Clock
from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.lake.contract import BOUNDS
from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.sources.nvml.calls import or_none
from tokenergy_collectors.sources.nvml.fieldvalues import field_values
from tokenergy_collectors.sources.nvml.learn import learn_periods
from tokenergy_collectors.sources.nvml.ranges import readable
from tokenergy_collectors.sources.nvml.rate import rate_hz
from tokenergy_collectors.sources.nvml.scopes import learn_scopes
from tokenergy_collectors.sources.nvml.settings import GpuKeys

_FIELDS = {
    "instant": pynvml.NVML_FI_DEV_POWER_INSTANT,
    "average": pynvml.NVML_FI_DEV_POWER_AVERAGE,
    "counter": pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION,
}

_MAX_POWER_MW = BOUNDS["power_mw"][1]


def driver_finding() -> Finding:
    """Return the versions of the driver and of NVML."""
    driver = readable(or_none(pynvml.nvmlSystemGetDriverVersion)) or "unknown"
    nvml = readable(or_none(pynvml.nvmlSystemGetNVMLVersion)) or "unknown"
    return Finding("ok", "nvml", f"driver {driver}, NVML {nvml}")


def board_findings(boards: Sequence[Board], config: GpuKeys, clock: Clock) -> Iterator[Finding]:
    """Yield the findings about each board, after watching all of them for `learn_s`."""
    if not boards:  # NVML or every board failed to open, which was reported before
        return
    learn_periods(boards, clock, config.learn_s, threading.Event())
    learn_scopes(boards, clock, config.learn_s, threading.Event())
    rate = rate_hz(config, boards)
    pids: set[int] = set()
    without_readings = 0
    for board in boards:
        yield _identity(board)
        finding = _readings(board)
        without_readings += finding.level == "FAIL"
        # A board without readings is no failure: the collector samples the others.
        yield finding._replace(level="warn") if finding.level == "FAIL" else finding
        yield _period(board, config, rate)
        if board.scopes:
            yield _scopes(board)
        pids.update(board.processes() or [])
    if without_readings == len(boards):
        yield Finding("FAIL", "gpu", "no board reports power or energy: there is nothing to sample")
    yield _processes(pids)


def _identity(board: Board) -> Finding:
    """Return name, UUID, power limit and MIG mode of a board."""
    limit = "unknown" if board.limit_mw is None else f"{board.limit_mw / 1000:g} W"
    mig = or_none(partial(pynvml.nvmlDeviceGetMigMode, board.handle))
    mode = "not supported" if mig is None else "on" if mig[0] else "off"
    text = f"{board.name or 'name not readable'}, {board.device_id}, limit {limit}, MIG {mode}"
    if mode == "on":
        count = len(board.instances)
        text = f"{text} ({count} instances): power is measured for the whole board only"
        return Finding("warn", _subject(board), text)
    return Finding("ok", _subject(board), text)


def _readings(board: Board) -> Finding:
    """Return one value of each reading that works, and which readings do not."""
    readings = {**_fields(board), **_calls(board)}
    reported = [f"{name} {value}" for name, value in readings.items() if value is not None]
    lacking = [name for name, value in readings.items() if value is None]
    text = "; ".join(reported)
    if lacking:
        text = f"{text or 'nothing'}; does not report: {', '.join(lacking)}"
    power = any(readings[name] is not None for name in ("instant", "average", "usage"))
    if not power and readings["counter"] is None:
        return Finding("FAIL", _subject(board), text)
    whole = power and readings["counter"] is not None
    return Finding("ok" if whole else "warn", _subject(board), f"{text} (uses {board.sensor})")


def _fields(board: Board) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name, number in _FIELDS.items():
        value = or_none(partial(_field, board, number))
        if name != "counter" and value is not None and value > _MAX_POWER_MW:
            value = None
        if value is None and name == "counter":
            value = or_none(partial(pynvml.nvmlDeviceGetTotalEnergyConsumption, board.handle))
        unit = "J" if name == "counter" else "W"
        found[name] = None if value is None else f"{value / 1000:.1f} {unit}"
    return found


def _field(board: Board, number: int) -> int | None:
    return field_values(board.handle, [(number, pynvml.NVML_POWER_SCOPE_GPU)])[0]


def _calls(board: Board) -> dict[str, str | None]:
    usage = or_none(partial(pynvml.nvmlDeviceGetPowerUsage, board.handle))
    if usage is not None and usage > _MAX_POWER_MW:
        usage = None
    state: dict[str, Any] = board.state()
    processes = board.processes()
    return {
        "usage": None if usage is None else f"{usage / 1000:.1f} W",
        "utilization": None if state["sm_util"] is None else f"{state['sm_util']} %",
        "clock": None if state["sm_mhz"] is None else f"{state['sm_mhz']} MHz",
        "temperature": None if state["temp_c"] is None else f"{state['temp_c']} °C",
        "processes": None if processes is None else str(len(processes)),
    }


def _period(board: Board, config: GpuKeys, rate: float) -> Finding:
    if board.update_us is not None:
        text = f"power is updated every {board.update_us / 1000:.1f} ms"
        misses = board.update_us * rate < 1_000_000
        more = f"; at rate_hz = {rate:g} the collector misses some updates" if misses else ""
        return Finding("ok", _subject(board), text + more)
    if not config.learn_s:
        return Finding("ok", _subject(board), "update period not learned: learn_s = 0")
    text = "update period not learned: the reading hardly changed, as on an idle board"
    return Finding("ok", _subject(board), text)


def _scopes(board: Board) -> Finding:
    """Return what the board measures besides itself."""
    also = ", ".join(board.scopes)
    covers = "unknown" if board.counter_scope is None else f"the {board.counter_scope}'s"
    text = f"also measures: {also}; its energy counter is {covers}"
    return Finding("ok" if board.counts_itself else "warn", _subject(board), text)


def _processes(pids: set[int]) -> Finding:
    """Return whether the PIDs that NVML reports are visible in this PID namespace."""
    if not pids:
        return Finding("ok", "pids", "no compute process is running now")
    hidden = sorted(pid for pid in pids if not Path(f"/proc/{pid}").exists())
    if hidden:
        text = (
            f"{len(hidden)} of {len(pids)} compute processes are not visible here, such as "
            f"{hidden[0]}: NVML reports the host's PIDs"
        )
        return Finding("warn", "pids", text)
    return Finding("ok", "pids", f"{len(pids)} compute processes, all visible in /proc")


def _subject(board: Board) -> str:
    return f"gpu {board.index}"
