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
from ctypes import c_char, c_int, c_uint, c_ulonglong, c_void_p
from functools import partial
from struct import Struct
from typing import Any, Protocol

import pynvml

from tokenergy_collectors.emulate.nvml import more as nvml_more
from tokenergy_collectors.emulate.nvml.calls import (
    SCALARS,
    STRUCTS,
    SUCCESS,
    NvmlReturnError,
    Read,
    guarded,
    pci_bus_id,
    put,
    put_text,
)
from tokenergy_collectors.emulate.nvml.mig import MigDevice, MigInstances
from tokenergy_collectors.emulate.physics.board import Board

DRIVER_VERSION = "580.00.00-emulated"
NVML_VERSION = "13.580.00-emulated"

_HEAD = Struct("=II")  # c_nvmlFieldValue_t: fieldId, scopeId
_BODY = Struct("=qqIIQ")  # then timestamp, latencyUsec, valueType, nvmlReturn, value
_FIELD_BYTES = _HEAD.size + _BODY.size

FIELDS: dict[int, tuple[str, int, Read]] = {
    pynvml.NVML_FI_DEV_POWER_INSTANT: (
        "instant",
        pynvml.NVML_VALUE_TYPE_UNSIGNED_INT,
        Board.power_instant_mw,
    ),
    pynvml.NVML_FI_DEV_POWER_AVERAGE: (
        "average",
        pynvml.NVML_VALUE_TYPE_UNSIGNED_INT,
        Board.power_average_mw,
    ),
    pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION: (
        "counter",
        pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG,
        Board.energy_mj,
    ),
}
"""Field id to the name under which a profile can withhold it, its type and its reading."""

_MODULE_FIELDS: dict[int, Read] = {
    pynvml.NVML_FI_DEV_POWER_INSTANT: Board.module_instant_mw,
    pynvml.NVML_FI_DEV_POWER_AVERAGE: Board.module_average_mw,
}
"""Field id to its reading in the scope of the module, on boards that sit on one."""


Scalars = Sequence[tuple[str, Any, Sequence[Read], str]]
Structs = Sequence[tuple[str, Callable[..., int], Sequence[Any]]]
"""Kinds of the tables in `nvml_calls.py`."""


class Rig(Protocol):
    """What the library needs of a node."""

    start_us: int
    """UTC at profile time zero."""

    @property
    def boards(self) -> Sequence[Board]:
        """The boards, by index."""

    def now_us(self) -> int:
        """Profile time."""


class _Handles(dict[int, Any]):
    """Boards by handle; a missing one says why. A hit costs no more than in a plain dict."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: dict[int, int] = {}
        self.otherwise: int = pynvml.NVML_ERROR_UNINITIALIZED

    def __missing__(self, handle: int) -> Any:
        raise NvmlReturnError(self.failures.get(handle, self.otherwise))


class NvmlLibrary:
    """The emulated library. NVML's functions are its attributes, as ctypes callbacks."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._now_us = rig.now_us
        self._inits = 0
        self._faults: dict[int, int] = {}
        self._handle_memory: list[Any] = []
        self._make_handles()
        self._boards = _Handles()
        self._fields: dict[Any, dict[tuple[int, int], tuple[int, Read]]] = {
            board: self._fields_of(board) for board in rig.boards
        }
        self._mig = MigInstances(rig.boards)
        self._fields |= {device: {} for _, device in self._mig.devices()}
        self._arrays: dict[int, Any] = {}
        self._messages = _messages()
        self._export()

    def fail(self, index: int, code: int | None) -> None:
        """Let every call on a board return an NVML error code; None heals it."""
        if code is None:
            self._faults.pop(index, None)
        else:
            self._faults[index] = code
        self._list_handles()

    def _fields_of(self, board: Board) -> dict[tuple[int, int], tuple[int, Read]]:
        """Return type and reading of the fields that a board answers, by field and scope."""
        gpu, module = pynvml.NVML_POWER_SCOPE_GPU, pynvml.NVML_POWER_SCOPE_MODULE
        found: dict[tuple[int, int], tuple[int, Read]] = {}
        for field, (name, kind, read) in FIELDS.items():
            if name not in board.identity.unsupported:
                found[field, gpu] = (kind, self._reading(name, read))
                if field in _MODULE_FIELDS and board.module_rest_mw:
                    found[field, module] = (kind, self._reading(name, _MODULE_FIELDS[field]))
        return found

    def _make_handles(self) -> None:
        """Give every board a handle; those given before keep their memory and mean nothing."""
        # Handles are addresses of memory that exists, in case somebody looks behind one.
        memory = (c_ulonglong * max(len(self._rig.boards), 1))()
        self._handle_memory.append(memory)
        base = ctypes.addressof(memory)
        self._handle_of = [base + 8 * index for index in range(len(self._rig.boards))]
        self._index_of = {handle: index for index, handle in enumerate(self._handle_of)}

    def _reading(self, name: str, read: Read) -> Read:
        """Return how a power reading or a counter is read; faults bend it."""
        del name
        return read

    def set_field(self, index: int, field: int, value: int, scope: int = 0) -> None:
        """Let a board tell a further field: a setting that only its maker changes."""
        kind = pynvml.NVML_VALUE_TYPE_UNSIGNED_INT
        self._fields[self._rig.boards[index]][field, scope] = (kind, lambda *_: value)

    def relist(self) -> None:
        """Take note that boards are cut into other MIG instances now."""
        self._fields |= {device: {} for _, device in self._mig.devices()}
        self._list_handles()

    def _list_handles(self) -> None:
        self._boards.clear()
        self._boards.failures.clear()
        running = self._inits > 0
        self._boards.otherwise = (
            pynvml.NVML_ERROR_INVALID_ARGUMENT if running else pynvml.NVML_ERROR_UNINITIALIZED
        )
        for index, handle in enumerate(self._handle_of if running else ()):
            if index in self._faults:
                self._boards.failures[handle] = self._faults[index]
            else:
                self._boards[handle] = self._rig.boards[index]
        for handle, device in self._mig.devices() if running else ():
            if device.board in self._faults:
                self._boards.failures[handle] = self._faults[device.board]
            else:
                self._boards[handle] = device

    def _export(self) -> None:
        """Make the callbacks; anything not listed here is FUNCTION_NOT_FOUND to the binding."""
        p, u = c_void_p, c_uint
        # First, so that anything below replaces what is refused or constant here.
        self._export_tables(nvml_more.SCALARS, nvml_more.STRUCTS)
        for name, call in nvml_more.SYSTEM:
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
        for name, function, arguments in self._mig.calls(self._find, self._handle_of):
            self._define(name, function, *arguments)
        self._export_tables(SCALARS, STRUCTS)

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
        self._list_handles()
        return SUCCESS

    def _shutdown(self) -> int:
        if not self._inits:
            return int(pynvml.NVML_ERROR_UNINITIALIZED)
        self._inits -= 1
        self._list_handles()
        return SUCCESS

    def _error_string(self, code: int) -> int:
        """Return the address of a text that stays where it is."""
        text = self._messages.get(code, self._messages[pynvml.NVML_ERROR_UNKNOWN])
        return ctypes.addressof(text)

    def _when_running(self, function: Callable[..., int]) -> Callable[..., int]:
        """Return a function that says so while the library is not initialised."""

        def call(*arguments: Any) -> int:
            return function(*arguments) if self._inits else int(pynvml.NVML_ERROR_UNINITIALIZED)

        return call

    def _count(self, out: int) -> int:
        return put(c_uint, out, len(self._handle_of))

    def _by_index(self, index: int, out: int) -> int:
        if self._inits and index >= len(self._handle_of):
            return int(pynvml.NVML_ERROR_INVALID_ARGUMENT)
        return self._give(index, out)

    def _find(self, handle: int) -> Board | MigDevice:
        found: Board | MigDevice = self._boards[handle]
        return found

    def _by_uuid(self, text: int | None, out: int) -> int:
        wanted = _text_at(text)
        for handle, device in self._mig.devices() if self._inits else ():
            if device.identity.uuid.encode() == wanted:
                _ = self._boards[handle]
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
            return int(pynvml.NVML_ERROR_UNINITIALIZED)
        if wanted is None:
            return int(pynvml.NVML_ERROR_INVALID_ARGUMENT)
        for index, board in enumerate(self._rig.boards):
            if key(board).encode() == wanted:
                return self._give(index, out)
        return int(pynvml.NVML_ERROR_NOT_FOUND)

    def _give(self, index: int, out: int) -> int:
        handle = self._handle_of[index]
        _ = self._boards[handle]
        return put(c_void_p, out, handle)

    def _field_values(self, handle: int, count: int, address: int) -> int:
        """Fill in an array of c_nvmlFieldValue_t; each field has its own return code."""
        board = self._boards[handle]
        fields = self._fields[board]
        now_us = self._now_us()
        stamp_us = self._rig.start_us + now_us
        array = self._arrays.get(count)
        if array is None:
            if count < 1:
                return int(pynvml.NVML_ERROR_INVALID_ARGUMENT)
            array = self._arrays[count] = c_char * (_FIELD_BYTES * count)
        raw = array.from_address(address)
        for offset in range(0, _FIELD_BYTES * count, _FIELD_BYTES):
            field, scope = _HEAD.unpack_from(raw, offset)
            kind, code, value = 0, pynvml.NVML_ERROR_NOT_SUPPORTED, 0
            if (field, scope) in fields:
                kind, read = fields[field, scope]
                code, value = SUCCESS, read(board, now_us)
            _BODY.pack_into(raw, offset + _HEAD.size, stamp_us, 0, kind, code, value)
        return SUCCESS

    def _scalars(self, ctype: Any, reads: Sequence[Read], needs: str) -> Callable[..., int]:
        """Make a callback that writes one value for each pointer after the handle."""
        reads = [self._reading(needs, read) for read in reads]

        def call(handle: int, *outs: int) -> int:
            board = self._boards[handle]
            if needs in board.identity.unsupported:
                return int(pynvml.NVML_ERROR_NOT_SUPPORTED)
            now_us = self._now_us()
            for read, out in zip(reads, outs, strict=True):
                ctype.from_address(out).value = read(board, now_us)
            return SUCCESS

        return call

    def _on_board(self, write: Callable[..., int]) -> Callable[..., int]:
        """Make a callback that hands the board, the time and the other arguments on."""

        def call(handle: int, *rest: int) -> int:
            return write(self._boards[handle], self._now_us(), *rest)

        return call


@contextmanager
def install(rig: Rig, library: NvmlLibrary | None = None) -> Iterator[NvmlLibrary]:
    """Make `pynvml` talk to an emulated node; restore what was there before on exit.

    Args:
        rig: the node.
        library: its NVML; one without faults if None.
    """
    before = pynvml.nvmlLib
    library = library or NvmlLibrary(rig)
    pynvml.nvmlLib = library
    pynvml._nvmlGetFunctionPointer_cache.clear()
    try:
        yield library
    finally:
        pynvml.nvmlLib = before
        pynvml._nvmlGetFunctionPointer_cache.clear()


def _text_at(address: int | None) -> bytes | None:
    return None if address is None else ctypes.string_at(address)


def _messages() -> dict[int, ctypes.Array[c_char]]:
    """Return the text of every error code the binding knows, in memory that stays."""
    prefix = "NVML_ERROR_"
    names = {getattr(pynvml, name): name for name in dir(pynvml) if name.startswith(prefix)}
    found = {
        code: ctypes.create_string_buffer(name.removeprefix(prefix).replace("_", " ").encode())
        for code, name in names.items()
    }
    return {SUCCESS: ctypes.create_string_buffer(b"The operation was successful"), **found}
