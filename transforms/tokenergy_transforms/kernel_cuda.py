"""The segment kernel on a CUDA device: `segments.cu`, compiled by CuPy and launched once a batch.

In: a `Batch` in host memory. Out: a `Result` in host memory, equal to the CPU's to the bit.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from tokenergy_transforms.batch import Batch, Result

THREADS = 128
OPTIONS = ("--std=c++17", "--fmad=false")
"""How the source is compiled: no contraction of multiply and add, so that rounding is fixed."""


def source() -> str:
    """Return the CUDA source of the kernel."""
    return resources.files("tokenergy_transforms").joinpath("segments.cu").read_text("utf-8")


def compile_offline(architecture: str) -> bytes:
    """Compile the kernel for an architecture with no driver and no device.

    Args:
        architecture: a real one, for example `sm_90`.

    Returns:
        The binary (CUBIN).

    Raises:
        cupy.cuda.compiler.CompileException: with NVRTC's log, if it does not compile.
    """
    from cupy.cuda import compiler, nvrtc

    program = nvrtc.createProgram(source(), "segments.cu", (), ())
    try:
        options = (*OPTIONS, f"--gpu-architecture={architecture}")
        try:
            nvrtc.compileProgram(program, options)
        except nvrtc.NVRTCError:
            log = nvrtc.getProgramLog(program)
            raise compiler.CompileException(log, source(), "segments.cu", options) from None
        return bytes(nvrtc.getCUBIN(program))
    finally:
        nvrtc.destroyProgram(program)


@cache
def _kernel(_device: int) -> Any:
    import cupy

    return cupy.RawModule(code=source(), options=OPTIONS).get_function("segments")


def integrate(batch: Batch) -> Result:
    """Integrate all segments of a batch on the current CUDA device.

    Args:
        batch: readings and segments; see `Batch` for shapes and units.

    Returns:
        One value a segment; see `Result`.
    """
    import cupy

    count = len(batch.seg_start_us)
    result = Result.empty(count)
    if count == 0:
        return result
    inputs = [cupy.asarray(array) for array in batch.arrays()]
    outputs = [cupy.empty(count, array.dtype) for array in result.arrays()]
    blocks = (count + THREADS - 1) // THREADS
    kernel = _kernel(cupy.cuda.Device().id)
    kernel((blocks,), (THREADS,), (*inputs, np.int64(count), *outputs))
    for host, device in zip(result.arrays(), outputs, strict=True):
        device.get(out=host)
    return result
