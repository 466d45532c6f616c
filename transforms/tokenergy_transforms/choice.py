"""Which back end integrates: the CPU, or a CUDA device that is not itself being metered.

In: what the user asked for, and which boards the lake meters. Out: results, each with the back end
that computed it. A kernel on a metered GPU would draw power that the lake then books as somebody's
workload, so `auto` never picks one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection
from typing import Literal, NamedTuple, cast, get_args

from tokenergy_collectors.base.errors import UserError
from tokenergy_transforms.batch import Batch, Result

Device = Literal["auto", "cpu", "cuda"]
Backend = Literal["cpu", "cuda"]

START_S = 2.0
"""Time that CUDA takes to start: context, compiled kernels, first buffers. Until the CPU has been
busy for as long, trying CUDA could cost more than it gains."""

TRIALS = 2
"""Batches on CUDA before it is compared with the CPU; the first of them compiles."""

_LOG = logging.getLogger(__name__)
_ONE_AT_A_TIME = threading.Lock()


class Integrated(NamedTuple):
    """The result of a batch, and the back end that computed it."""

    result: Result
    backend: Backend


def cuda_unusable() -> str | None:
    """Return why CUDA cannot be used here, in one line; None if it can."""
    try:
        import cupy
    except ImportError:
        return "cupy is not installed (extra `gpu`, or `gpu12` for CUDA 12)"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"no usable CUDA driver or device: {error}"
    return None if count else "no CUDA device"


def board_of(ordinal: int) -> str | None:
    """Return the UUID of the board that a CUDA device is on; None if NVML does not know it.

    The two are matched by PCI address, for two reasons: a MIG instance then gives the board, whose
    power its kernels would change; and CuPy truncates CUDA's own UUID at its first zero byte.
    """
    import cupy

    from tokenergy_collectors.sources.nvml.session import uuid_at

    try:
        address = cupy.cuda.runtime.deviceGetPCIBusId(ordinal)
    except cupy.cuda.runtime.CUDARuntimeError:
        return None
    return uuid_at(address)


def parse_device(text: str) -> Device:
    """Return a device choice as given by the user.

    Raises:
        UserError: there is no such choice.
    """
    for device in get_args(Device):
        if device == text:
            return cast(Device, device)
    raise UserError(f"--device {text!r}: expected auto, cpu or cuda")


def unmetered(metered: Collection[str]) -> list[int]:
    """Return the CUDA devices, by ordinal, that a lake does not meter.

    Args:
        metered: device_ids that the lake meters; if there are any, a CUDA device whose board NVML
            does not know counts as metered.
    """
    import cupy

    count = cupy.cuda.runtime.getDeviceCount()
    if not metered:
        return list(range(count))
    boards = [board_of(ordinal) for ordinal in range(count)]
    return [k for k, board in enumerate(boards) if board is not None and board not in metered]


def cuda_devices(metered: Collection[str]) -> list[int]:
    """Return the CUDA devices for `--device cuda`: unmetered ones, or all if there are no others.

    Raises:
        UserError: CUDA cannot be used here.
    """
    why = cuda_unusable()
    if why is not None:
        raise UserError(f"--device cuda: {why}")
    return unmetered(metered) or unmetered(())


class Integrator:
    """Integrates batches on the chosen back end; `auto` measures which one is faster.

    Both give the same bits, so `auto` may switch: it begins on the CPU, tries CUDA once the CPU has
    been busy for as long as CUDA takes to start, times both, and stays with the faster one. It
    never takes a GPU that the lake meters.

    Args:
        device: what the user asked for.
        metered: device_ids that the lake meters.
        memory_bytes: limit of CUDA's memory on the device and of its page-locked memory.
        workers: threads that call it at once; each counts as one core.

    Raises:
        UserError: CUDA was asked for and cannot be used.
    """

    def __init__(
        self,
        device: Device,
        metered: Collection[str],
        memory_bytes: int | None = None,
        workers: int = 1,
    ) -> None:
        self._device, self._memory_bytes, self._workers = device, memory_bytes, workers
        self._lock = threading.Lock()
        self._cpu_s = 0.0
        self._cpu_readings = 0
        self._trials = 0
        self._metered = metered
        # NVML is asked once a run, not at every batch: boards do not change places meanwhile.
        self._ordinals = cuda_devices(metered) if device == "cuda" else None

    def __call__(self, batch: Batch) -> Integrated:
        """Integrate one batch; may be called by several threads."""
        if self._device == "cuda":
            return self._on_cuda(batch, self._ordinals or [])
        if self._device == "auto":
            with self._lock:
                cuda = self._may_try()
            if cuda:
                return self._try_cuda(batch, self._ordinals or [])
        return self._on_cpu(batch)

    def _may_try(self) -> bool:
        """Say whether to use CUDA now; look for a GPU once, after the CPU was busy for a while."""
        if self._trials < 0 or self._cpu_s < START_S:
            return False
        if self._ordinals is None:
            self._ordinals = self._look_for_gpus()
            if not self._ordinals:
                self._trials = -1
        return self._trials >= 0

    def _look_for_gpus(self) -> list[int]:
        why = cuda_unusable()
        if why is not None:
            return []
        free = unmetered(self._metered)
        if not free:
            _LOG.warning(
                "--device auto: this lake meters every GPU here, or NVML does not know the GPU; "
                "using the CPU. To use such a GPU anyway, pass --device cuda"
            )
        return free

    def _on_cpu(self, batch: Batch) -> Integrated:
        from tokenergy_transforms import kernel_cpu

        begin = time.perf_counter()
        result = kernel_cpu.integrate(batch, parallel=self._workers == 1)
        with self._lock:
            self._cpu_s += time.perf_counter() - begin
            self._cpu_readings += len(batch.ts_us)
        return Integrated(result, "cpu")

    def _on_cuda(self, batch: Batch, ordinals: list[int]) -> Integrated:
        from tokenergy_transforms import kernel_cuda

        with _ONE_AT_A_TIME:
            result = kernel_cuda.integrate(
                batch, memory_bytes=self._memory_bytes, ordinals=ordinals
            )
        return Integrated(result, "cuda")

    def _try_cuda(self, batch: Batch, ordinals: list[int]) -> Integrated:
        """Integrate on CUDA and time it; the first call, which compiles, does not count."""
        begin = time.perf_counter()
        try:
            integrated = self._on_cuda(batch, ordinals)
        except (RuntimeError, MemoryError) as error:
            _LOG.warning("--device auto: CUDA failed, continuing on the CPU: %s", error)
            self._trials = -1
            return self._on_cpu(batch)
        spent_s = time.perf_counter() - begin
        with self._lock:
            self._trials += 1
            if self._trials >= TRIALS:
                cpu_rate = self._workers * self._cpu_readings / self._cpu_s
                if len(batch.ts_us) / spent_s < cpu_rate:
                    self._trials = -1
        return integrated
