"""Runs the unmodified `segments.cu` on the CPU: a page of C++ stands in for the CUDA runtime."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np

from tokenergy_transforms.batch import Batch, Result
from tokenergy_transforms.kernel_cuda import THREADS, source

_PROLOGUE = """
#include <cstring>
#define __device__
#define __global__
struct Index { unsigned x; };
static Index blockIdx, blockDim, threadIdx;
static double __ddiv_rn(double a, double b) { return a / b; }
static double __longlong_as_double(long long bits) {
    double value; std::memcpy(&value, &bits, sizeof value); return value;
}
"""

_EPILOGUE = """
extern "C" void launch(unsigned threads, void** a, long long count) {
    blockDim.x = threads;
    for (long long t = 0; t < (count + threads - 1) / threads * threads; ++t) {
        blockIdx.x = t / threads; threadIdx.x = t % threads;
        segments((const i64*)a[0], (const i32*)a[1], (const i64*)a[2], (const i64*)a[3],
            (const i64*)a[4], (const i32*)a[5], (const i64*)a[6], (const i64*)a[7],
            (const i32*)a[8], (const i64*)a[9], (const i64*)a[10], count,
            (i32*)a[11], (i64*)a[12], (i64*)a[13], (i64*)a[14], (i32*)a[15], (double*)a[16],
            (i32*)a[17], (i32*)a[18], (i32*)a[19], (i32*)a[20], (i64*)a[21], (i64*)a[22],
            (i64*)a[23], (i64*)a[24]);
    }
}
"""


def compiler() -> str | None:
    """Return the host's C++ compiler, if it has one."""
    return shutil.which("g++") or shutil.which("clang++")


class HostKernel:
    """`segments.cu`, compiled for the host with undefined behaviour trapped."""

    def __init__(self, folder: Path) -> None:
        code = folder / "segments_host.cpp"
        library = folder / "segments_host.so"
        code.write_text(_PROLOGUE + source() + _EPILOGUE)
        flags = ["-std=c++17", "-O2", "-ffp-contract=off", "-fsanitize=signed-integer-overflow"]
        trap = ["-fsanitize-undefined-trap-on-error", "-shared", "-fPIC"]
        subprocess.run([compiler() or "c++", *flags, *trap, code, "-o", library], check=True)
        self._library = ctypes.CDLL(str(library))

    def integrate(self, batch: Batch) -> Result:
        result = Result.empty(len(batch.seg_start_us))
        arrays = [np.ascontiguousarray(a) for a in batch.arrays()] + result.arrays()
        pointers = (ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays])
        count = ctypes.c_longlong(len(batch.seg_start_us))
        self._library.launch(ctypes.c_uint(THREADS), pointers, count)
        return result
