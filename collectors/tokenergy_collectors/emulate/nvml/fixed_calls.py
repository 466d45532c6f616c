"""The NVML calls that every emulated board answers alike: constants, and unavailable calls.

In: a board. Out: tables like those of `calls.py`, and the calls on the system besides its versions.
Unavailable calls are listed in `unavailable.def`, which the C library includes too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from ctypes import c_int, c_uint, c_void_p
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pynvml

from tokenergy_collectors.emulate.nvml import codes
from tokenergy_collectors.emulate.nvml.calls import Read, put
from tokenergy_collectors.emulate.physics.board import Board

CUDA_VERSION = 13_000
"""CUDA 13.0, the version that goes with driver 580."""

_VIDEO_PERIOD_US = 1_000_000


class Generation(NamedTuple):
    """NVML's number of an architecture, and CUDA's compute capability."""

    architecture: int
    capability: tuple[int, int]


_GENERATIONS = {
    "V100": Generation(pynvml.NVML_DEVICE_ARCH_VOLTA, (7, 0)),
    "T4": Generation(pynvml.NVML_DEVICE_ARCH_TURING, (7, 5)),
    "A100": Generation(pynvml.NVML_DEVICE_ARCH_AMPERE, (8, 0)),
    "RTX 30": Generation(pynvml.NVML_DEVICE_ARCH_AMPERE, (8, 6)),
    "RTX 40": Generation(pynvml.NVML_DEVICE_ARCH_ADA, (8, 9)),
    "H100": Generation(pynvml.NVML_DEVICE_ARCH_HOPPER, (9, 0)),
    "H200": Generation(pynvml.NVML_DEVICE_ARCH_HOPPER, (9, 0)),
    "GH200": Generation(pynvml.NVML_DEVICE_ARCH_HOPPER, (9, 0)),
    "B200": Generation(pynvml.NVML_DEVICE_ARCH_BLACKWELL, (10, 0)),
}


def generation(name: str) -> Generation:
    """Return the generation that a board's name implies; "unknown" if it implies none."""
    found = (made for part, made in _GENERATIONS.items() if part in name)
    return next(found, Generation(pynvml.NVML_DEVICE_ARCH_UNKNOWN, (0, 0)))


def _constant(value: int) -> Read:
    return lambda board, at_us: value


def _minor(board: Board, at_us: int) -> int:
    del at_us
    return board.identity.minor


def _architecture(board: Board, at_us: int) -> int:
    del at_us
    return generation(board.identity.name).architecture


def _capability(part: int, board: Board, at_us: int) -> int:
    del at_us
    return generation(board.identity.name).capability[part]


_VIDEO = [_constant(0), _constant(_VIDEO_PERIOD_US)]

SCALARS: list[tuple[str, Any, Sequence[Read], str]] = [
    ("nvmlDeviceGetMinorNumber", c_uint, [_minor], ""),
    ("nvmlDeviceGetArchitecture", c_uint, [_architecture], ""),
    (
        "nvmlDeviceGetCudaComputeCapability",
        c_int,
        [partial(_capability, 0), partial(_capability, 1)],
        "",
    ),
    ("nvmlDeviceGetPersistenceMode", c_uint, [_constant(1)], ""),
    ("nvmlDeviceGetComputeMode", c_uint, [_constant(0)], ""),
    ("nvmlDeviceGetPerformanceState", c_uint, [_constant(0)], ""),
    ("nvmlDeviceGetDisplayMode", c_uint, [_constant(0)], ""),
    ("nvmlDeviceGetDisplayActive", c_uint, [_constant(0)], ""),
    ("nvmlDeviceIsMigDeviceHandle", c_uint, [_constant(0)], ""),
    ("nvmlDeviceGetEncoderUtilization", c_uint, _VIDEO, ""),
    ("nvmlDeviceGetDecoderUtilization", c_uint, _VIDEO, ""),
]
"""Calls that write plain numbers, as in `calls.SCALARS`."""


def _no_processes(board: Board, at_us: int, count_at: int, address: int | None) -> int:
    """List no process: these boards run no graphics, and nothing shares them through MPS."""
    del board, at_us, address
    return put(c_uint, count_at, 0)


def _unavailable() -> list[tuple[str, int]]:
    text = Path(__file__).with_name("unavailable.def").read_text("utf-8")
    found = re.findall(r"^UNAVAILABLE\((\w+), (\w+)\)$", text, flags=re.MULTILINE)
    return [(name, codes.named(code)) for name, code in found]


def _always(code: int) -> Callable[[Board, int], int]:
    return lambda board, at_us: code


_P: Any = c_void_p

STRUCTS: list[tuple[str, Callable[..., int], Sequence[Any]]] = [
    ("nvmlDeviceGetGraphicsRunningProcesses_v3", _no_processes, [_P, _P]),
    ("nvmlDeviceGetMPSComputeRunningProcesses_v3", _no_processes, [_P, _P]),
    # A C function may get more arguments than it reads: only the handle is declared.
    *((name, _always(code), []) for name, code in _unavailable()),
]
"""Calls on a board that write something else, or are unavailable; as in `calls.STRUCTS`."""


def _cuda_version(address: int) -> int:
    return put(c_int, address, CUDA_VERSION)


def _no_event_set(address: int | None) -> int:
    """Emulated boards report no events, so there is no set to wait on."""
    return codes.INVALID_ARGUMENT if address is None else codes.NOT_SUPPORTED


SYSTEM: list[tuple[str, Callable[..., int]]] = [
    ("nvmlSystemGetCudaDriverVersion", _cuda_version),
    ("nvmlSystemGetCudaDriverVersion_v2", _cuda_version),
    ("nvmlEventSetCreate", _no_event_set),
]
"""Calls without a board that take one address."""
