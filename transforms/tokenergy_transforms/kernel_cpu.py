"""The segment kernel on the CPU: the twin of `segments.cu`, compiled by numba.

In: a `Batch`. Out: a `Result`, the same as the CUDA kernel's to the bit. The head of `segments.cu`
explains the maths. Segments of up to 128 readings go through tiles (`cpu/tiles.py`), all others one
by one (`cpu/segment.py`, `cpu/ranks.py`).
"""

from __future__ import annotations

from numba import njit, prange

from tokenergy_transforms.batch import Batch, Result
from tokenergy_transforms.cpu.locate import BLOCK
from tokenergy_transforms.cpu.run import run


def integrate(batch: Batch, *, parallel: bool = True) -> Result:
    """Integrate all segments of a batch.

    Args:
        batch: readings and segments; see `Batch` for shapes and units.
        parallel: on all cores; if not, on the calling thread, without the interpreter's lock.

    Returns:
        One value a segment; see `Result`.
    """
    count = len(batch.seg_start_us)
    result = Result.empty(count)
    do = _run_all if parallel else run
    do(0, count, *_parts(batch), *_outputs(result))
    return result


def _parts(batch: Batch) -> tuple[tuple[object, ...], ...]:
    """Return readings, counters and segments as the compiled functions take them."""
    return (
        (batch.ts_us, batch.power_mw, batch.offsets, batch.gap_limit_us),
        (batch.counter_ts_us, batch.counter_mj, batch.counter_epoch, batch.counter_offsets),
        (batch.seg_device, batch.seg_start_us, batch.seg_end_us),
    )


def _outputs(result: Result) -> tuple[tuple[object, ...], ...]:
    """Return the arrays that come from readings, and those that come from the counter."""
    arrays = result.arrays()
    return tuple(arrays[:-2]), tuple(arrays[-2:])


@njit(cache=True, error_model="numpy", parallel=True)
def _run_all(  # type: ignore[no-untyped-def]
    begin, finish, readings, counters, segments, by_readings, by_counter
):
    for block in prange((finish - begin + BLOCK - 1) // BLOCK):
        left = begin + block * BLOCK
        right = min(left + BLOCK, finish)
        run(left, right, readings, counters, segments, by_readings, by_counter)
