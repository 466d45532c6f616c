"""NVML's return codes as plain integers, their texts, and how a callback ends with one.

`pynvml` has no types, so its constants are converted once, here.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from ctypes import c_char
from typing import Any

import pynvml

_LOG = logging.getLogger(__name__)

SUCCESS = 0
UNINITIALIZED = int(pynvml.NVML_ERROR_UNINITIALIZED)
INVALID_ARGUMENT = int(pynvml.NVML_ERROR_INVALID_ARGUMENT)
NOT_SUPPORTED = int(pynvml.NVML_ERROR_NOT_SUPPORTED)
NOT_FOUND = int(pynvml.NVML_ERROR_NOT_FOUND)
INSUFFICIENT_SIZE = int(pynvml.NVML_ERROR_INSUFFICIENT_SIZE)
DRIVER_NOT_LOADED = int(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
GPU_IS_LOST = int(pynvml.NVML_ERROR_GPU_IS_LOST)
ARGUMENT_VERSION_MISMATCH = int(pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH)
UNKNOWN = int(pynvml.NVML_ERROR_UNKNOWN)

_PREFIX = "NVML_ERROR_"


class NvmlReturnError(Exception):
    """Ends a callback with an NVML return code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def guarded(name: str, function: Callable[..., int]) -> Callable[..., int]:
    """Return a function that never raises, but logs and returns an NVML error code."""

    def call(*arguments: Any) -> int:
        try:
            return function(*arguments)
        except NvmlReturnError as failure:
            return failure.code
        except Exception as error:  # noqa: BLE001 - an exception must not cross into C
            if None in arguments:  # a null pointer, where one was needed
                return INVALID_ARGUMENT
            _LOG.error("emulated %s failed: %r", name, error)
            return UNKNOWN

    return call


def named(name: str) -> int:
    """Return the code of an error by its name without the prefix, such as NO_PERMISSION."""
    return int(getattr(pynvml, _PREFIX + name))


def texts() -> dict[int, ctypes.Array[c_char]]:
    """Return the text of every error code that the binding knows, in memory that stays."""
    names = {getattr(pynvml, name): name for name in dir(pynvml) if name.startswith(_PREFIX)}
    found = {
        code: ctypes.create_string_buffer(name.removeprefix(_PREFIX).replace("_", " ").encode())
        for code, name in names.items()
    }
    return {SUCCESS: ctypes.create_string_buffer(b"The operation was successful"), **found}
