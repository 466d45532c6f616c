"""Which processes are on which board, as NVML lists them.

In: the boards. Out: process numbers by device; None for a device that does not tell. A process with
an MPS context or a compute context counts; one that draws, only if asked for. On a board with MIG,
each instance is asked; the board's own list, which only root gets, adds what no instance has.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pynvml

from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.sources.nvml.calls import or_none
from tokenergy_collectors.sources.nvml.ranges import within

_NO_INSTANCE = 0xFFFF_FFFF

Pids = dict[str, set[int] | None]
"""Process numbers by device id: of a board those that are on none of its instances."""


def pids_by_device(boards: Iterable[Board], *, graphics: bool) -> Pids:
    """Return the processes on each board and MIG instance; asks NVML."""
    found: Pids = {}
    for board in boards:
        if board.handle is None or board.failure is not None:
            found |= dict.fromkeys([board.device_id, *(i.device_id for i in board.instances)])
            continue
        whole = _listed(board.handle, graphics=graphics)
        parts = {i.device_id: _listed(i.handle, graphics=graphics) for i in board.instances}
        own = None if whole is None else {one.pid for one in whole}
        numbers = _numbers(board)
        for device_id, listed in parts.items():
            told = {p.pid for p in whole or () if numbers.get(_instance_of(p)) == device_id}
            pids = None if listed is None and not told else {p.pid for p in listed or ()} | told
            found[device_id] = _valid(pids)
            if own is not None and pids is not None:
                own -= pids
        # A board with instances has no process outside them: without its own list none is missed.
        found[board.device_id] = _valid(own if own is not None or not parts else set())
    return found


def _listed(handle: Any, *, graphics: bool) -> list[Any] | None:
    """Return NVML's entries for a device; None if it lists none of the kinds."""
    calls = [
        pynvml.nvmlDeviceGetComputeRunningProcesses,
        pynvml.nvmlDeviceGetMPSComputeRunningProcesses,
    ]
    if graphics:
        calls.append(pynvml.nvmlDeviceGetGraphicsRunningProcesses)
    answers = [or_none(call, handle) for call in calls]
    # MPS has its own list on some drivers only; without the first list nothing is known.
    if answers[0] is None and not (graphics and answers[-1] is not None):
        return None
    return [one for answer in answers for one in answer or ()]


def _numbers(board: Board) -> dict[tuple[int, int], str]:
    """Return the instances of a board by their GPU and compute instance ids, where NVML tells."""
    found: dict[tuple[int, int], str] = {}
    for instance in board.instances:
        gpu = or_none(pynvml.nvmlDeviceGetGpuInstanceId, instance.handle)
        compute = or_none(pynvml.nvmlDeviceGetComputeInstanceId, instance.handle)
        if gpu is not None and compute is not None:
            found[gpu, compute] = instance.device_id
    return found


def _instance_of(entry: Any) -> tuple[int, int]:
    gpu = getattr(entry, "gpuInstanceId", None)
    compute = getattr(entry, "computeInstanceId", None)
    return (
        _NO_INSTANCE if gpu is None else gpu,
        _NO_INSTANCE if compute is None else compute,
    )


def _valid(pids: set[int] | None) -> set[int] | None:
    """Leave out impossible numbers; a list of such alone says that something runs, not what."""
    if pids is None:
        return None
    known = {pid for pid in pids if within("pid", pid) is not None}
    return known if known or not pids else None
