"""`segments.cu` compiles for every architecture with the compilers of CUDA 13 and of CUDA 12.

Neither needs a driver. The compiler's log says how many registers each kernel spills.
"""

from __future__ import annotations

import ctypes
import re
from importlib import metadata, resources

import pytest

from tests.support.long import pairs
from tokenergy_transforms.cuda.lanes import LANES
from tokenergy_transforms.cuda.source import OPTIONS, source

ARCHITECTURES = ["sm_80", "sm_90", "sm_100", "sm_120"]
_VERBOSE = ("--ptxas-options=-v",)
_USE = re.compile(
    r"Compiling entry function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores",
    re.DOTALL,
)


def assert_kernels_stay_in_registers(cubin: bytes, log: str) -> None:
    assert cubin[:4] == b"\x7fELF"
    use = {name: (int(stack), int(spills)) for name, stack, spills in _USE.findall(log)}
    assert use == {lane.kernel: (0, 0) for lane in LANES}, log


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_compiles_with_cuda_13(architecture: str) -> None:
    assert_kernels_stay_in_registers(*_compile_with_cuda_13(architecture))


@pytest.mark.parametrize("architecture", pairs(ARCHITECTURES, always=1))
def test_compiles_with_cuda_12(architecture: str) -> None:
    assert_kernels_stay_in_registers(*_compile_with_cuda_12(architecture))


def test_the_source_has_no_includes_left() -> None:
    """CuPy's disk cache knows a kernel by its text: nothing may be read from elsewhere."""
    assert "#include" not in source()
    headers = [
        f for f in resources.files("tokenergy_transforms.cuda").iterdir() if f.name[-4:] == ".cuh"
    ]
    assert len(headers) == 4
    assert all(header.read_text("utf-8") in source() for header in headers)


def _compile_with_cuda_13(architecture: str) -> tuple[bytes, str]:
    """Return the binary (CUBIN) and the log of the compiler that CuPy uses."""
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(source(), "segments.cu", (), ())
    try:
        options = (*OPTIONS, f"--gpu-architecture={architecture}", *_VERBOSE)
        try:
            nvrtc.compileProgram(program, options)
        except nvrtc.NVRTCError:
            pytest.fail(nvrtc.getProgramLog(program))
        return bytes(nvrtc.getCUBIN(program)), str(nvrtc.getProgramLog(program))
    finally:
        nvrtc.destroyProgram(program)


def _compile_with_cuda_12(architecture: str) -> tuple[bytes, str]:
    try:
        files = metadata.files("nvidia-cuda-nvrtc-cu12") or []
    except metadata.PackageNotFoundError:
        pytest.skip("the compiler of CUDA 12 is not installed (nvidia-cuda-nvrtc-cu12)")
    library = next(str(f.locate()) for f in files if f.name == "libnvrtc.so.12")
    nvrtc = ctypes.CDLL(library)
    program = ctypes.c_void_p()
    code = source().encode()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), code, b"segments.cu", 0, None, None) == 0
    try:
        options = [
            option.encode()
            for option in (*OPTIONS, *_VERBOSE, f"--gpu-architecture={architecture}")
        ]
        status = nvrtc.nvrtcCompileProgram(
            program, len(options), (ctypes.c_char_p * len(options))(*options)
        )
        log = _text_of(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program).decode()
        assert status == 0, log
        return _text_of(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program), log
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _text_of(size_of: ctypes._CFuncPtr, get: ctypes._CFuncPtr, program: ctypes.c_void_p) -> bytes:
    size = ctypes.c_size_t()
    assert size_of(program, ctypes.byref(size)) == 0
    buffer = ctypes.create_string_buffer(size.value)
    assert get(program, buffer) == 0
    return buffer.raw
