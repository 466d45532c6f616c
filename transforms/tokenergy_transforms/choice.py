"""Which back end integrates: the CPU, or a CUDA device that is not itself being metered.

A kernel on a metered GPU would become part of the measurement, so `auto` never picks one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal, cast, get_args

from tokenergy_collectors.errors import UserError
from tokenergy_transforms.batch import Batch, Result

Device = Literal["auto", "cpu", "cuda"]

BREAK_EVEN_READINGS = 100_000_000
"""Readings in one batch from which `auto` takes CUDA. Derived from transfer and start-up costs."""


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


def cuda_uuid() -> str:
    """Return the UUID of the current CUDA device as NVML writes it."""
    import uuid

    import cupy

    raw = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["uuid"]
    return f"GPU-{uuid.UUID(bytes=bytes(raw))}"


def parse_device(text: str) -> Device:
    """Return a device choice as given by the user.

    Raises:
        UserError: it is none of them.
    """
    for device in get_args(Device):
        if device == text:
            return cast(Device, device)
    raise UserError(f"--device {text!r}: expected auto, cpu or cuda")


def backend(
    device: Device, readings: int, metered: Collection[str]
) -> tuple[str, Callable[[Batch], Result]]:
    """Return the name of the chosen back end and its `integrate` function.

    Args:
        device: what the user asked for.
        readings: number of readings in the batch.
        metered: device_ids that the lake meters.

    Raises:
        UserError: CUDA was asked for and cannot be used.
    """
    if device == "cuda":
        why = cuda_unusable()
        if why is not None:
            raise UserError(f"--device cuda: {why}")
        use_cuda = True
    elif device == "auto":
        use_cuda = (
            readings >= BREAK_EVEN_READINGS
            and cuda_unusable() is None
            and cuda_uuid() not in metered
        )
    else:
        use_cuda = False
    if use_cuda:
        from tokenergy_transforms import kernel_cuda

        return "cuda", kernel_cuda.integrate
    from tokenergy_transforms import kernel_cpu

    return "cpu", kernel_cpu.integrate
