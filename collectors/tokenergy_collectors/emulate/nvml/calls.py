"""The board calls of emulated NVML, as tables: what each one reads and how it writes the answer.

In: a board, a time, and the addresses that the binding passed. Out: values written there, and an
NVML return code. `library.py` turns the tables into C callbacks.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from ctypes import c_uint, c_ulonglong, c_void_p
from typing import Any

import pynvml

from tokenergy_collectors.emulate.nvml.codes import (
    ARGUMENT_VERSION_MISMATCH,
    INSUFFICIENT_SIZE,
    INVALID_ARGUMENT,
    NOT_SUPPORTED,
    SUCCESS,
)
from tokenergy_collectors.emulate.physics.board import Board
from tokenergy_collectors.emulate.profile.mig import SLICES

H100_PCI_ID = 0x2330_10DE
NO_INSTANCE = 0xFFFF_FFFF
RESERVED_BYTES = 512 * 2**20

Read = Callable[[Board, int], int]
"""Reads a value of a board at a profile time in microseconds."""


def put(ctype: Any, address: int, value: object) -> int:
    """Write a value of a C type at an address; return success."""
    ctype.from_address(address).value = value
    return SUCCESS


def put_text(text: str, address: int | None, size: int) -> int:
    """Write a terminated string into a buffer of `size` bytes."""
    if address is None:
        return INVALID_ARGUMENT
    raw = text.encode() + b"\0"
    if len(raw) > size:
        return INSUFFICIENT_SIZE
    ctypes.memmove(address, raw, len(raw))
    return SUCCESS


def pci_bus_id(board: Board) -> str:
    """Return the bus id as NVML writes it."""
    return f"00000000:{board.identity.pci_bus:02X}:00.0"


def _limit_mw(board: Board, at_us: int) -> int:
    del at_us
    return board.identity.limit_mw


def _min_limit_mw(board: Board, at_us: int) -> int:
    del at_us
    return board.identity.min_limit_mw


def _index(board: Board, at_us: int) -> int:
    del at_us
    return board.identity.index


def _board_id(board: Board, at_us: int) -> int:
    del at_us
    return board.identity.pci_bus << 8


def _mig_mode(board: Board, at_us: int) -> int:
    del at_us
    return int(board.identity.mig is not None)


def _max_instances(board: Board, at_us: int) -> int:
    del at_us
    return 0 if board.identity.mig is None else SLICES


SCALARS: list[tuple[str, Any, list[Read], str]] = [
    ("nvmlDeviceGetIndex", c_uint, [_index], ""),
    ("nvmlDeviceGetPowerUsage", c_uint, [Board.power_usage_mw], "usage"),
    ("nvmlDeviceGetTotalEnergyConsumption", c_ulonglong, [Board.energy_mj], "counter"),
    ("nvmlDeviceGetEnforcedPowerLimit", c_uint, [_limit_mw], ""),
    ("nvmlDeviceGetPowerManagementLimit", c_uint, [_limit_mw], ""),
    ("nvmlDeviceGetPowerManagementDefaultLimit", c_uint, [_limit_mw], ""),
    ("nvmlDeviceGetPowerManagementLimitConstraints", c_uint, [_min_limit_mw, _limit_mw], ""),
    ("nvmlDeviceGetCurrentClocksEventReasons", c_ulonglong, [Board.clock_reasons], ""),
    ("nvmlDeviceGetCurrentClocksThrottleReasons", c_ulonglong, [Board.clock_reasons], ""),
    ("nvmlDeviceGetMigMode", c_uint, [_mig_mode, _mig_mode], ""),
    ("nvmlDeviceGetMaxMigDeviceCount", c_uint, [_max_instances], ""),
    ("nvmlDeviceGetBoardId", c_uint, [_board_id], ""),
]
"""Calls that write numbers: name, C type, a reading a pointer, its name in `unsupported`."""


def _uuid(board: Board, at_us: int, address: int, size: int) -> int:
    del at_us
    return put_text(board.identity.uuid, address, size)


def _name(board: Board, at_us: int, address: int, size: int) -> int:
    del at_us
    return put_text(board.identity.name, address, size)


def _pci(board: Board, at_us: int, address: int) -> int:
    del at_us
    info = pynvml.nvmlPciInfo_t.from_address(address)
    info.busIdLegacy = pci_bus_id(board)[4:]
    info.busId = pci_bus_id(board)
    info.domain, info.bus, info.device = 0, board.identity.pci_bus, 0
    info.pciDeviceId, info.pciSubSystemId = H100_PCI_ID, 0
    return SUCCESS


def _utilization(board: Board, at_us: int, address: int) -> int:
    if board.identity.mig is not None:
        return NOT_SUPPORTED
    both = (c_uint * 2).from_address(address)
    both[0], both[1] = board.utilization(at_us)
    return SUCCESS


def _clock(board: Board, at_us: int, domain: int, address: int) -> int:
    if domain >= pynvml.NVML_CLOCK_COUNT:
        return INVALID_ARGUMENT
    return put(c_uint, address, board.clock_mhz(domain, at_us))


def _max_clock(board: Board, at_us: int, domain: int, address: int) -> int:
    del at_us
    if domain >= pynvml.NVML_CLOCK_COUNT:
        return INVALID_ARGUMENT
    return put(c_uint, address, board.max_clock_mhz(domain))


def _temperature(board: Board, at_us: int, sensor: int, address: int) -> int:
    if sensor != pynvml.NVML_TEMPERATURE_GPU:
        return INVALID_ARGUMENT
    return put(c_uint, address, board.temp_c(at_us))


def _temperature_v(board: Board, at_us: int, address: int) -> int:
    asked = pynvml.c_nvmlTemperature_v1_t.from_address(address)
    if asked.version != pynvml.nvmlTemperature_v1:
        return ARGUMENT_VERSION_MISMATCH
    if asked.sensorType != pynvml.NVML_TEMPERATURE_GPU:
        return INVALID_ARGUMENT
    asked.temperature = board.temp_c(at_us)
    return SUCCESS


def _processes(board: Board, at_us: int, count_at: int, address: int | None) -> int:
    """List processes; if the array is too small, return how many there are."""
    found = board.processes(at_us)
    room = c_uint.from_address(count_at).value
    # NVML writes the number even when it fails, so that the caller can allocate enough.
    put(c_uint, count_at, len(found))
    if room < len(found):
        return INSUFFICIENT_SIZE
    if found:
        array = (pynvml.c_nvmlProcessInfo_v3_t * len(found)).from_address(address)
        for entry, process in zip(array, found, strict=True):
            entry.pid, entry.usedGpuMemory = process.pid, process.used_bytes
            whole = process.instance is None
            entry.gpuInstanceId = NO_INSTANCE if whole else process.instance
            entry.computeInstanceId = NO_INSTANCE if whole else 0
    return SUCCESS


def _memory(board: Board, at_us: int, address: int) -> int:
    used = board.used_bytes(at_us) + RESERVED_BYTES
    memory = pynvml.c_nvmlMemory_t.from_address(address)
    memory.total = board.identity.memory_bytes + RESERVED_BYTES
    memory.free, memory.used = memory.total - used, used
    return SUCCESS


def _memory_v2(board: Board, at_us: int, address: int) -> int:
    memory = pynvml.c_nvmlMemory_v2_t.from_address(address)
    if memory.version != pynvml.nvmlMemory_v2:
        return ARGUMENT_VERSION_MISMATCH
    used = board.used_bytes(at_us)
    memory.total, memory.reserved = board.identity.memory_bytes + RESERVED_BYTES, RESERVED_BYTES
    memory.free, memory.used = board.identity.memory_bytes - used, used
    return SUCCESS


_P: Any = c_void_p

STRUCTS: list[tuple[str, Callable[..., int], Sequence[Any]]] = [
    ("nvmlDeviceGetUUID", _uuid, [_P, c_uint]),
    ("nvmlDeviceGetName", _name, [_P, c_uint]),
    ("nvmlDeviceGetPciInfo_v3", _pci, [_P]),
    ("nvmlDeviceGetUtilizationRates", _utilization, [_P]),
    ("nvmlDeviceGetClockInfo", _clock, [c_uint, _P]),
    ("nvmlDeviceGetMaxClockInfo", _max_clock, [c_uint, _P]),
    ("nvmlDeviceGetTemperature", _temperature, [c_uint, _P]),
    ("nvmlDeviceGetTemperatureV", _temperature_v, [_P]),
    ("nvmlDeviceGetComputeRunningProcesses_v3", _processes, [_P, _P]),
    ("nvmlDeviceGetMemoryInfo", _memory, [_P]),
    ("nvmlDeviceGetMemoryInfo_v2", _memory_v2, [_P]),
]
"""Calls that write strings and structures: name, function, C types after the handle."""
