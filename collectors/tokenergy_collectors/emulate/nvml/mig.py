"""MIG behind emulated NVML: boards cut into instances, which have names and no power.

In: the boards and the profiles they are cut into (`3g.40gb`: 3 of 7 compute slices, 40 GB). Out:
handles for the instances, and the calls that only MIG knows. Everything else that is asked of an
instance's handle answers NOT_SUPPORTED, as a driver does.
"""

from __future__ import annotations

import ctypes
import uuid
from collections.abc import Callable, Iterator, Sequence
from ctypes import c_uint, c_ulonglong, c_void_p
from dataclasses import dataclass
from typing import Any

import pynvml

from tokenergy_collectors.emulate.nvml.calls import SUCCESS, NvmlReturnError, put
from tokenergy_collectors.emulate.physics.board import Board
from tokenergy_collectors.emulate.profile.mig import SLICES, parse_profile
from tokenergy_collectors.emulate.workloads.base import Process

_P: Any = c_void_p


@dataclass(frozen=True, slots=True)
class MigIdentity:
    """The name plate of an instance."""

    uuid: str
    name: str
    unsupported: frozenset[str] = frozenset()

    def __getattr__(self, name: str) -> Any:
        raise NvmlReturnError(pynvml.NVML_ERROR_NOT_SUPPORTED)


@dataclass(frozen=True, slots=True)
class MigDevice:
    """An instance where NVML's calls expect a board: what it does not have is not supported."""

    identity: MigIdentity
    board: int
    profile: str

    def processes(self, at_us: int) -> list[Process]:
        """Return the compute processes on the instance: none are emulated."""
        del at_us
        return []

    def __getattr__(self, name: str) -> Any:
        raise NvmlReturnError(pynvml.NVML_ERROR_NOT_SUPPORTED)


class MigInstances:
    """The instances of all boards of a node, by handle.

    Args:
        boards: the boards, by index; `identity.mig` says how each is cut.
    """

    def __init__(self, boards: Sequence[Board]) -> None:
        self._boards = boards
        # As with boards: handles are addresses of memory that exists.
        self._memory = (c_ulonglong * max(SLICES * len(boards), 1))()
        self._base = ctypes.addressof(self._memory)

    def devices(self) -> Iterator[tuple[int, MigDevice]]:
        """Yield handle and device of each instance there is now."""
        for board in self._boards:
            for place, profile in enumerate(board.identity.mig or ()):
                own = uuid.uuid5(uuid.NAMESPACE_OID, f"{board.identity.uuid}/{place}/{profile}")
                identity = MigIdentity(f"MIG-{own}", f"{board.identity.name} MIG {profile}")
                handle = self._base + 8 * (SLICES * board.identity.index + place)
                yield handle, MigDevice(identity, board.identity.index, profile)

    def calls(
        self, find: Callable[[int], Board | MigDevice], handle_of: Sequence[int]
    ) -> Iterator[tuple[str, Callable[..., int], Sequence[Any]]]:
        """Yield the calls that only MIG knows: name, function, C types of all arguments.

        Args:
            find: returns what a handle stands for, or ends the call with an error.
            handle_of: the boards' handles, by index.
        """

        def by_index(handle: int, place: int, out: int) -> int:
            index = find(handle).identity.index
            wanted = self._base + 8 * (SLICES * index + place)
            if place >= SLICES or all(wanted != there for there, _ in self.devices()):
                return int(pynvml.NVML_ERROR_NOT_FOUND)
            return put(c_void_p, out, wanted)

        def parent(handle: int, out: int) -> int:
            device = find(handle)
            if not isinstance(device, MigDevice):
                return int(pynvml.NVML_ERROR_INVALID_ARGUMENT)
            return put(c_void_p, out, handle_of[device.board])

        def is_instance(handle: int, out: int) -> int:
            return put(c_uint, out, int(isinstance(find(handle), MigDevice)))

        def attributes(handle: int, out: int) -> int:
            device = find(handle)
            if not isinstance(device, MigDevice):
                return int(pynvml.NVML_ERROR_NOT_SUPPORTED)
            slices, memory_gb = parse_profile(device.profile)
            told = pynvml.c_nvmlDeviceAttributes.from_address(out)
            told.gpuInstanceSliceCount = told.computeInstanceSliceCount = slices
            told.memorySizeMB = memory_gb * 1024
            return SUCCESS

        def profile_info(handle: int, profile: int, out: int) -> int:
            if find(handle).identity.mig is None or profile != _WHOLE:
                return int(pynvml.NVML_ERROR_NOT_SUPPORTED)
            pynvml.c_nvmlGpuInstanceProfileInfo_v2_t.from_address(out).sliceCount = SLICES
            return SUCCESS

        yield "nvmlDeviceGetMigDeviceHandleByIndex", by_index, (_P, c_uint, _P)
        yield "nvmlDeviceGetDeviceHandleFromMigDeviceHandle", parent, (_P, _P)
        yield "nvmlDeviceIsMigDeviceHandle", is_instance, (_P, _P)
        yield "nvmlDeviceGetAttributes_v2", attributes, (_P, _P)
        yield "nvmlDeviceGetGpuInstanceProfileInfoV", profile_info, (_P, c_uint, _P)


_WHOLE = pynvml.NVML_GPU_INSTANCE_PROFILE_7_SLICE
