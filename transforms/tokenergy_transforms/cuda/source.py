"""The CUDA source as one text, and its compilers.

In: `segments.cu`, its headers in this folder. Out: one source without includes, as CuPy's disk
cache knows a kernel by its text and would not see that a header changed.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

OPTIONS = ("--std=c++17", "--fmad=false")
"""How the source is compiled: no contraction of multiply and add, so that rounding is fixed."""

_INCLUDE = re.compile(r'^#include "([\w./]+)"$', re.MULTILINE)


@cache
def source() -> str:
    """Return the CUDA source of the kernels, headers in the place of their includes."""
    folder = resources.files("tokenergy_transforms")

    def text(name: str) -> str:
        return _INCLUDE.sub(lambda m: text(m[1]), folder.joinpath(name).read_text("utf-8"))

    return text("segments.cu")


def compile_offline(architecture: str, extra: tuple[str, ...] = ()) -> tuple[bytes, str]:
    """Compile the kernels for an architecture with no driver and no device.

    Args:
        architecture: a real one, for example `sm_90`.
        extra: further options for the compiler.

    Returns:
        The binary (CUBIN) and the compiler's log.

    Raises:
        cupy.cuda.compiler.CompileException: with NVRTC's log, if it does not compile.
    """
    from cupy.cuda import compiler, nvrtc

    program = nvrtc.createProgram(source(), "segments.cu", (), ())
    try:
        options = (*OPTIONS, f"--gpu-architecture={architecture}", *extra)
        try:
            nvrtc.compileProgram(program, options)
        except nvrtc.NVRTCError:
            log = nvrtc.getProgramLog(program)
            raise compiler.CompileException(log, source(), "segments.cu", options) from None
        return bytes(nvrtc.getCUBIN(program)), str(nvrtc.getProgramLog(program))
    finally:
        nvrtc.destroyProgram(program)
