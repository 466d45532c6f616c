"""MIG behind emulated NVML: boards divided into instances, which have names and no power.

In: the boards and their MIG profiles (`3g.40gb`: 3 of 7 compute slices, 40 GB). Out: handles for
the instances, and the calls that concern MIG alone. Any other call on an instance's handle returns
NOT_SUPPORTED, as a driver does.
"""

from __future__ import annotations

import ctypes
import uuid
from collections.abc import Callable, Iterator, Sequence
from ctypes import c_uint, c_ulonglong, c_void_p
from dataclasses import dataclass
from typing import Any

import pynvml

from tokenergy_collectors.emulate.nvml.calls import put
from tokenergy_collectors.emulate.nvml.codes import (
    INVALID_ARGUMENT,
    NOT_FOUND,
    NOT_SUPPORTED,
    SUCCESS,
    NvmlReturnError,
)
from tokenergy_collectors.emulate.physics.board import Board
from tokenergy_collectors.emulate.profile.mig import SLICES, parse_profile
from tokenergy_collectors.emulate.workloads.base import Process

_P: Any = c_void_p


@dataclass(frozen=True, slots=True)
class MigIdentity:
    """Name and UUID of an instance."""

    uuid: str
    name: str
    unsupported: frozenset[str] = frozenset()

    def __getattr__(self, name: str) -> Any:
        raise NvmlReturnError(NOT_SUPPORTED)


@dataclass(frozen=True, slots=True)
class MigDevice:
    """An instance where NVML's calls expect a board: whatever it lacks is NOT_SUPPORTED."""

    identity: MigIdentity
    board: int
    profile: str

    def processes(self, at_us: int) -> list[Process]:
        """Return the compute processes on the instance: none are emulated."""
        del at_us
        return []

    def __getattr__(self, name: str) -> Any:
        raise NvmlReturnError(NOT_SUPPORTED)


class MigInstances:
    """The instances of all boards of a node, by handle.

    Args:
        boards: the boards, by index; `identity.mig` lists the instances of each.
    """

    def __init__(self, boards: Sequence[Board]) -> None:
        self._boards = boards
        # As with boards: handles are addresses of memory that exists.
        self._memory = (c_ulonglong * max(SLICES * len(boards), 1))()
        self._base = ctypes.addressof(self._memory)

    def devices(self) -> Iterator[tuple[int, MigDevice]]:
        """Yield the handle and the device of each current instance."""
        for board in self._boards:
            for place, profile in enumerate(board.identity.mig or ()):
                own = uuid.uuid5(uuid.NAMESPACE_OID, f"{board.identity.uuid}/{place}/{profile}")
                identity = MigIdentity(f"MIG-{own}", f"{board.identity.name} MIG {profile}")
                handle = self._base + 8 * (SLICES * board.identity.index + place)
                yield handle, MigDevice(identity, board.identity.index, profile)

    def calls(
        self, find: Callable[[int], Board | MigDevice], handle_of: Sequence[int]
    ) -> Iterator[tuple[str, Callable[..., int], Sequence[Any]]]:
        """Yield the calls that concern MIG alone: name, function, C types of all arguments.

        Args:
            find: returns the device of a handle, or ends the call with an error.
            handle_of: the boards' handles, by index.
        """

        def by_index(handle: int, place: int, out: int) -> int:
            index = find(handle).identity.index
            wanted = self._base + 8 * (SLICES * index + place)
            if place >= SLICES or all(wanted != known for known, _ in self.devices()):
                return NOT_FOUND
            return put(c_void_p, out, wanted)

        def parent(handle: int, out: int) -> int:
            device = find(handle)
            if not isinstance(device, MigDevice):
                return INVALID_ARGUMENT
            return put(c_void_p, out, handle_of[device.board])

        def is_instance(handle: int, out: int) -> int:
            return put(c_uint, out, int(isinstance(find(handle), MigDevice)))

        def attributes(handle: int, out: int) -> int:
            device = find(handle)
            if not isinstance(device, MigDevice):
                return NOT_SUPPORTED
            slices, memory_gb = parse_profile(device.profile)
            found = pynvml.c_nvmlDeviceAttributes.from_address(out)
            found.gpuInstanceSliceCount = found.computeInstanceSliceCount = slices
            found.memorySizeMB = memory_gb * 1024
            return SUCCESS

        def profile_info(handle: int, profile: int, out: int) -> int:
            if find(handle).identity.mig is None or profile != _WHOLE:
                return NOT_SUPPORTED
            pynvml.c_nvmlGpuInstanceProfileInfo_v2_t.from_address(out).sliceCount = SLICES
            return SUCCESS

        yield "nvmlDeviceGetMigDeviceHandleByIndex", by_index, (_P, c_uint, _P)
        yield "nvmlDeviceGetDeviceHandleFromMigDeviceHandle", parent, (_P, _P)
        yield "nvmlDeviceIsMigDeviceHandle", is_instance, (_P, _P)
        yield "nvmlDeviceGetAttributes_v2", attributes, (_P, _P)
        yield "nvmlDeviceGetGpuInstanceProfileInfoV", profile_info, (_P, c_uint, _P)


_WHOLE = pynvml.NVML_GPU_INSTANCE_PROFILE_7_SLICE
