"""The CUDA source under the address sanitizer: no lane reads or writes outside an array.

It replaces compute-sanitizer where there is no device. Each check is also run on a source that is
broken on purpose, to see that it catches the break.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks.random_batch import random_batch

from tests.support.host_shim import SANITIZED, HostKernels, build, compiler
from tokenergy_transforms.cuda.source import source

BREAKS = {
    "global memory": ("if (hi > lo && hi < d.last)", "if (hi > lo && hi <= d.last)"),
    "shared memory": ("tile_p[i - tile.begin] =", "tile_p[i - tile.begin + TILE - 50] ="),
    "a histogram": ("m.bins[q * BINS + bin]", "m.bins[3 * BINS + q * BINS + bin]"),
}


def run_sanitized(folder: Path, code: str | None = None) -> subprocess.CompletedProcess[str]:
    if compiler() is None:
        pytest.skip("no C++ compiler: the CUDA source cannot run on the host")
    found = subprocess.run(
        [str(compiler()), "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    )
    libasan = found.stdout.strip()
    if not Path(libasan).is_absolute():
        pytest.skip("no address sanitizer beside the C++ compiler")
    # Many readings in few segments, few in many, an empty device and one with a single reading.
    batch = random_batch(4, devices=4, readings=1200, period_us=1_000, window_us=300_000, jobs=30)
    np.savez(folder / "batch.npz", *batch.arrays())
    library = build(folder, code, SANITIZED)
    return subprocess.run(
        [sys.executable, "-m", "tests.support.sanitized_run", library, folder / "batch.npz"],
        env={**os.environ, "LD_PRELOAD": libasan, "ASAN_OPTIONS": "detect_leaks=0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_no_lane_leaves_its_arrays(tmp_path: Path) -> None:
    done = run_sanitized(tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("what", BREAKS)
def test_the_sanitizer_sees_an_access_outside(tmp_path: Path, what: str) -> None:
    right, wrong = BREAKS[what]
    assert source().count(right) == 1
    done = run_sanitized(tmp_path, source().replace(right, wrong))
    assert done.returncode not in (0, 3)
    assert "overflow" in done.stderr or "out of bounds" in done.stderr, done.stderr[-3000:]


KERNELS = """
extern "C" __global__ void reversed(int* out) {
    __shared__ int kept[64];
    kept[threadIdx.x] = threadIdx.x;
    %s
    out[threadIdx.x] = kept[63 - threadIdx.x];
}
extern "C" __global__ void shuffled(int* out) {
    const unsigned mask = threadIdx.x %% 32 < 16 ? 0x0000ffffu : 0xffff0000u;
    out[threadIdx.x] = __shfl_xor_sync(mask, (int)threadIdx.x, %s, 32);
}
"""


def test_threads_meet(tmp_path: Path) -> None:
    kernels = HostKernels(build(tmp_path, KERNELS % ("__syncthreads();", 1)))
    for backwards in (False, True):
        out = np.empty(64, np.int32)
        kernels.launch("reversed", 1, 64, [out], backwards=backwards)
        assert out.tolist() == list(range(63, -1, -1)), backwards
        kernels.launch("shuffled", 1, 64, [out], backwards=backwards)
        assert out.tolist() == [i ^ 1 for i in range(64)], backwards


def test_a_missing_barrier_shows(tmp_path: Path) -> None:
    kernels = HostKernels(build(tmp_path, KERNELS % ("", 1)))
    out = np.empty(64, np.int32)
    kernels.launch("reversed", 1, 64, [out])
    assert out.tolist() != list(range(63, -1, -1))


def test_a_barrier_that_not_all_reach_and_a_lane_outside_the_mask_are_errors(
    tmp_path: Path,
) -> None:
    alone = "if (threadIdx.x < 32) __syncthreads();"
    kernels = HostKernels(build(tmp_path, KERNELS % (alone, 16)))
    out = np.empty(64, np.int32)
    with pytest.raises(RuntimeError, match="reversed: threads that wait forever: block 0"):
        kernels.launch("reversed", 1, 64, [out])
    with pytest.raises(RuntimeError, match="shuffled: a value from a lane outside the mask"):
        kernels.launch("shuffled", 1, 64, [out])
    with pytest.raises(RuntimeError, match="no such kernel"):
        kernels.launch("other", 1, 64, [out])
