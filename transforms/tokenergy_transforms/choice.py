"""Which back end integrates: the CPU, or a CUDA device that is not itself being metered.

A kernel on a metered GPU would become part of the measurement, so `auto` never picks one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection
from typing import Literal, cast, get_args

from tokenergy_collectors.base.errors import UserError
from tokenergy_transforms.batch import Batch, Result

Device = Literal["auto", "cpu", "cuda"]

START_S = 2.0
"""Time that CUDA takes to start: context, compiled kernels, first buffers. As long as the CPU has
been busy for less, trying CUDA could cost more than it gains."""

TRIALS = 2
"""Batches on CUDA, the first of which compiles, before it is compared with the CPU."""

_LOG = logging.getLogger(__name__)
_ONE_AT_A_TIME = threading.Lock()


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
    """Return the UUID of the board that a CUDA device is on; None if NVML does not tell.

    They are brought together by the PCI address. A MIG instance is on its board, whose power its
    kernels would move; and CuPy cuts the UUID that CUDA tells off at its first byte of zero.
    """
    import cupy
    import pynvml

    try:
        address = cupy.cuda.runtime.deviceGetPCIBusId(ordinal)
        pynvml.nvmlInit()
    except (cupy.cuda.runtime.CUDARuntimeError, pynvml.NVMLError):
        return None
    try:
        return str(pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByPciBusId(address)))
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()


def parse_device(text: str) -> Device:
    """Return a device choice as given by the user.

    Raises:
        UserError: it is none of them.
    """
    for device in get_args(Device):
        if device == text:
            return cast(Device, device)
    raise UserError(f"--device {text!r}: expected auto, cpu or cuda")


def unmetered(metered: Collection[str]) -> list[int]:
    """Return the CUDA devices, by ordinal, that a lake does not meter.

    Args:
        metered: device_ids that the lake meters; if there are any, a CUDA device that cannot be
            told from them counts as metered.
    """
    import cupy

    count = cupy.cuda.runtime.getDeviceCount()
    if not metered:
        return list(range(count))
    boards = [board_of(ordinal) for ordinal in range(count)]
    return [k for k, board in enumerate(boards) if board is not None and board not in metered]


class Integrator:
    """Integrates batches on the back end that was asked for; `auto` finds out which is quicker.

    Both give the same bits, so `auto` may change horses: it begins on the CPU, tries CUDA once the
    CPU has been at it for as long as CUDA takes to start, times both, and stays with the quicker.
    It never takes a GPU that the lake meters: a kernel there would become part of the measurement.

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
        self._cpu_s = self._cpu_rate = 0.0
        self._cpu_readings = 0
        self._trials = 0
        self._ordinals: list[int] | None = None
        self._metered = metered
        self.used: set[str] = set()
        if device == "cuda":
            why = cuda_unusable()
            if why is not None:
                raise UserError(f"--device cuda: {why}")

    def __call__(self, batch: Batch) -> Result:
        """Integrate one batch; may be called by several threads."""
        if self._device == "cuda":  # told to: if there is no other, one that the lake meters
            return self._on_cuda(batch, unmetered(self._metered) or unmetered(()))
        if self._device == "auto":
            with self._lock:
                cuda = self._may_try()
            if cuda:
                return self._try_cuda(batch, self._ordinals or [])
        return self._on_cpu(batch)

    def _may_try(self) -> bool:
        """Tell whether it is CUDA's turn; look for a GPU once, when the CPU has been long at it."""
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
                "--device auto: every GPU here is metered by this lake, or NVML does not tell "
                "which it is, so the CPU integrates; --device cuda would take one all the same"
            )
        return free

    def _on_cpu(self, batch: Batch) -> Result:
        from tokenergy_transforms import kernel_cpu

        begin = time.perf_counter()
        result = kernel_cpu.integrate(batch, parallel=self._workers == 1)
        with self._lock:
            self._cpu_s += time.perf_counter() - begin
            self._cpu_readings += len(batch.ts_us)
            self.used.add("cpu")
        return result

    def _on_cuda(self, batch: Batch, ordinals: list[int]) -> Result:
        from tokenergy_transforms import kernel_cuda

        with _ONE_AT_A_TIME:
            self.used.add("cuda")
            return kernel_cuda.integrate(batch, memory_bytes=self._memory_bytes, ordinals=ordinals)

    def _try_cuda(self, batch: Batch, ordinals: list[int]) -> Result:
        """Integrate on CUDA and time it; the first call, which compiles, is not counted."""
        begin = time.perf_counter()
        try:
            result = self._on_cuda(batch, ordinals)
        except (RuntimeError, MemoryError) as error:
            _LOG.warning("--device auto: CUDA failed, the CPU goes on: %s", error)
            self._trials = -1
            return self._on_cpu(batch)
        spent_s = time.perf_counter() - begin
        with self._lock:
            self._trials += 1
            if self._trials >= TRIALS:
                cpu_rate = self._workers * self._cpu_readings / self._cpu_s
                if len(batch.ts_us) / spent_s < cpu_rate:
                    self._trials = -1
        return result
