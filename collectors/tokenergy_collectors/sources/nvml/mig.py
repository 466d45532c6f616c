"""MIG: the instances of a board, and which share of the board each one is.

In: the handle of a board. Out: its instances. NVML meters boards only: an instance has no power, no
energy counter and no utilization of its own, only a name, a share of the compute slices, and
processes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pynvml

from tokenergy_collectors.lake.contract import WHOLE_PPM

Ask = Callable[..., Any]
"""Makes an NVML call with its arguments: `calls.optional`, which raises when the board is lost, or
`calls.or_none`, which never raises."""

_DEFAULT_SLICES = 7
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
        found = ask(pynvml.nvmlDeviceGetComputeRunningProcesses, self.handle)
        return None if found is None else sorted(int(process.pid) for process in found)


def instances_of(board: Any, ask: Ask) -> tuple[Instance, ...]:
    """Return the instances of a board (its NVML handle), in NVML's order; none without MIG."""
    mode = ask(pynvml.nvmlDeviceGetMigMode, board)
    if mode is None or mode[0] != pynvml.NVML_DEVICE_MIG_ENABLE:
        return ()
    places = range(ask(pynvml.nvmlDeviceGetMaxMigDeviceCount, board) or 0)
    handles = [
        handle
        for place in places
        if (handle := ask(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, board, place)) is not None
    ]
    slices = _slices(board, ask) if handles else _DEFAULT_SLICES
    memory = ask(pynvml.nvmlDeviceGetMemoryInfo, board) if handles else None
    whole_mib = 0 if memory is None else int(memory.total) >> 20
    found = [_instance(handle, slices, whole_mib, ask) for handle in handles]
    return tuple(instance for instance in found if instance is not None)


def _instance(handle: Any, slices: int, whole_mib: int, ask: Ask) -> Instance | None:
    device_id = ask(pynvml.nvmlDeviceGetUUID, handle)
    if device_id is None:
        return None
    attributes = ask(pynvml.nvmlDeviceGetAttributes, handle)
    name = ask(pynvml.nvmlDeviceGetName, handle)
    return Instance(device_id, name, _share_ppm(attributes, slices, whole_mib), handle)


def _share_ppm(attributes: Any, slices: int, whole_mib: int) -> int | None:
    """Return an instance's share by compute slices, or by memory where NVML gives none."""
    if attributes is None:
        return None
    part, whole = int(attributes.computeInstanceSliceCount), slices
    if not part:
        part, whole = int(attributes.memorySizeMB), whole_mib
    if part <= 0 or whole <= 0:
        return None
    return min(WHOLE_PPM, (2 * part * WHOLE_PPM + whole) // (2 * whole))


def _slices(board: Any, ask: Ask) -> int:
    """Return how many compute slices a board has: those of the profile that takes all of it."""
    for profile in _WHOLE_BOARDS:
        found = ask(pynvml.nvmlDeviceGetGpuInstanceProfileInfo, board, profile)
        if found is not None and found.sliceCount:
            return int(found.sliceCount)
    return _DEFAULT_SLICES
