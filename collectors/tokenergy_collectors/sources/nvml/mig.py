"""MIG: the instances of a board, and which share of the board each one is.

In: the handle of a board. Out: its instances. NVML meters boards only: an instance has no power, no
energy counter and no utilization of its own, only a name, a share of the compute slices, and
processes.

How many compute slices a board has differs (7, or 4 on an A30) and is asked, never assumed. Where
the driver does not say, an instance's share of the memory is its share of the board.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pynvml

from tokenergy_collectors.lake.contract import WHOLE_PPM
from tokenergy_collectors.sources.nvml.ranges import pids_of, readable, within

Ask = Callable[..., Any]
"""Makes an NVML call with its arguments: `calls.optional`, which raises when the board is lost, or
`calls.or_none`, which never raises."""

_MEMORY_SLICES = 8
"""MIG divides the memory of a board into eighths, or into quarters."""

_WHOLE_BOARDS = (
    pynvml.NVML_GPU_INSTANCE_PROFILE_8_SLICE,
    pynvml.NVML_GPU_INSTANCE_PROFILE_7_SLICE,
    pynvml.NVML_GPU_INSTANCE_PROFILE_4_SLICE,
)
"""Profiles that may take a whole board, largest first: an A30 has 4 slices, others 7."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One MIG instance.

    Attributes:
        device_id: its UUID, `MIG-...`.
        name: as NVML gives it.
        share_ppm: its share of the board, parts per million; None if it is not known.
    """

    device_id: str
    name: str | None
    share_ppm: int | None
    handle: Any = field(compare=False, repr=False)

    def processes(self, ask: Ask) -> list[int] | None:
        """Return the PIDs of its compute processes, ascending; None if NVML does not list them."""
        return pids_of(ask(pynvml.nvmlDeviceGetComputeRunningProcesses, self.handle))


def instances_of(board: Any, ask: Ask) -> tuple[Instance, ...]:
    """Return the instances of a board (its NVML handle), in NVML's order; none without MIG."""
    mode = ask(pynvml.nvmlDeviceGetMigMode, board)
    if mode is None or mode[0] != pynvml.NVML_DEVICE_MIG_ENABLE:
        return ()
    places = range(within("instances", ask(pynvml.nvmlDeviceGetMaxMigDeviceCount, board)) or 0)
    handles = [
        handle
        for place in places
        if (handle := ask(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, board, place)) is not None
    ]
    slices = _slices(board, ask) if handles else None
    memory = ask(pynvml.nvmlDeviceGetMemoryInfo, board) if handles else None
    whole_mib = None if memory is None else within("memory_mib", int(memory.total) >> 20)
    found = [_instance(handle, slices, whole_mib, ask) for handle in handles]
    return tuple(instance for instance in found if instance is not None)


def _instance(handle: Any, slices: int | None, whole_mib: int | None, ask: Ask) -> Instance | None:
    device_id = readable(ask(pynvml.nvmlDeviceGetUUID, handle))
    if device_id is None:
        return None
    attributes = ask(pynvml.nvmlDeviceGetAttributes, handle)
    name = readable(ask(pynvml.nvmlDeviceGetName, handle))
    return Instance(device_id, name, _share_ppm(attributes, slices, whole_mib), handle)


def _share_ppm(attributes: Any, slices: int | None, whole_mib: int | None) -> int | None:
    """Return an instance's share by compute slices, or by memory where NVML gives none.

    None if neither is known, or if the instance would be larger than its board.
    """
    if attributes is None:
        return None
    part = within("slices", attributes.computeInstanceSliceCount)
    if part is not None and slices is not None:
        return (2 * part * WHOLE_PPM + slices) // (2 * slices) if part <= slices else None
    part_mib = within("memory_mib", attributes.memorySizeMB)
    if part_mib is None or whole_mib is None or part_mib > whole_mib:
        return None
    # The driver keeps some of the memory, so an instance shows a little less than its slices.
    eighths = max(1, round(_MEMORY_SLICES * part_mib / whole_mib))
    return eighths * WHOLE_PPM // _MEMORY_SLICES


def _slices(board: Any, ask: Ask) -> int | None:
    """Return how many compute slices a board has: those of the profile that takes all of it."""
    # Drivers before R515 have the older form of the call only.
    for call in (pynvml.nvmlDeviceGetGpuInstanceProfileInfo, _profile_info_v1):
        for profile in _WHOLE_BOARDS:
            found = ask(call, board, profile)
            slices = None if found is None else within("slices", found.sliceCount)
            if slices is not None:
                return slices
    return None


def _profile_info_v1(board: Any, profile: int) -> Any:
    """Return what the first version of `nvmlDeviceGetGpuInstanceProfileInfo` says.

    Raises:
        pynvml.NVMLError: the board has no such profile, or driver or binding no such call.
    """
    try:
        return pynvml.nvmlDeviceGetGpuInstanceProfileInfo(board, profile, version=1)
    except TypeError:  # an old binding, which knows of no versions
        raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND) from None
