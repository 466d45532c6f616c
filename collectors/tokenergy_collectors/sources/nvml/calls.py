"""NVML calls that may fail: which errors mean "no value", and which mean "no board".

In: a call of `pynvml`. Out: what it returns, or None for the errors that the chosen function names;
every other error is raised. Two errors that are not NVML's mean the same as one of NVML's, so they
never reach the caller: the binding's own for a driver that lacks a version of a call, and a name
that is not UTF-8. Callers differ on purpose. A sampler that must see that a board is lost
uses `if_supported`; a question that the driver may refuse uses `optional`; a reading that somebody
else reports when it fails uses `or_none`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pynvml

UNSUPPORTED = (
    pynvml.NVMLError_NotSupported,  # this board has no such value
    pynvml.NVMLError_FunctionNotFound,  # this driver is too old for the call
)
"""The board or the driver does not offer the value."""

UNAVAILABLE = (
    *UNSUPPORTED,
    pynvml.NVMLError_NoPermission,  # the driver offers the value to root only
    pynvml.NVMLError_NotFound,  # nothing is at the index that was asked for
)
"""The board answers, but not with this value."""

DEVICE_LOST = frozenset(
    {
        pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
        pynvml.NVML_ERROR_GPU_IS_LOST,
        pynvml.NVML_ERROR_RESET_REQUIRED,
        pynvml.NVML_ERROR_UNINITIALIZED,
        pynvml.NVML_ERROR_UNKNOWN,
    }
)
"""Codes that mean that the whole board does not answer. NVML may return one for a single field of a
call that otherwise succeeds."""


def if_supported(call: Callable[..., Any], *args: Any) -> Any:
    """Return what an NVML call returns; None for the errors in `UNSUPPORTED`.

    Raises:
        pynvml.NVMLError: the call failed for another reason.
    """
    try:
        return _called(call, *args)
    except UNSUPPORTED:
        return None


def optional(call: Callable[..., Any], *args: Any) -> Any:
    """Return what an NVML call returns; None for the errors in `UNAVAILABLE`.

    Raises:
        pynvml.NVMLError: the call failed for another reason.
    """
    try:
        return _called(call, *args)
    except UNAVAILABLE:
        return None


def or_none(call: Callable[..., Any], *args: Any) -> Any:
    """Return what an NVML call returns; None for every NVML error."""
    try:
        return _called(call, *args)
    except pynvml.NVMLError:
        return None


def _called(call: Callable[..., Any], *args: Any) -> Any:
    """Return what an NVML call returns; bytes that are no text become replacement characters.

    Raises:
        pynvml.NVMLError: the call failed.
    """
    try:
        return call(*args)
    except pynvml.NVMLLibraryMismatchError:  # the driver has only older versions of this call
        raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND) from None
    except UnicodeDecodeError as error:  # the binding decodes every text as UTF-8
        return error.object.decode(errors="replace")
