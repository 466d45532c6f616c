"""Handles of emulated boards and MIG instances: which are valid, and why one is not.

In: the boards of a node, and the instances on them. Out: a board or an instance by its handle, or
the NVML return code that ends the call.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_ulonglong
from typing import Any

from tokenergy_collectors.emulate.nvml.codes import (
    INVALID_ARGUMENT,
    UNINITIALIZED,
    NvmlReturnError,
)
from tokenergy_collectors.emulate.nvml.mig import MigInstances
from tokenergy_collectors.emulate.physics.board import Board


class DevicesByHandle(dict[int, Any]):
    """Boards by handle; a missing one says why. A hit costs no more than in a plain dict."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: dict[int, int] = {}
        self.otherwise: int = UNINITIALIZED

    def __missing__(self, handle: int) -> Any:
        raise NvmlReturnError(self.failures.get(handle, self.otherwise))


class Handles:
    """The handles that the library has given out.

    Attributes:
        of_board: handle of each board, by index.
        index_of: index of a board, by handle.
        devices: boards and MIG instances by handle; a lookup that fails ends the call.
    """

    def __init__(self, boards: Sequence[Board], mig: MigInstances) -> None:
        self._boards = boards
        self._mig = mig
        self._failed: dict[int, int] = {}
        self._memory: list[Any] = []
        self.of_board: list[int] = []
        self.index_of: dict[int, int] = {}
        self.devices = DevicesByHandle()
        self.replace()

    def replace(self) -> None:
        """Give every board a new handle; earlier ones become invalid, as after a driver reload."""
        # Handles are addresses of memory that exists, in case a program reads what they point to.
        # Earlier memory is kept for the same reason.
        memory = (c_ulonglong * max(len(self._boards), 1))()
        self._memory.append(memory)
        base = ctypes.addressof(memory)
        # In place: the calls of MIG hold on to this list.
        self.of_board[:] = [base + 8 * index for index in range(len(self._boards))]
        self.index_of = {handle: index for index, handle in enumerate(self.of_board)}

    def fail(self, index: int, code: int | None) -> None:
        """Let every call on a board return an error code; None ends the failure.

        `refresh` makes it effective.
        """
        if code is None:
            self._failed.pop(index, None)
        else:
            self._failed[index] = code

    def refresh(self, *, running: bool) -> None:
        """Update which handles are valid; none is while the library is not initialised."""
        self.devices.clear()
        self.devices.failures.clear()
        self.devices.otherwise = INVALID_ARGUMENT if running else UNINITIALIZED
        if not running:
            return
        for index, handle in enumerate(self.of_board):
            self._list(handle, index, self._boards[index])
        for handle, instance in self._mig.devices():
            self._list(handle, instance.board, instance)

    def _list(self, handle: int, index: int, device: Any) -> None:
        if index in self._failed:
            self.devices.failures[handle] = self._failed[index]
        else:
            self.devices[handle] = device
