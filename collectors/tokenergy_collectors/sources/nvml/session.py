"""NVML's session in this process: shut down at the end, started again after a fork.

In: objects that hold a handle. Out: handles that are valid in this process.

NVML belongs to the process that started it. A child of a fork inherits handles that are only valid
in its parent, so they are cleared there: none is ever passed to the driver. The child starts NVML
when it first looks for a board.
"""

from __future__ import annotations

import os
import weakref
from typing import Any, Protocol

import pynvml

from tokenergy_collectors.sources.nvml.calls import or_none


class HoldsHandles(Protocol):
    """A board as far as its handles are concerned."""

    handle: Any
    instances: tuple[Any, ...]


_holders: weakref.WeakSet[Any] = weakref.WeakSet()
_inherited = False


def register(holder: HoldsHandles) -> None:
    """Have the handles of a board cleared in every child of this process."""
    _holders.add(holder)


def handle_of(device_id: str) -> Any:
    """Return the handle of a board by its UUID; start NVML if this process has not.

    Raises:
        pynvml.NVMLError: NVML does not start, or knows no such board.
    """
    _start_after_fork()
    try:
        return pynvml.nvmlDeviceGetHandleByUUID(device_id)
    except pynvml.NVMLError_Uninitialized:
        pynvml.nvmlInit()
        return pynvml.nvmlDeviceGetHandleByUUID(device_id)


def uuid_at(pci_address: str) -> str | None:
    """Return the UUID of the board at a PCI address; None if NVML does not start or has none there.

    NVML is started for this question alone, and shut down again: it counts its starts, so a session
    that is already running goes on.
    """
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        handle = or_none(pynvml.nvmlDeviceGetHandleByPciBusId, pci_address)
        uuid = None if handle is None else or_none(pynvml.nvmlDeviceGetUUID, handle)
    finally:
        shut_down()
    return None if uuid is None else str(uuid)


def shut_down() -> None:
    """Shut NVML down; it does not matter whether it was started."""
    or_none(pynvml.nvmlShutdown)


def _clear_handles() -> None:
    global _inherited
    _inherited = True
    for holder in _holders:
        holder.handle = None
        holder.instances = ()


def _start_after_fork() -> None:
    """Start NVML, once in a process that inherited the session of its parent."""
    global _inherited
    if _inherited:
        shut_down()
        pynvml.nvmlInit()
        _inherited = False


os.register_at_fork(after_in_child=_clear_handles)
