"""The C++ twin: compiled on this machine for this machine, called with the arrays of a `Batch`."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tokenergy_transforms.batch import Batch, Result

Integrate = Callable[[Batch], Result]

SOURCE = Path(__file__).with_name("twin.cpp")
FLAGS = (
    "-std=c++17",
    "-O3",
    "-march=native",
    "-mprefer-vector-width=512",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fopenmp",
    "-Wno-psabi",
    "-shared",
    "-fPIC",
)


def compiler() -> str | None:
    """Return the C++ compiler, `$CXX` or g++ or clang++; None if none is installed."""
    names = (os.environ.get("CXX", ""), "g++", "clang++")
    return next((found for name in names if name and (found := shutil.which(name))), None)


def build(folder: Path) -> Integrate:
    """Compile the twin into a folder and return its `integrate` function.

    Raises:
        RuntimeError: there is no compiler, or it failed; the message is the compiler's.
    """
    command = compiler()
    if command is None:
        raise RuntimeError("no C++ compiler found; install g++ or set CXX")
    library = folder / "twin.so"
    words = [command, *FLAGS, str(SOURCE), "-o", str(library)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command} cannot compile {SOURCE.name}: {done.stderr[-2000:]}")
    function = ctypes.CDLL(str(library)).integrate

    def integrate(batch: Batch) -> Result:
        result = Result.empty(len(batch.seg_start_us))
        inputs = [np.ascontiguousarray(array) for array in batch.arrays()]
        pointers = [
            (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
            for arrays in (inputs, result.arrays())
        ]
        sizes = (len(batch.seg_start_us), len(batch.ts_us))
        function(pointers[0], pointers[1], *(ctypes.c_int64(size) for size in sizes))
        return result

    return integrate
