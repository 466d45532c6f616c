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
_WHOLE = pynvml.NVML_GPU_INSTANCE_PROFILE_7_SLICE
"""The profile of an instance that takes the whole board."""


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
    """An instance where NVML's calls expect a board: whatever it lacks is NOT_SUPPORTED.

    `number` is the id of its GPU instance on the board; it has one compute instance, 0.
    """

    identity: MigIdentity
    board: int
    profile: str
    parent: Board
    number: int

    def processes(self, at_us: int) -> list[Process]:
        """Return the compute processes on the instance: guests of its board."""
        del at_us
        return [one for one in self.parent.guests if one.instance == self.number]

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
                yield handle, MigDevice(identity, board.identity.index, profile, board, place + 1)

    def handle(self, index: int, place: int) -> int | None:
        """Return the handle of the instance at a place on a board; None if there is none."""
        wanted = self._base + 8 * (SLICES * index + place)
        exists = place < SLICES and any(wanted == handle for handle, _ in self.devices())
        return wanted if exists else None


class MigCalls:
    """The NVML calls that concern MIG alone.

    Args:
        instances: the instances of the node.
        find: returns the device of a handle, or ends the call with an error.
        handle_of: the boards' handles, by index.
    """

    def __init__(
        self,
        instances: MigInstances,
        find: Callable[[int], Board | MigDevice],
        handle_of: Sequence[int],
    ) -> None:
        self._instances = instances
        self._find = find
        self._handle_of = handle_of

    def table(self) -> list[tuple[str, Callable[..., int], Sequence[Any]]]:
        """Return the calls: name, function, C types of all arguments."""
        return [
            ("nvmlDeviceGetMigDeviceHandleByIndex", self._by_index, (_P, c_uint, _P)),
            ("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", self._parent, (_P, _P)),
            ("nvmlDeviceIsMigDeviceHandle", self._is_instance, (_P, _P)),
            ("nvmlDeviceGetGpuInstanceId", self._gpu_instance, (_P, _P)),
            ("nvmlDeviceGetComputeInstanceId", self._compute_instance, (_P, _P)),
            ("nvmlDeviceGetAttributes_v2", self._attributes, (_P, _P)),
            ("nvmlDeviceGetGpuInstanceProfileInfo", self._profile_info_v1, (_P, c_uint, _P)),
            ("nvmlDeviceGetGpuInstanceProfileInfoV", self._profile_info, (_P, c_uint, _P)),
        ]

    def _by_index(self, handle: int, place: int, out: int) -> int:
        found = self._instances.handle(self._find(handle).identity.index, place)
        return NOT_FOUND if found is None else put(c_void_p, out, found)

    def _parent(self, handle: int, out: int) -> int:
        device = self._find(handle)
        if not isinstance(device, MigDevice):
            return INVALID_ARGUMENT
        return put(c_void_p, out, self._handle_of[device.board])

    def _is_instance(self, handle: int, out: int) -> int:
        return put(c_uint, out, int(isinstance(self._find(handle), MigDevice)))

    def _gpu_instance(self, handle: int, out: int) -> int:
        device = self._find(handle)
        return put(c_uint, out, device.number) if isinstance(device, MigDevice) else NOT_SUPPORTED

    def _compute_instance(self, handle: int, out: int) -> int:
        is_instance = isinstance(self._find(handle), MigDevice)
        return put(c_uint, out, 0) if is_instance else NOT_SUPPORTED

    def _attributes(self, handle: int, out: int) -> int:
        device = self._find(handle)
        if not isinstance(device, MigDevice):
            return NOT_SUPPORTED
        slices, memory_gb = parse_profile(device.profile)
        found = pynvml.c_nvmlDeviceAttributes.from_address(out)
        found.gpuInstanceSliceCount = found.computeInstanceSliceCount = slices
        found.memorySizeMB = memory_gb * 1024
        return SUCCESS

    def _profile_info(self, handle: int, profile: int, out: int) -> int:
        info = pynvml.c_nvmlGpuInstanceProfileInfo_v2_t.from_address(out)
        return self._give_profile(handle, profile, info)

    def _profile_info_v1(self, handle: int, profile: int, out: int) -> int:
        info = pynvml.c_nvmlGpuInstanceProfileInfo_t.from_address(out)
        return self._give_profile(handle, profile, info)

    def _give_profile(self, handle: int, profile: int, info: Any) -> int:
        if self._find(handle).identity.mig is None or profile != _WHOLE:
            return NOT_SUPPORTED
        info.sliceCount = SLICES
        return SUCCESS
