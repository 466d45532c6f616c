"""NVML without a driver: callbacks that the unmodified `pynvml` module calls as its library.

In: the boards of an emulated node. Out: an object whose attributes are C function pointers named
like NVML's; `install` puts it where `pynvml` keeps the loaded library, and takes it away again.

Pointer arguments are declared `c_void_p`, so they arrive as plain addresses. No exception may leave
a callback (ctypes would print it and hand garbage to the caller): it becomes NVML_ERROR_UNKNOWN.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ctypes import c_int, c_uint, c_void_p
from functools import partial
from typing import Any, Protocol

import pynvml

from tokenergy_collectors.emulate.nvml import calls, codes, fixed_calls
from tokenergy_collectors.emulate.nvml.calls import Read, pci_bus_id, put, put_text
from tokenergy_collectors.emulate.nvml.codes import (
    INVALID_ARGUMENT,
    NOT_FOUND,
    NOT_SUPPORTED,
    SUCCESS,
    UNINITIALIZED,
    guarded,
)
from tokenergy_collectors.emulate.nvml.fields import FieldArrays, fields_of
from tokenergy_collectors.emulate.nvml.handles import Handles
from tokenergy_collectors.emulate.nvml.mig import MigCalls, MigDevice, MigInstances
from tokenergy_collectors.emulate.physics.board import Board

DRIVER_VERSION = "580.00.00-emulated"
NVML_VERSION = "13.580.00-emulated"

Scalars = Sequence[tuple[str, Any, Sequence[Read], str]]
Structs = Sequence[tuple[str, Callable[..., int], Sequence[Any]]]
"""Types of the tables in `calls.py`."""


class Node(Protocol):
    """What the library needs of a node."""

    start_us: int
    """UTC at profile time zero."""

    @property
    def boards(self) -> Sequence[Board]:
        """The boards, by index."""

    def now_us(self) -> int:
        """Profile time."""


class NvmlLibrary:
    """The emulated library. NVML's functions are its attributes, as ctypes callbacks."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._now_us = node.now_us
        self._inits = 0
        self._mig = MigInstances(node.boards)
        self._handles = Handles(node.boards, self._mig)
        # Looked up at every call, so without the detour through `_handles`.
        self._devices = self._handles.devices
        self._fields: dict[Any, dict[tuple[int, int], tuple[int, Read]]] = {
            board: fields_of(board, self._reading) for board in node.boards
        }
        self._fields |= {device: {} for _, device in self._mig.devices()}
        self._field_arrays = FieldArrays()
        self._texts = codes.texts()
        self._export()

    def fail(self, index: int, code: int | None) -> None:
        """Let every call on a board return an NVML error code; None ends the failure."""
        self._handles.fail(index, code)
        self._refresh_handles()

    def set_field(self, index: int, field: int, value: int, scope: int = 0) -> None:
        """Let a board report a further field: a setting that only its vendor's tools change."""
        kind = pynvml.NVML_VALUE_TYPE_UNSIGNED_INT
        self._fields[self._node.boards[index]][field, scope] = (kind, lambda *_: value)

    def update_mig(self) -> None:
        """Take over the boards' current MIG instances."""
        self._fields |= {device: {} for _, device in self._mig.devices()}
        self._refresh_handles()

    def _reading(self, name: str, read: Read) -> Read:
        """Return how a power reading or a counter is read; a subclass may change it."""
        del name
        return read

    def _refresh_handles(self) -> None:
        self._handles.refresh(running=self._inits > 0)

    def _export(self) -> None:
        """Make the callbacks; anything not listed here is FUNCTION_NOT_FOUND to the binding."""
        p, u = c_void_p, c_uint
        # First, so that the calls below replace constants and unavailable calls of the same name.
        self._export_tables(fixed_calls.SCALARS, fixed_calls.STRUCTS)
        for name, call in fixed_calls.SYSTEM:
            self._define(name, self._when_running(call), p)
        self._define("nvmlInit_v2", self._init)
        self._define("nvmlInitWithFlags", self._init, u)
        self._define("nvmlShutdown", self._shutdown)
        self.nvmlErrorString = ctypes.CFUNCTYPE(p, c_int)(self._error_string)
        for name, text in (("Driver", DRIVER_VERSION), ("NVML", NVML_VERSION)):
            call = self._when_running(partial(put_text, text))
            self._define(f"nvmlSystemGet{name}Version", call, p, u)
        self._define("nvmlDeviceGetCount_v2", self._when_running(self._count), p)
        self._define("nvmlDeviceGetHandleByIndex_v2", self._by_index, u, p)
        self._define("nvmlDeviceGetHandleByUUID", self._by_uuid, p, p)
        self._define("nvmlDeviceGetHandleByPciBusId_v2", self._by_pci, p, p)
        self._define("nvmlDeviceGetFieldValues", self._field_values, p, c_int, p)
        mig = MigCalls(self._mig, self._find, self._handles.of_board)
        for name, function, arguments in mig.table():
            self._define(name, function, *arguments)
        self._export_tables(calls.SCALARS, calls.STRUCTS)

    def _export_tables(self, scalars: Scalars, structs: Structs) -> None:
        p = c_void_p
        for name, ctype, reads, needs in scalars:
            pointers = [p] * len(reads)
            self._define(name, self._scalars(ctype, reads, needs), p, *pointers)
        for name, write, arguments in structs:
            self._define(name, self._on_board(write), p, *arguments)

    def _define(self, name: str, function: Callable[..., int], *arguments: Any) -> None:
        setattr(self, name, ctypes.CFUNCTYPE(c_int, *arguments)(guarded(name, function)))

    def _init(self, flags: int = 0) -> int:
        del flags
        self._inits += 1
        self._refresh_handles()
        return SUCCESS

    def _shutdown(self) -> int:
        if not self._inits:
            return UNINITIALIZED
        self._inits -= 1
        self._refresh_handles()
        return SUCCESS

    def _error_string(self, code: int) -> int:
        """Return the address of an error's text, which stays valid."""
        text = self._texts.get(code, self._texts[codes.UNKNOWN])
        return ctypes.addressof(text)

    def _when_running(self, function: Callable[..., int]) -> Callable[..., int]:
        """Return a function that answers UNINITIALIZED while the library is not initialised."""

        def call(*arguments: Any) -> int:
            return function(*arguments) if self._inits else UNINITIALIZED

        return call

    def _count(self, out: int) -> int:
        return put(c_uint, out, len(self._handles.of_board))

    def _by_index(self, index: int, out: int) -> int:
        if self._inits and index >= len(self._handles.of_board):
            return INVALID_ARGUMENT
        return self._give(index, out)

    def _find(self, handle: int) -> Board | MigDevice:
        found: Board | MigDevice = self._devices[handle]
        return found

    def _by_uuid(self, text: int | None, out: int) -> int:
        wanted = _text_at(text)
        for handle, device in self._mig.devices() if self._inits else ():
            if device.identity.uuid.encode() == wanted:
                _ = self._devices[handle]
                return put(c_void_p, out, handle)
        return self._search(wanted, lambda board: board.identity.uuid, out)

    def _by_pci(self, text: int | None, out: int) -> int:
        wanted = _text_at(text)
        if wanted is not None:
            # Linux and CUDA write the domain in four digits; NVML takes both.
            wanted = wanted.upper().rjust(len("00000000:00:00.0"), b"0")
        return self._search(wanted, pci_bus_id, out)

    def _search(self, wanted: bytes | None, key: Callable[[Board], str], out: int) -> int:
        if not self._inits:
            return UNINITIALIZED
        if wanted is None:
            return INVALID_ARGUMENT
        for index, board in enumerate(self._node.boards):
            if key(board).encode() == wanted:
                return self._give(index, out)
        return NOT_FOUND

    def _give(self, index: int, out: int) -> int:
        handle = self._handles.of_board[index]
        _ = self._devices[handle]
        return put(c_void_p, out, handle)

    def _field_values(self, handle: int, count: int, address: int) -> int:
        """Fill in an array of c_nvmlFieldValue_t; each field has its own return code."""
        board = self._devices[handle]
        now_us = self._now_us()
        stamp_us = self._node.start_us + now_us
        fields = self._fields[board]
        return self._field_arrays.fill(fields, board, now_us, stamp_us, count, address)

    def _scalars(self, ctype: Any, reads: Sequence[Read], needs: str) -> Callable[..., int]:
        """Make a callback that writes one value for each pointer after the handle."""
        reads = [self._reading(needs, read) for read in reads]

        def call(handle: int, *outs: int) -> int:
            board = self._devices[handle]
            if needs in board.identity.unsupported:
                return NOT_SUPPORTED
            now_us = self._now_us()
            for read, out in zip(reads, outs, strict=True):
                ctype.from_address(out).value = read(board, now_us)
            return SUCCESS

        return call

    def _on_board(self, write: Callable[..., int]) -> Callable[..., int]:
        """Make a callback that hands the board, the time and the other arguments on."""

        def call(handle: int, *rest: int) -> int:
            return write(self._devices[handle], self._now_us(), *rest)

        return call


@contextmanager
def install(node: Node, library: NvmlLibrary | None = None) -> Iterator[NvmlLibrary]:
    """Make `pynvml` call an emulated node; restore the previous library on exit.

    Args:
        node: the node.
        library: its NVML; one without faults if None.
    """
    before = pynvml.nvmlLib
    library = library or NvmlLibrary(node)
    pynvml.nvmlLib = library
    # The binding caches each function that it has looked up: those of another library must go.
    pynvml._nvmlGetFunctionPointer_cache.clear()
    try:
        yield library
    finally:
        pynvml.nvmlLib = before
        pynvml._nvmlGetFunctionPointer_cache.clear()


def _text_at(address: int | None) -> bytes | None:
    return None if address is None else ctypes.string_at(address)
