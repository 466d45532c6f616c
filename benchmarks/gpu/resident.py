"""Readings in device memory: the kernels against copy bandwidth and against array calls.

In: readings. Out: a row per window size with times, the share of the copy bandwidth measured in
the same run, and ratios; results are compared with the CPU's, to the bit, before they are timed.
"""

from __future__ import annotations

from typing import Any

from benchmarks.gpu import chains, clock
from benchmarks.integration import contest
from benchmarks.integration.workload import Workload
from tokenergy_transforms import kernel_cpu
from tokenergy_transforms.batch import Batch, Result
from tokenergy_transforms.cuda import feed, lanes


def copy_bytes_s(nbytes: int, runs: int) -> float:
    """Return the bandwidth of a copy within device memory, bytes read and written, per second."""
    import cupy

    runtime = cupy.cuda.runtime
    origin, target = cupy.empty(nbytes, "u1"), cupy.empty(nbytes, "u1")
    stream = cupy.cuda.Stream()

    def copy() -> None:
        kind = runtime.memcpyDeviceToDevice
        runtime.memcpyAsync(target.data.ptr, origin.data.ptr, nbytes, kind, stream.ptr)

    with stream:
        seconds = clock.on_device(copy, runs)
    return 2 * nbytes / seconds


def rows(work: Workload, windows_us: list[int], copy: float, runs: int) -> list[dict[str, Any]]:
    """Return a row for each window size; see the head of the file."""
    return [_row(work.batch(window_us), copy, runs) for window_us in windows_us]


def _row(batch: Batch, copy: float, runs: int) -> dict[str, Any]:
    import cupy

    want = contest.of_result(kernel_cpu.integrate(batch))
    row = _kernels(batch, want, copy, runs)
    for name, chain in _peers(batch).items():
        columns = {c: cupy.asnumpy(a) for c, a in chain().items()}
        row["differing"][name] = contest.differences(want, columns)
        row[f"{name}_s"] = clock.on_device(chain, runs)
        row[f"times_{name}"] = row[f"{name}_s"] / row["kernel_s"]
    return row


def _kernels(batch: Batch, want: contest.Columns, copy: float, runs: int) -> dict[str, Any]:
    """Time the kernels on a batch in device memory, and compare what they wrote."""
    import cupy

    inputs = [cupy.asarray(a) for a in batch.arrays()]
    empty = Result.empty(len(batch.seg_start_us)).arrays()
    outputs = [cupy.empty(len(a), a.dtype) for a in empty]
    plan = lanes.launches(batch.offsets, batch.seg_device)
    ordinal = cupy.cuda.Device().id

    def kernels() -> None:
        for launch in plan:
            feed.run_kernel(ordinal, launch, inputs, outputs)

    moved = sum(a.nbytes for a in (*batch.arrays(), *empty))
    seconds = clock.on_device(kernels, runs)
    got = contest.of_result(Result(*(cupy.asnumpy(a) for a in outputs)))
    return {
        "readings": len(batch.ts_us),
        "readings_a_window": round(len(batch.ts_us) / len(batch.seg_start_us)),
        "lanes": sorted({launch.lane.kernel for launch in plan}),
        "kernel_s": seconds,
        "bytes_moved": moved,
        "share_of_copy": moved / seconds / copy,
        "differing": {"kernel": contest.differences(want, got)},
    }


def _peers(batch: Batch) -> dict[str, Any]:
    """Return the chains of array calls that can run here, on arrays already on the device."""
    import cupy

    arrays = chains.upload(cupy, batch)
    peers = {"cupy_chain": lambda: chains.by_cupy(cupy, arrays)}
    try:
        import cudf
    except ImportError:
        return peers
    return {**peers, "cudf": lambda: chains.by_cudf(cupy, cudf, arrays)}
