"""Runs the unmodified `segments.cu` on the CPU, with `cuda_on_host.hpp` as the CUDA runtime."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tokenergy_transforms.batch import Batch, Result
from tokenergy_transforms.cuda.lanes import Lane, launches
from tokenergy_transforms.cuda.source import source

LIBRARY = "kernels.so"
_RUNTIME = Path(__file__).with_name("cuda_on_host.hpp")
_KERNEL = re.compile(r'extern "C" __global__ void (?:__launch_bounds__\([^)]*\) )?(\w+)\(')

FAST = ("-O2", "-fsanitize=signed-integer-overflow", "-fsanitize-undefined-trap-on-error")
"""Undefined arithmetic ends the process."""

SANITIZED = (
    "-O0",  # the small batches run for less time than the compiler takes to optimize
    "-g",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-DFIBER_CONTEXT",
)
"""An access outside an array ends the process with a report; needs libasan to be preloaded."""


def compiler() -> str | None:
    """Return the host's C++ compiler, if it has one."""
    return shutil.which("g++") or shutil.which("clang++")


def build(folder: Path, code: str | None = None, flags: Sequence[str] = FAST) -> Path:
    """Compile a CUDA source for the host, by default ours, and return the library's path."""
    code = source() if code is None else code
    calls = "".join(
        f'if (!std::strcmp(name, "{name}")) '
        f"host::invoke = [](void** a) {{ host::call({name}, a); }};\n"
        for name in _KERNEL.findall(code)
    )
    launch = (
        'extern "C" const char* launch(const char* name, unsigned grid, unsigned block, void** a, '
        f"int backwards) {{\nhost::invoke = nullptr;\n{calls}"
        'if (!host::invoke) return "no such kernel";\n'
        "host::arguments = a;\nreturn host::launch(grid, block, backwards);\n}\n"
    )
    file, library = folder / "kernels.cpp", folder / LIBRARY
    file.write_text(f"{_RUNTIME.read_text()}\n{code}\n{launch}")
    fixed = ["-std=c++17", "-ffp-contract=off", "-w", "-shared", "-fPIC"]
    subprocess.run([compiler() or "c++", *fixed, *flags, file, "-o", library], check=True)
    return library


class HostKernels:
    """The kernels of a library made by `build`."""

    def __init__(self, library: Path) -> None:
        self._launch = ctypes.CDLL(str(library)).launch
        self._launch.restype = ctypes.c_char_p

    def launch(
        self,
        name: str,
        blocks: int,
        threads: int,
        arguments: Sequence[np.ndarray | np.generic],
        *,
        backwards: bool = False,
    ) -> None:
        """Run a kernel; arrays are passed as pointers, NumPy scalars as values.

        Raises:
            RuntimeError: the kernel misused a barrier or a warp operation.
        """
        values = [
            np.array(a.ctypes.data, np.uint64) if isinstance(a, np.ndarray) else np.array(a)
            for a in arguments
        ]
        pointers = (ctypes.c_void_p * len(values))(*[v.ctypes.data for v in values])
        failure = self._launch(name.encode(), blocks, threads, pointers, int(backwards))
        if failure is not None:
            raise RuntimeError(f"{name}: {failure.decode()}")

    def integrate(
        self, batch: Batch, lane: Lane | None = None, *, backwards: bool = False
    ) -> Result:
        """Integrate a batch in the lanes that fit, or all of it in one lane."""
        empty = Result.empty(len(batch.seg_start_us))
        # One allocation for each array: a write past its end does not land in the next array.
        result = Result(*(np.empty_like(a) for a in empty.arrays()))
        for launch in launches(batch.offsets, batch.seg_device, lane):
            part = slice(launch.begin, launch.end)
            arrays = [np.ascontiguousarray(a) for a in batch.arrays()]
            inputs = [*arrays[:8], *(a[part] for a in arrays[8:])]
            count = np.int64(launch.end - launch.begin)
            outputs = [a[part] for a in result.arrays()]
            self.launch(
                launch.lane.kernel,
                launch.blocks,
                launch.lane.threads,
                [*inputs, count, *outputs],
                backwards=backwards,
            )
        return result
